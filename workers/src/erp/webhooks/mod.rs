//! Webhooks after the Standard Webhooks specification: what is sent, how it is signed, and when it is tried again.

mod retries;
mod signature;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::outbound::Reply;
use super::outbound::outcome::{Decision, SendError};
use super::store::notifications::Message;
use super::store::people::User;
pub use retries::{ATTEMPTS, GIVE_UP_AFTER, wait_after};
pub use signature::{new_secret, sign, verify};

/// The kind of a delivery that somebody tries an endpoint with.
pub const TEST: &str = "WebhookTest";

/// What is sent: the same bytes for every attempt, and for a replay.
pub fn body(message: &Message, user: Option<&User>) -> String {
    let text = |name: &str| message.data[name].clone();
    let mut data = json!({
        "key": message.key, "severity": text("severity"), "title": text("title"), "message": text("message"),
        "context": text("context"), "action": text("action"),
    });
    if let Some(user) = user {
        data["user"] = json!({ "id": user.id, "email": user.email });
    }
    let timestamp = message.told_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let body: Value = json!({ "type": message.kind, "timestamp": timestamp, "data": data });
    body.to_string()
}

/// Which message it is: the same for every attempt, and a receiver's key against repeats. When it was decided is part of it,
/// for slug and key come again in other installations and in restored databases, which a receiver would take for repeats.
pub fn message_id(tenant: &str, dedupe_key: &str, created_at: DateTime<Utc>) -> String {
    use sha2::{Digest, Sha256};
    let told = format!("{tenant}/{dedupe_key}/{}", created_at.timestamp_micros());
    let digest = Sha256::digest(told.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{hex}")
}

/// What an answer means: 2xx alone is success.
pub fn understood(reply: &Reply) -> Result<(), SendError> {
    let answered = |decision, code| Err(SendError::answered(decision, code, reply));
    match reply.status {
        200..=299 => Ok(()),
        // Whatever else it says may be another answer the next time (408, 425 and 5xx say so): only who is gone is gone.
        410 => answered(Decision::Fail, "endpoint_gone"),
        300..=399 => answered(Decision::Retry, "redirected"),
        429 | 502 | 504 => answered(Decision::Retry, "endpoint_throttled"),
        _ => answered(Decision::Retry, "endpoint_refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_success_and_410_is_the_end() {
        let code = |status| match understood(&Reply { status, retry_after: None, body: Vec::new() }) {
            Ok(()) => "success",
            Err(error) => error.code,
        };
        assert_eq!(
            (code(200), code(204), code(302), code(304)),
            ("success", "success", "redirected", "redirected")
        );
        assert_eq!(
            (code(400), code(500), code(404)),
            ("endpoint_refused", "endpoint_refused", "endpoint_refused")
        );
        assert_eq!(
            (code(429), code(502), code(504)),
            ("endpoint_throttled", "endpoint_throttled", "endpoint_throttled")
        );
        assert_eq!(code(410), "endpoint_gone");
        let decided =
            |status| understood(&Reply { status, retry_after: None, body: Vec::new() }).unwrap_err().decision;
        for status in [302, 400, 404, 408, 425, 429, 500, 503] {
            assert_eq!(decided(status), Decision::Retry, "{status}");
        }
        assert_eq!(decided(410), Decision::Fail);
    }

    #[test]
    fn a_message_has_one_id_and_another_has_another() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap();
        let id = message_id("acme", "low:1:webhook:3", at);
        assert_eq!(id, message_id("acme", "low:1:webhook:3", at));
        let later = at + chrono::Duration::microseconds(1);
        assert_ne!(id, message_id("acme", "low:1:webhook:3", later), "in another database");
        assert_ne!(id, message_id("beta", "low:1:webhook:3", at));
        assert!(id.starts_with("msg_") && id.len() == 36);
    }
}
