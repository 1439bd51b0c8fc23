//! Providers that speak as Twilio does: `POST /2010-04-01/Accounts/{account}/Messages.json`, and its status callbacks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fairlane::{Error, Result};
use futures::future::BoxFuture;
use reqwest::Url;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

use super::{SmsProvider, Taken, Text};
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::outbound::{Outbound, Post, Reply, percent};
use crate::erp::settings::TwilioSettings;

/// A provider that speaks as Twilio does.
#[derive(Debug, Clone)]
pub struct Twilio {
    settings: TwilioSettings,
    outbound: Outbound,
}

impl Twilio {
    /// The provider with these settings; nothing is connected yet.
    pub fn new(settings: TwilioSettings, outbound: Outbound) -> Self {
        Self { settings, outbound }
    }

    fn request(&self, text: &Text) -> Post {
        let TwilioSettings { url, account, token, from, status_url } = &self.settings;
        // A messaging service chooses the number by itself.
        let sender = if from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut form = form_urlencoded(&[("To", &text.to), (sender, from), ("Body", &text.body)]);
        if !status_url.is_empty() {
            let place = status_url.replace("{tenant}", &text.tenant);
            let separator = if place.contains('?') { '&' } else { '?' };
            let place = format!("{place}{separator}delivery={}", text.delivery_id);
            form = format!("{form}&{}", form_urlencoded(&[("StatusCallback", &place)]));
        }
        let url = format!("{}/2010-04-01/Accounts/{account}/Messages.json", url.trim_end_matches('/'));
        let mut post = Post::new(url, "application/x-www-form-urlencoded", form.into_bytes());
        post.login = Some((account.clone(), token.clone()));
        post
    }
}

impl SmsProvider for Twilio {
    fn ready(&self) -> Result<(), SendError> {
        let TwilioSettings { account, token, from, .. } = &self.settings;
        if account.is_empty() || from.is_empty() || token.expose_secret().is_empty() {
            let why = "Twilio needs sms.from, sms.twilio_account and sms.twilio_token";
            return Err(SendError::new(Decision::Retry, "sms_settings", why));
        }
        Ok(())
    }

    fn send<'a>(&'a self, text: &'a Text) -> BoxFuture<'a, Result<Taken, SendError>> {
        Box::pin(async move {
            match self.outbound.post(self.request(text)).await {
                Ok(reply) => understood(&reply),
                // There is no key by which it would know a message that comes again.
                Err(error) => {
                    let setting = ("sms_settings", "sms.twilio_url");
                    Err(SendError::no_answer_of(&error, Decision::Uncertain, setting))
                }
            }
        })
    }
}

/// What an answer means, by the documented statuses and error codes.
fn understood(reply: &Reply) -> Result<Taken, SendError> {
    let body = reply.json();
    if reply.is_success() {
        let id = body["sid"].as_str().map(str::to_owned);
        let status = body["status"].as_str().unwrap_or("taken").to_owned();
        return Ok(Taken { id, reply: status, http_status: reply.status });
    }
    let answered = |decision, code| Err(SendError::answered(decision, code, reply));
    match (reply.status, body["code"].as_i64()) {
        (_, Some(21610)) => answered(Decision::Suppress, "sms_stopped"),
        (_, Some(21211 | 21214 | 21217 | 21614)) => answered(Decision::Suppress, "sms_number_invalid"),
        (429, _) | (_, Some(20429)) => answered(Decision::Retry, "sms_rate"),
        (401 | 403, _) | (_, Some(20003)) => answered(Decision::Retry, "sms_settings"),
        (408 | 425 | 500.., _) => answered(Decision::Retry, "sms_unavailable"),
        (300..=399, _) => answered(Decision::Fail, "redirected"),
        _ => answered(Decision::Fail, "sms_refused"),
    }
}

fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    let encoded = pairs.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// What a status callback says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TwilioStatus {
    /// The provider's number of the message.
    pub sid: String,
    /// `queued`, `sent`, `delivered`, `undelivered`, `failed` ...
    pub status: String,
    /// Why it is not delivered.
    pub error_code: Option<i64>,
    /// The delivery that the callback's address names.
    pub delivery_id: Option<i64>,
}

