//! Any provider that takes a message by one HTTP request: address and body are templates.

use futures::future::BoxFuture;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use secrecy::ExposeSecret;

use super::{SmsProvider, Taken, Text};
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::outbound::{Outbound, Post, percent};
use crate::erp::settings::GatewaySettings;

/// A provider behind an address of its own.
#[derive(Debug, Clone)]
pub struct HttpGateway {
    settings: GatewaySettings,
    outbound: Outbound,
}

impl HttpGateway {
    /// The provider with these settings; nothing is connected yet.
    pub fn new(settings: GatewaySettings, outbound: Outbound) -> Self {
        Self { settings, outbound }
    }

    fn request(&self, text: &Text) -> Result<Post, SendError> {
        let url = fill(&self.settings.url, AutoEscape::None, text, &self.settings.from)?;
        let body = fill(&self.settings.body, AutoEscape::Json, text, &self.settings.from)?;
        let mut post =
            Post::new(url, "application/json", body.into_bytes()).header("idempotency-key", &text.key);
        let token = self.settings.token.expose_secret();
        if !token.is_empty() {
            post = post.header("authorization", format!("Bearer {token}"));
        }
        Ok(post)
    }
}

/// A template filled in. In a body every value is a JSON string with its quotes; in an address use the filter `urlencode`.
fn fill(template: &str, escape: AutoEscape, text: &Text, from: &str) -> Result<String, SendError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(100_000));
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.add_filter("urlencode", |text: String| percent(&text));
    let values =
        context! { to => &text.to, from, text => &text.body, id => &text.key, tenant => &text.tenant };
    environment.render_str(template, values).map_err(|why| {
        let why = format!("sms.http_url or sms.http_body cannot be filled in: {why}");
        SendError::new(Decision::Retry, "sms_settings", why)
    })
}

impl SmsProvider for HttpGateway {
    fn ready(&self) -> Result<(), SendError> {
        if self.settings.url.is_empty() {
            return Err(SendError::new(Decision::Retry, "sms_settings", "the gateway needs sms.http_url"));
        }
        Ok(())
    }

    fn forgives_repeats(&self) -> bool {
        self.settings.forgives_repeats
    }

    fn send<'a>(&'a self, text: &'a Text) -> BoxFuture<'a, Result<Taken, SendError>> {
        Box::pin(async move {
            let lost = if self.forgives_repeats() { Decision::Retry } else { Decision::Uncertain };
            let reply = match self.outbound.post(self.request(text)?).await {
                Ok(reply) => reply,
                Err(error) => {
                    return Err(SendError::no_answer_of(&error, lost, ("sms_settings", "sms.http_url")));
                }
            };
            let answered = |decision, code| Err(SendError::answered(decision, code, &reply));
            match reply.status {
                200..=299 => {
                    let id = reply.json().pointer(&self.settings.id_pointer).and_then(as_text);
                    Ok(Taken { id, reply: reply.words(), http_status: reply.status })
                }
                401 | 403 => answered(Decision::Retry, "sms_settings"),
                408 | 429 => answered(Decision::Retry, "sms_rate"),
                500.. => answered(Decision::Retry, "sms_unavailable"),
                300..=399 => answered(Decision::Fail, "redirected"),
                _ => answered(Decision::Fail, "sms_refused"),
            }
        })
    }
}

fn as_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Text {
        Text {
            to: "+4915112345678".into(),
            body: body.into(),
            tenant: "acme".into(),
            delivery_id: 1,
            key: "msg_1".into(),
        }
    }

    #[test]
    fn what_a_message_says_cannot_break_out_of_the_body() {
        let template = r#"{"to": {{ to }}, "text": {{ text }}}"#;
        let said = "quote \" brace } newline \n {{ to }} </script>";
        let body = fill(template, AutoEscape::Json, &text(said), "").unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["to"], &body["text"]), (&"+4915112345678".into(), &said.into()));
    }

    #[test]
    fn an_address_can_hold_the_number() {
        let url = fill(
            "https://sms.example.com/{{ to | urlencode }}?f={{ from }}",
            AutoEscape::None,
            &text("x"),
            "F",
        );
        assert_eq!(url.unwrap(), "https://sms.example.com/%2B4915112345678?f=F");
        let error = fill("{{ nothing }}", AutoEscape::None, &text("x"), "F").unwrap_err();
        assert_eq!((error.code, error.decision), ("sms_settings", Decision::Retry));
    }
}
