//! Secrets at rest: sealed with XChaCha20-Poly1305 under the key of the configuration, bound to the row they stand in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use fairlane::{Error, Result};
use secrecy::{ExposeSecret, SecretString};

/// The first letters of everything sealed: another way to seal gets others.
const FORM: &str = "x1:";
const NONCE: usize = 24;

/// Where a sealed text stands: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tenant's number.
    pub tenant: i64,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's number.
    pub row: i64,
}

impl Place<'_> {
    fn words(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.tenant, self.table, self.column, self.row)
    }
}

/// Seals and opens; by default without a key.
#[derive(Clone, Default)]
pub struct Vault {
    cipher: Option<XChaCha20Poly1305>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("has_key", &self.cipher.is_some()).finish()
    }
}

impl Vault {
    /// A vault with the key of the configuration: 32 bytes in base64 or hexadecimal. Without one nothing is sealed.
    ///
    /// # Errors
    /// What is wrong with the key, without the key.
    pub fn new(key: &SecretString) -> std::result::Result<Self, String> {
        let text = key.expose_secret().trim();
        if text.is_empty() {
            return Ok(Self { cipher: None });
        }
        let bytes = match text.len() {
            64 => unhex(text),
            _ => STANDARD.decode(text).ok(),
        };
        let bytes = bytes.unwrap_or_default();
        let key: [u8; 32] = bytes.try_into().map_err(|_| {
            "it must be 32 bytes in base64 or hexadecimal; make one: openssl rand -base64 32".to_owned()
        })?;
        Ok(Self { cipher: Some(XChaCha20Poly1305::new(&Key::from(key))) })
    }

    /// Seals a text for a place.
    ///
    /// # Errors
    /// Without a key.
    pub fn seal(&self, text: &SecretString, place: Place<'_>) -> Result<String> {
        let failed = || Error::Refused { what: "sealing a secret".into(), why: "no random numbers".into() };
        let nonce = XNonce::try_generate().map_err(|_| failed())?;
        let words = place.words();
        let payload = Payload { msg: text.expose_secret().as_bytes(), aad: words.as_bytes() };
        let sealed = self.cipher()?.encrypt(&nonce, payload).map_err(|_| failed())?;
        let mut all = nonce.to_vec();
        all.extend(sealed);
        Ok(format!("{FORM}{}", STANDARD.encode(all)))
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// Without the key it was sealed with, or when it was changed or moved.
    pub fn open(&self, sealed: &str, place: Place<'_>) -> Result<SecretString> {
        let what = || format!("the secret in {}.{} of row {}", place.table, place.column, place.row);
        let refused = || {
            Error::Refused {
            what: format!("opening {}", what()),
            why: "sync.key is not the key it was sealed with, or it was tampered with; enter it anew: fairlane erp sync \
                  connection set NAME --secret-file FILE"
                .into(),
        }
        };
        let bytes =
            sealed.strip_prefix(FORM).and_then(|text| STANDARD.decode(text).ok()).ok_or_else(refused)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or_else(refused)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| refused())?;
        let words = place.words();
        let payload = Payload { msg: sealed, aad: words.as_bytes() };
        let opened = self.cipher()?.decrypt(&XNonce::from(nonce), payload).map_err(|_| refused())?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| refused())
    }

    fn cipher(&self) -> Result<&XChaCha20Poly1305> {
        self.cipher.as_ref().ok_or_else(|| Error::Refused {
            what: "a secret of a connection".into(),
            why: "there is no key to seal it with; set FAIRLANE_SYNC_KEY or FAIRLANE_SYNC_KEY_FILE (openssl rand \
                  -base64 32)"
                .into(),
        })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'static> = Place { tenant: 1, table: "sync_connections", column: "secret", row: 7 };

    fn vault(byte: u8) -> Vault {
        Vault::new(&SecretString::from(STANDARD.encode([byte; 32]))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let secret = SecretString::from("hunter2".to_owned());
        let sealed = vault(1).seal(&secret, HERE).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(vault(1).open(&sealed, HERE).unwrap().expose_secret(), "hunter2");
        assert_ne!(sealed, vault(1).seal(&secret, HERE).unwrap(), "never the same twice");
        for elsewhere in [
            Place { tenant: 2, ..HERE },
            Place { row: 8, ..HERE },
            Place { column: "token", ..HERE },
            Place { table: "sync_tokens", ..HERE },
        ] {
            assert!(vault(1).open(&sealed, elsewhere).is_err(), "{elsewhere:?}");
        }
        assert!(vault(2).open(&sealed, HERE).is_err(), "another key");
        for broken in ["", "x1:", "x1:AAAA", &sealed[3..], &sealed[..sealed.len() - 8]] {
            assert!(vault(1).open(broken, HERE).is_err(), "{broken}");
        }
    }

    #[test]
    fn keys_are_32_bytes_in_base64_or_hexadecimal_and_an_error_does_not_tell_them() {
        let key = |text: &str| Vault::new(&SecretString::from(text.to_owned()));
        assert!(key(&"ab".repeat(32)).is_ok() && key(&STANDARD.encode([9; 32])).is_ok());
        let error = key("hunter2hunter2").unwrap_err();
        assert!(error.contains("32 bytes") && !error.contains("hunter2"), "{error}");
        let without = key("").unwrap();
        assert!(
            without
                .seal(&SecretString::from("x".to_owned()), HERE)
                .unwrap_err()
                .to_string()
                .contains("SYNC_KEY")
        );
    }
}
