//! Secrets in the database: encrypted, and bound to the row they belong to.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use fairlane::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const NONCE_BYTES: usize = 24;

/// The key of sealed secrets.
#[derive(Clone)]
pub struct Sealer {
    /// None where the settings name no key.
    key: Option<Key>,
}

#[derive(Clone)]
struct Key {
    cipher: XChaCha20Poly1305,
    /// Names the key without telling it.
    id: String,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key", &self.key.as_ref().map(|key| &key.id)).finish()
    }
}

impl Sealer {
    /// A sealer without a key: it seals and opens nothing, and says why.
    pub fn without_key() -> Self {
        Self { key: None }
    }

    /// The sealer with this key: 32 bytes in base64; nothing is a sealer without a key.
    pub fn new(key: &SecretString) -> std::result::Result<Self, String> {
        let text = key.expose_secret().trim();
        if text.is_empty() {
            return Ok(Self::without_key());
        }
        let bytes = STANDARD.decode(text).map_err(|_| "it is not base64".to_owned())?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes)
            .map_err(|_| format!("it has {} bytes instead of 32", bytes.len()))?;
        let id = Sha256::digest(&bytes).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key: Some(Key { cipher, id }) })
    }

    /// Whether there is a key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Encrypts a secret of this row: `place` names tenant, table and row, and only there it opens again.
    pub fn seal(&self, secret: &str, place: &str) -> Result<String> {
        let key = self.key()?;
        let nonce = XNonce::try_generate().map_err(|why| Error::Refused {
            what: format!("sealing a secret of {place}"),
            why: format!("the system gives no random bytes: {why}"),
        })?;
        let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
        let sealed = key.cipher.encrypt(&nonce, payload).map_err(|_| Error::Refused {
            what: format!("sealing a secret of {place}"),
            why: "it is too long".into(),
        })?;
        Ok(format!("x1.{}.{}", key.id, STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    /// Decrypts what was sealed at this place.
    pub fn open(&self, sealed: &str, place: &str) -> Result<SecretString> {
        let damaged = |why: &str| Error::Damaged(format!("the sealed secret of {place} {why}"));
        let key = self.key()?;
        let mut parts = sealed.splitn(3, '.');
        let (Some("x1"), Some(id), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(damaged("is in no form this release knows"));
        };
        if id != key.id {
            return Err(damaged(&format!("was sealed with key {id}, and outbound.secret_key is {}", key.id)));
        }
        let bytes = STANDARD.decode(text).map_err(|_| damaged("is no base64"))?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(|| damaged("is too short"))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| damaged("is too short"))?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let open =
            key.cipher.decrypt(&nonce, payload).map_err(|_| damaged("was changed, or is another row's"))?;
        let text = String::from_utf8(open).map_err(|_| damaged("is no text"))?;
        Ok(text.into())
    }

    fn key(&self) -> Result<&Key> {
        self.key.as_ref().ok_or_else(|| Error::Refused {
            what: "sealing a secret".into(),
            why: "there is no key: set FAIRLANE_OUTBOUND_SECRET_KEY to what `openssl rand -base64 32` prints"
                .into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&STANDARD.encode([byte; 32]).into()).unwrap()
    }

    #[test]
    fn a_secret_opens_at_its_place_with_its_key_and_nowhere_else() {
        let sealed = sealer(1).seal("whsec_x", "1/webhook_secrets/7").unwrap();
        assert!(!sealed.contains("whsec"));
        assert_ne!(sealed, sealer(1).seal("whsec_x", "1/webhook_secrets/7").unwrap(), "no nonce comes twice");
        assert_eq!(sealer(1).open(&sealed, "1/webhook_secrets/7").unwrap().expose_secret(), "whsec_x");
        let why = |sealer: Sealer, place: &str| sealer.open(&sealed, place).unwrap_err().to_string();
        assert!(why(sealer(1), "2/webhook_secrets/7").contains("another row's"));
        assert!(why(sealer(2), "1/webhook_secrets/7").contains("was sealed with key"));
        assert!(why(Sealer::without_key(), "1/webhook_secrets/7").contains("openssl rand"));
        let flipped = format!("{}A", &sealed[..sealed.len() - 1]);
        assert!(flipped == sealed || sealer(1).open(&flipped, "1/webhook_secrets/7").is_err());
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_and_is_not_printed() {
        assert!(Sealer::new(&"hunter2!".into()).is_err());
        assert!(Sealer::new(&"AAAA".into()).unwrap_err().contains("3 bytes"));
        assert!(!Sealer::new(&"".into()).unwrap().has_key());
        assert!(!format!("{:?}", sealer(1)).contains("AQEB"));
    }
}
