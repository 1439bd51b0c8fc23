//! Signatures of Standard Webhooks: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, one for each secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "whsec_";
const SECRET_BYTES: usize = 32;

/// A secret that nobody can guess.
pub fn new_secret() -> Result<SecretString, String> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)).into())
}

/// The signature by one secret.
fn one(secret: &SecretString, id: &str, timestamp: i64, body: &str) -> Result<String, String> {
    let text = secret.expose_secret();
    let key = STANDARD
        .decode(text.strip_prefix(PREFIX).unwrap_or(text))
        .map_err(|_| "a secret must be whsec_ and base64".to_owned())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "a secret is too long".to_owned())?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// What `webhook-signature` holds: a signature by each secret, so that the receiver may know the old or the new one.
pub fn sign(secrets: &[SecretString], id: &str, timestamp: i64, body: &str) -> Result<String, String> {
    if secrets.is_empty() {
        return Err("there is no secret to sign with".into());
    }
    let signatures: Result<Vec<String>, String> =
        secrets.iter().map(|secret| one(secret, id, timestamp, body)).collect();
    Ok(signatures?.join(" "))
}

/// Whether one of the signatures in the header is by this secret: what a receiver does.
pub fn verify(secret: &SecretString, id: &str, timestamp: i64, body: &str, header: &str) -> bool {
    let Ok(right) = one(secret, id, timestamp, body) else { return false };
    header.split(' ').any(|given| bool::from(given.as_bytes().ct_eq(right.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;

    #[test]
    fn the_published_vector_verifies_and_nothing_beside_it() {
        let secret: SecretString = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
        let header = sign(std::slice::from_ref(&secret), ID, 1_614_265_330, BODY).unwrap();
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(verify(&secret, ID, 1_614_265_330, BODY, &header));
        assert!(!verify(&secret, ID, 1_614_265_331, BODY, &header));
        assert!(!verify(&secret, "msg_x", 1_614_265_330, BODY, &header));
        assert!(!verify(&secret, ID, 1_614_265_330, "{}", &header));
        assert!(!verify(&new_secret().unwrap(), ID, 1_614_265_330, BODY, &header));
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign() {
        let (old, new) = (new_secret().unwrap(), new_secret().unwrap());
        let header = sign(&[new.clone(), old.clone()], ID, 1, BODY).unwrap();
        assert_eq!(header.split(' ').count(), 2);
        assert!(verify(&old, ID, 1, BODY, &header) && verify(&new, ID, 1, BODY, &header));
        assert!(sign(&[], ID, 1, BODY).is_err());
        assert!(sign(&["whsec_?".into()], ID, 1, BODY).is_err());
    }
}
