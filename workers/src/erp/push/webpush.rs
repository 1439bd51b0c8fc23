//! Web Push: messages to browsers, encrypted for each (RFC 8291, RFC 8188) and signed by us (VAPID, RFC 8292).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{PushNote, Pushed, jwt, settings_error};
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::outbound::{Outbound, Post, Reply};
use crate::erp::settings::PushSettings;
use crate::erp::store::devices::Device;

/// The one record of a message; push services take no more.
const RECORD: usize = 4096;
/// What is left of it for us: without salt, size, key (86), tag of the cipher (16) and delimiter (1).
const MOST_BYTES: usize = RECORD - 86 - 16 - 1;
/// How long a signature holds; at most a day is allowed.
const HOLDS: i64 = 12 * 3600;

/// Web Push.
#[derive(Debug, Clone)]
pub struct WebPush {
    public_key: String,
    private_key: SecretString,
    subject: String,
    ttl: Duration,
    outbound: Outbound,
}

impl WebPush {
    /// The service with these settings.
    pub fn new(settings: &PushSettings, outbound: Outbound) -> Self {
        Self {
            public_key: settings.vapid_public_key.clone(),
            private_key: settings.vapid_private_key.clone(),
            subject: settings.vapid_subject.clone(),
            ttl: settings.ttl,
            outbound,
        }
    }

    /// Sends a note to one browser.
    pub async fn send(&self, device: &Device, note: &PushNote) -> Result<Pushed, SendError> {
        let post = Post::new(&device.token, "application/octet-stream", encrypted(device, note)?)
            .header("content-encoding", "aes128gcm")
            .header("ttl", self.ttl.as_secs().to_string())
            .header("urgency", if note.urgent { "high" } else { "normal" })
            .header("topic", &note.tag)
            .header("authorization", self.signed(&device.token)?);
        match self.outbound.post(post).await {
            Ok(reply) => understood(&reply),
            Err(error) => Err(SendError::unanswered(&error, Decision::Retry)),
        }
    }

    /// Who we are, for the push service of this subscription alone.
    fn signed(&self, endpoint: &str) -> Result<String, SendError> {
        if self.public_key.is_empty() {
            let why = "browsers need push.vapid_public_key, push.vapid_private_key and push.vapid_subject";
            return Err(settings_error(why));
        }
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('='));
        let (Ok(public), Ok(private)) =
            (decoded(&self.public_key), decoded(self.private_key.expose_secret()))
        else {
            return Err(settings_error("the VAPID keys must be base64url"));
        };
        let url = Url::parse(endpoint).map_err(|why| settings_error(why.to_string()))?;
        let claims = json!({
            "aud": url.origin().ascii_serialization(), "exp": chrono::Utc::now().timestamp() + HOLDS, "sub": self.subject,
        });
        let token = jwt::es256(&claims, &private, &public).map_err(settings_error)?;
        Ok(format!("vapid t={token}, k={}", URL_SAFE_NO_PAD.encode(public)))
    }
}

/// The message as this browser alone can read it.
fn encrypted(device: &Device, note: &PushNote) -> Result<Vec<u8>, SendError> {
    // A key that is none will never be one: the browser has to subscribe anew.
    let broken = || SendError::new(Decision::Suppress, "device_invalid", "the subscription's keys are none");
    let decoded = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default().trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())
    };
    let (browser, auth) = (decoded(&device.p256dh)?, decoded(&device.auth)?);
    let random = SystemRandom::new();
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| broken())?;
    let our_public = ours.compute_public_key().map_err(|_| broken())?;
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| broken())?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &browser);
    agree_ephemeral(ours, &theirs, |shared| {
        let keys = Keys { shared, browser: &browser, ours: our_public.as_ref(), auth: &auth, salt: &salt };
        keys.seal(note.to_browser(MOST_BYTES).as_bytes())
    })
    .ok()
    .flatten()
    .ok_or_else(broken)
}

/// What a message's key is made of.
struct Keys<'a> {
    shared: &'a [u8],
    browser: &'a [u8],
    ours: &'a [u8],
    auth: &'a [u8],
    salt: &'a [u8; 16],
}

/// A length for ring.
#[derive(Debug, Clone, Copy)]
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

fn derived<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Option<[u8; N]> {
    let mut out = [0; N];
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(info, Bytes(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

impl Keys<'_> {
    /// The body of the request: header, and one record that is the last.
    fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let of_both: [u8; 32] =
            derived(self.auth, self.shared, &[b"WebPush: info\0", self.browser, self.ours])?;
        let key: [u8; 16] = derived(self.salt, &of_both, &[b"Content-Encoding: aes128gcm\0"])?;
        let nonce: [u8; 12] = derived(self.salt, &of_both, &[b"Content-Encoding: nonce\0"])?;
        let mut record = text.to_vec();
        record.push(2);
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
        cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
            .ok()?;
        let size = u32::try_from(RECORD).ok()?.to_be_bytes();
        let length = u8::try_from(self.ours.len()).ok()?;
        Some([&self.salt[..], &size, &[length], self.ours, &record].concat())
    }
}

fn understood(reply: &Reply) -> Result<Pushed, SendError> {
    let answered = |decision, code| Err(SendError::answered(decision, code, reply));
    match reply.status {
        200..=299 => Ok(Pushed { reply: reply.words(), http_status: reply.status }),
        404 | 410 => answered(Decision::Suppress, "device_gone"),
        401 | 403 => answered(Decision::Retry, "push_settings"),
        429 => answered(Decision::Retry, "push_quota"),
        408 | 425 | 500.. => answered(Decision::Retry, "push_unavailable"),
        300..=399 => answered(Decision::Fail, "redirected"),
        _ => answered(Decision::Fail, "push_refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8291, section 5 and appendix A, from the documented shared secret on.
    #[test]
    fn the_published_example_comes_out_byte_for_byte() {
        let salt: [u8; 16] = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let keys = Keys {
            shared: &bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs"),
            browser: &bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            ours: &bytes(
                "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
            ),
            auth: &bytes("BTBZMqHH6r4Tts7J_aSIgg"),
            salt: &salt,
        };
        let body = keys.seal(b"When I grow up, I want to be a watermelon").unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl\
             7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn what_push_services_answer_decides_what_follows() {
        let decided = |status| {
            let error = understood(&Reply { status, retry_after: None, body: Vec::new() }).unwrap_err();
            (error.decision, error.code)
        };
        assert_eq!(
            (decided(404), decided(410)),
            ((Decision::Suppress, "device_gone"), (Decision::Suppress, "device_gone"))
        );
        assert_eq!(decided(413), (Decision::Fail, "push_refused"));
        assert_eq!(decided(429), (Decision::Retry, "push_quota"));
        for later in [408, 425, 502] {
            assert_eq!(decided(later), (Decision::Retry, "push_unavailable"), "{later}");
        }
    }
}