impl TwilioStatus {
    /// Reads the form of a callback, and the delivery of the address it came to.
    pub fn read(form: &str, url: Option<&str>) -> Result<Self> {
        let mut read = Self::default();
        for (name, value) in pairs(form) {
            match name.as_str() {
                "MessageSid" => read.sid = value,
                "MessageStatus" => read.status = value,
                "ErrorCode" => read.error_code = value.parse().ok(),
                _ => {}
            }
        }
        if read.sid.is_empty() || read.status.is_empty() {
            return Err(Error::Invalid {
                what: "the status callback".into(),
                why: "it must be a form with MessageSid and MessageStatus".into(),
            });
        }
        let url = url.and_then(|url| Url::parse(url).ok());
        let delivery = url.as_ref().and_then(|url| {
            url.query_pairs().find(|(name, _)| name == "delivery").and_then(|(_, value)| value.parse().ok())
        });
        read.delivery_id = delivery;
        Ok(read)
    }
}

/// The fields of a form.
fn pairs(form: &str) -> Vec<(String, String)> {
    let url = format!("form:?{}", form.trim());
    let url = Url::parse(&url).ok();
    let fields = url.iter().flat_map(|url| url.query_pairs().into_owned());
    fields.collect()
}

/// Whether `X-Twilio-Signature` is right for a form that came to this address, in constant time.
///
/// `url` is the address as the provider called it, with scheme, host and query: behind a proxy that is not what the
/// application sees.
pub fn signature_matches(token: &SecretString, url: &str, form: &str, signature: &str) -> bool {
    let Ok(given) = STANDARD.decode(signature.trim()) else { return false };
    let mut fields = pairs(form);
    fields.sort();
    let signed = fields.into_iter().fold(url.to_owned(), |text, (name, value)| text + &name + &value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose_secret().as_bytes());
    hmac::verify(&key, signed.as_bytes(), &given).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str =
        "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212";
    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const SIGNATURE: &str = "0/KCTR6DLpKmkAf8muzZqo1nDgQ=";

    #[test]
    fn the_published_example_of_a_signature_verifies_and_nothing_beside_it() {
        let token: SecretString = "12345".into();
        assert!(signature_matches(&token, URL, FORM, SIGNATURE));
        assert!(!signature_matches(&"12346".into(), URL, FORM, SIGNATURE));
        assert!(!signature_matches(&token, "https://mycompany.com/myapp.php?foo=1", FORM, SIGNATURE));
        assert!(!signature_matches(&token, URL, &FORM.replace("1234&", "1235&"), SIGNATURE));
        assert!(!signature_matches(&token, URL, FORM, "not base64!"));
        assert!(!signature_matches(&token, URL, FORM, ""));
    }

    #[test]
    fn the_documented_errors_decide_what_follows() {
        let reply = |status, code: i64| Reply {
            status,
            retry_after: None,
            body: format!("{{\"code\":{code},\"message\":\"m\"}}").into_bytes(),
        };
        let decided = |status, code| {
            let error = understood(&reply(status, code)).unwrap_err();
            (error.decision, error.code)
        };
        assert_eq!(decided(400, 21610), (Decision::Suppress, "sms_stopped"));
        assert_eq!(decided(400, 21211), (Decision::Suppress, "sms_number_invalid"));
        assert_eq!(decided(400, 21614), (Decision::Suppress, "sms_number_invalid"));
        assert_eq!(decided(400, 21602), (Decision::Fail, "sms_refused"));
        assert_eq!(decided(401, 20003), (Decision::Retry, "sms_settings"));
        assert_eq!(decided(429, 20429), (Decision::Retry, "sms_rate"));
        assert_eq!(decided(503, 0), (Decision::Retry, "sms_unavailable"));
        assert_eq!(decided(307, 0), (Decision::Fail, "redirected"));
    }

    #[test]
    fn a_callback_is_read_with_the_delivery_of_its_address() {
        let url = "https://app.example.com/twilio/acme?delivery=17";
        let read =
            TwilioStatus::read("MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003\n", Some(url))
                .unwrap();
        assert_eq!((read.sid.as_str(), read.status.as_str()), ("SM1", "undelivered"));
        assert_eq!((read.error_code, read.delivery_id), (Some(30003), Some(17)));
        assert!(TwilioStatus::read("{}", None).is_err());
    }
}
