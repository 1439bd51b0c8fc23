//! Signed tokens (RFC 7515): RS256 for Google's accounts, ES256 for the push services of browsers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

/// A token of these claims, signed by `sign`.
fn token(
    algorithm: &str,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>,
) -> Result<String, String> {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = json!({ "alg": algorithm, "typ": "JWT" });
    let text = format!("{}.{}", encoded(&head), encoded(claims));
    let signature = sign(text.as_bytes())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A token signed by the private key of a service account (PKCS #8 in PEM).
pub fn rs256(claims: &Value, pem: &str) -> Result<String, String> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(body).map_err(|_| "private_key is no PEM".to_owned())?;
    let key = RsaKeyPair::from_pkcs8(&der).map_err(|why| format!("private_key is no RSA key: {why}"))?;
    token("RS256", claims, |text| {
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| "private_key cannot sign".to_owned())?;
        Ok(signature)
    })
}

/// A token signed by a key of P-256: its scalar and its uncompressed point.
pub fn es256(claims: &Value, private: &[u8], public: &[u8]) -> Result<String, String> {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        private,
        public,
        &random,
    )
    .map_err(|why| format!("the two VAPID keys are no pair of P-256: {why}"))?;
    token("ES256", claims, |text| {
        let signature = key.sign(&random, text).map_err(|_| "the VAPID key cannot sign".to_owned())?;
        Ok(signature.as_ref().to_vec())
    })
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// The example of RFC 8291 has a pair of keys of the right kind.
    const PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const PUBLIC: &str =
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

    #[test]
    fn a_token_of_a_browsers_service_verifies_with_the_public_key() {
        let (private, public) =
            (URL_SAFE_NO_PAD.decode(PRIVATE).unwrap(), URL_SAFE_NO_PAD.decode(PUBLIC).unwrap());
        let token = es256(&json!({ "aud": "https://push.example.com" }), &private, &public).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public);
        assert!(key.verify(text.as_bytes(), &signature).is_ok());
        let (head, claims) = text.split_once('.').unwrap();
        let read =
            |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        assert_eq!(read(head), json!({ "alg": "ES256", "typ": "JWT" }));
        assert_eq!(read(claims)["aud"], "https://push.example.com");
        assert!(es256(&json!({}), &public[1..33], &public).is_err(), "keys that are no pair");
    }

    #[test]
    fn a_key_that_is_none_says_so() {
        assert!(
            rs256(&json!({}), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----")
                .unwrap_err()
                .contains("RSA")
        );
        assert!(rs256(&json!({}), "?").unwrap_err().contains("PEM"));
    }
}
