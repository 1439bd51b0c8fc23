//! Firebase Cloud Messaging, HTTP v1.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{PushNote, Pushed, jwt, settings_error};
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::outbound::{Outbound, Post, Reply, percent};
use crate::erp::settings::PushSettings;

/// What FCM takes of notification and data together.
const MOST_BYTES: usize = 4096;
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(300);
/// Where FCM says no time, it wants at least a minute.
const QUOTA_WAIT: Duration = Duration::from_secs(60);
/// So long nobody asks for a token again that was not given.
const REFUSED_WAIT: Duration = Duration::from_secs(3);

/// Firebase Cloud Messaging; clones share the access token.
#[derive(Debug, Clone)]
pub struct Fcm {
    account_file: Option<PathBuf>,
    url: String,
    ttl: Duration,
    outbound: Outbound,
    access: Arc<Mutex<Held>>,
}

/// The file of a service account, as Google hands it out.
#[derive(Clone, Deserialize)]
struct Account {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: String,
}

/// What the last attempt to get a token came to.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Access(Access),
    /// Those who have waited for it need not ask the same again, one after the other.
    Refused(SendError, Instant),
}

/// Who may send now.
#[derive(Clone)]
struct Access {
    project: String,
    token: String,
    until: Instant,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Fcm {
    /// The service with these settings; the account is read when the first message is sent.
    pub fn new(settings: &PushSettings, outbound: Outbound) -> Self {
        Self {
            account_file: settings.fcm_account_file.clone(),
            url: settings.fcm_url.clone(),
            ttl: settings.ttl,
            outbound,
            access: Arc::default(),
        }
    }

    /// Sends a note to one app.
    pub async fn send(&self, token: &str, note: &PushNote) -> Result<Pushed, SendError> {
        let access = self.access(None).await?;
        let reply = self.post(token, note, &access).await?;
        if reply.status != 401 {
            return understood(&reply);
        }
        // The token may have been taken back before its time: once, with a new one.
        let access = self.access(Some(&access.token)).await?;
        understood(&self.post(token, note, &access).await?)
    }

    async fn post(&self, token: &str, note: &PushNote, access: &Access) -> Result<Reply, SendError> {
        let url = format!(
            "{}/v1/projects/{}/messages:send",
            self.url.trim_end_matches('/'),
            percent(&access.project)
        );
        let body = message(token, note, self.ttl).to_string().into_bytes();
        let post = Post::new(url, "application/json", body)
            .header("authorization", format!("Bearer {}", access.token));
        let setting = ("push_settings", "push.fcm_url");
        self.outbound
            .post(post)
            .await
            .map_err(|error| SendError::no_answer_of(&error, Decision::Retry, setting))
    }

    /// A token that holds, other than the one that was refused. Who comes while one is being fetched waits for that one.
    async fn access(&self, refused: Option<&str>) -> Result<Access, SendError> {
        let mut held = self.access.lock().await;
        match &*held {
            Held::Access(access)
                if access.until > Instant::now() && refused != Some(access.token.as_str()) =>
            {
                return Ok(access.clone());
            }
            Held::Refused(error, since) if since.elapsed() < REFUSED_WAIT => return Err(error.clone()),
            _ => {}
        }
        match self.fetch().await {
            Ok(access) => {
                *held = Held::Access(access.clone());
                Ok(access)
            }
            Err(error) => {
                *held = Held::Refused(error.clone(), Instant::now());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Access, SendError> {
        let account = self.account().await?;
        let now = chrono::Utc::now().timestamp();
        let claims = json!({
            "iss": account.client_email, "scope": SCOPE, "aud": account.token_uri, "iat": now, "exp": now + 3600,
        });
        let assertion = jwt::rs256(&claims, &account.private_key).map_err(settings_error)?;
        let grant = percent("urn:ietf:params:oauth:grant-type:jwt-bearer");
        let form = format!("grant_type={grant}&assertion={assertion}");
        let post = Post::new(&account.token_uri, "application/x-www-form-urlencoded", form.into_bytes());
        let reply = self.outbound.post(post).await;
        let setting = ("push_settings", "token_uri in push.fcm_account_file");
        let reply = reply.map_err(|error| SendError::no_answer_of(&error, Decision::Retry, setting))?;
        let body = reply.json();
        let Some(token) = body["access_token"].as_str().filter(|_| reply.is_success()) else {
            let code =
                if reply.status >= 500 || reply.status == 429 { "push_unavailable" } else { "push_settings" };
            return Err(SendError::answered(Decision::Retry, code, &reply));
        };
        let seconds = Duration::from_secs(body["expires_in"].as_u64().unwrap_or(3600));
        let until = Instant::now() + seconds.saturating_sub(MARGIN);
        Ok(Access { project: account.project_id, token: token.to_owned(), until })
    }

    async fn account(&self) -> Result<Account, SendError> {
        let Some(file) = &self.account_file else {
            return Err(settings_error("apps need push.fcm_account_file, the file of a service account"));
        };
        let text = tokio::fs::read_to_string(file)
            .await
            .map_err(|why| settings_error(format!("{} cannot be read: {why}", file.display())))?;
        serde_json::from_str(&text)
            .map_err(|why| settings_error(format!("{} is no service account: {why}", file.display())))
    }
}

fn message(token: &str, note: &PushNote, ttl: Duration) -> Value {
    let mut message = note.to_app(MOST_BYTES);
    message["token"] = json!(token);
    message["android"] = json!({
        "collapse_key": note.tag, "ttl": format!("{}s", ttl.as_secs()),
        "priority": if note.urgent { "HIGH" } else { "NORMAL" }, "notification": { "tag": note.tag },
    });
    message["apns"] = json!({ "headers": {
        "apns-collapse-id": note.tag, "apns-priority": if note.urgent { "10" } else { "5" },
    } });
    json!({ "message": message })
}

/// What an answer means, by the documented error codes.
fn understood(reply: &Reply) -> Result<Pushed, SendError> {
    if reply.is_success() {
        return Ok(Pushed { reply: reply.words(), http_status: reply.status });
    }
    let body = reply.json();
    let details = body["error"]["details"].as_array().cloned().unwrap_or_default();
    let about_the_token = details
        .iter()
        .find(|detail| detail["@type"].as_str().is_some_and(|kind| kind.ends_with("fcm.v1.FcmError")));
    let code = about_the_token.and_then(|detail| detail["errorCode"].as_str()).unwrap_or_default();
    let status = body["error"]["status"].as_str().unwrap_or_default();
    let answered = |decision, code| SendError::answered(decision, code, reply);
    Err(match (code, reply.status) {
        ("UNREGISTERED", _) => answered(Decision::Suppress, "device_gone"),
        // 404 of FCM itself; that of some other server says nothing about the device.
        (_, 404) if status == "NOT_FOUND" => answered(Decision::Suppress, "device_gone"),
        ("INVALID_ARGUMENT", _) => answered(Decision::Suppress, "device_invalid"),
        ("SENDER_ID_MISMATCH", _) => answered(Decision::Suppress, "device_of_another_sender"),
        ("THIRD_PARTY_AUTH_ERROR", _) | (_, 401 | 403 | 404) => answered(Decision::Retry, "push_settings"),
        ("QUOTA_EXCEEDED", _) | (_, 429) => {
            let error = answered(Decision::Retry, "push_quota");
            SendError { after: error.after.or(Some(QUOTA_WAIT)), ..error }
        }
        ("UNAVAILABLE" | "INTERNAL", _) | (_, 408 | 425 | 500..) => {
            answered(Decision::Retry, "push_unavailable")
        }
        (_, 300..=399) => answered(Decision::Fail, "redirected"),
        _ => answered(Decision::Fail, "push_refused"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_errors_decide_what_follows() {
        let reply = |http: u16, status: &str, fcm: Option<&str>| {
            let details = fcm.map_or(json!([{ "@type": "type.googleapis.com/google.rpc.BadRequest" }]), |code| {
                json!([{ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code }])
            });
            let body = json!({ "error": { "code": http, "status": status, "details": details } });
            Reply { status: http, retry_after: None, body: body.to_string().into_bytes() }
        };
        let decided = |reply: Reply| {
            let error = understood(&reply).unwrap_err();
            (error.decision, error.code)
        };
        use Decision::{Fail, Retry, Suppress};
        assert_eq!(decided(reply(404, "NOT_FOUND", Some("UNREGISTERED"))), (Suppress, "device_gone"));
        assert_eq!(decided(reply(404, "NOT_FOUND", None)), (Suppress, "device_gone"));
        assert_eq!(decided(reply(404, "", None)), (Retry, "push_settings"), "some other server");
        assert_eq!(
            decided(reply(400, "INVALID_ARGUMENT", Some("INVALID_ARGUMENT"))),
            (Suppress, "device_invalid")
        );
        assert_eq!(
            decided(reply(400, "INVALID_ARGUMENT", None)),
            (Fail, "push_refused"),
            "about the payload"
        );
        assert_eq!(decided(reply(403, "PERMISSION_DENIED", Some("SENDER_ID_MISMATCH"))).0, Suppress);
        assert_eq!(
            decided(reply(401, "UNAUTHENTICATED", Some("THIRD_PARTY_AUTH_ERROR"))),
            (Retry, "push_settings")
        );
        assert_eq!(decided(reply(429, "RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED"))), (Retry, "push_quota"));
        assert_eq!(decided(reply(503, "UNAVAILABLE", Some("UNAVAILABLE"))), (Retry, "push_unavailable"));
        assert_eq!(decided(reply(500, "INTERNAL", Some("INTERNAL"))), (Retry, "push_unavailable"));
        let waits = understood(&reply(429, "", Some("QUOTA_EXCEEDED"))).unwrap_err().after;
        assert_eq!(waits, Some(QUOTA_WAIT));
    }
}
