//! Access tokens (OAuth2 client credentials): one worker fetches the next one, the others wait for it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::breaker::after;
use super::connection::Connection;
use super::http::{Answer, Endpoint, HttpError, Outgoing};

/// A token is replaced so long before its end.
const MARGIN: Duration = Duration::from_secs(30);
/// For so long one is used in any case: whoever fetched the next one before would fetch without end where tokens live no
/// longer than the margin. One that ends sooner is refused, and then the next one is fetched.
const SHORTEST: Duration = Duration::from_secs(5);
/// How long who fetches a token may take; afterwards another one does.
const HOLD: Duration = Duration::from_secs(60);
/// How often those who wait look again.
const LOOK: Duration = Duration::from_millis(500);

/// The token of a connection, as all workers see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Token {
    /// The token, sealed.
    pub sealed: Option<String>,
    /// Until when it is used: a little before its end.
    pub expires_at: Option<DateTime<Utc>>,
    /// Counts the tokens.
    pub generation: i64,
    /// Somebody fetches the next one, until then.
    pub refresh_until: Option<DateTime<Utc>>,
}

/// What a worker that needs a token does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It uses this one.
    Use(String),
    /// It waits for the one who fetches it.
    Wait(Duration),
    /// It fetches the next one.
    Fetch,
}

impl Token {
    /// What is to be done now; of several workers one fetches.
    pub fn turn(&mut self, now: DateTime<Utc>) -> Turn {
        let valid = self.expires_at.is_none_or(|at| at > now);
        if let (Some(sealed), true) = (&self.sealed, valid) {
            return Turn::Use(sealed.clone());
        }
        if self.refresh_until.is_some_and(|until| until > now) {
            return Turn::Wait(LOOK);
        }
        self.refresh_until = Some(after(now, HOLD));
        Turn::Fetch
    }

    /// A new one has come.
    pub fn fetched(&mut self, sealed: String, lifetime: Option<Duration>, now: DateTime<Utc>) {
        *self = Self {
            sealed: Some(sealed),
            expires_at: lifetime.map(|lifetime| after(now, lifetime.saturating_sub(MARGIN).max(SHORTEST))),
            generation: self.generation + 1,
            refresh_until: None,
        };
    }

    /// None has come: somebody else may try.
    pub fn not_fetched(&mut self) {
        self.refresh_until = None;
    }

    /// The other system refuses the token of this generation: it is forgotten, unless it was replaced meanwhile.
    pub fn refused(&mut self, generation: i64) {
        if self.generation == generation {
            self.sealed = None;
        }
    }
}

/// The request for a token.
///
/// # Errors
/// When its address is none.
pub(super) fn request(connection: &Connection, secret: &SecretString) -> Result<Outgoing, HttpError> {
    let settings = &connection.settings;
    let url = super::http::base_url(settings.token_url.as_deref().unwrap_or_default())?;
    let mut request = Outgoing::get(url);
    request.method = Method::POST;
    let encoded = |text: &str| form(&[("", text)]).trim_start_matches('=').to_owned();
    let client = settings.username.as_deref().unwrap_or_default();
    // RFC 6749 2.3.1: both are encoded as in a form.
    let login = format!("{}:{}", encoded(client), encoded(secret.expose_secret()));
    if let Ok(mut value) = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(login))) {
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
    }
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let mut fields = vec![("grant_type", "client_credentials")];
    fields.extend(settings.scope.as_deref().map(|scope| ("scope", scope)));
    request.body = Some(form(&fields).into_bytes());
    Ok(request)
}

fn form(fields: &[(&str, &str)]) -> String {
    match Url::parse("http://x/") {
        Ok(mut url) => {
            url.query_pairs_mut().extend_pairs(fields);
            url.query().unwrap_or_default().to_owned()
        }
        Err(_) => String::new(),
    }
}

/// The token in an answer, and how long it lives.
pub(super) fn read(answer: &Answer) -> Option<(SecretString, Option<Duration>)> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let token = body.get("access_token")?.as_str().filter(|token| !token.is_empty())?;
    let lifetime = body
        .get("expires_in")
        .and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).map(Duration::from_secs));
    Some((SecretString::from(token.to_owned()), lifetime))
}

/// Where tokens are asked for: another address than the connection's, under the same guard.
pub(super) fn endpoint(
    connection: &Connection,
    like: &super::runtime::SyncRuntime,
) -> Result<Endpoint, HttpError> {
    like.endpoint(connection, connection.settings.token_url.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn one_fetches_and_the_others_wait_until_it_is_there_or_given_up() {
        let mut token = Token::default();
        assert_eq!(token.turn(at(0)), Turn::Fetch);
        assert!(matches!(token.turn(at(1)), Turn::Wait(_)));
        token.fetched("sealed".into(), Some(Duration::from_secs(3600)), at(2));
        assert_eq!(token.turn(at(3)), Turn::Use("sealed".into()));
        assert_eq!(token.turn(at(3580)), Turn::Fetch, "shortly before its end");
        assert_eq!(token.turn(at(3580 + 61)), Turn::Fetch, "who fetched it is gone");
    }

    #[test]
    fn a_token_that_lives_no_longer_than_the_margin_is_used_and_not_fetched_without_end() {
        for lifetime in [0, 1, 20, 30] {
            let mut token = Token::default();
            token.turn(at(0));
            token.fetched("short".into(), Some(Duration::from_secs(lifetime)), at(0));
            assert_eq!(token.turn(at(1)), Turn::Use("short".into()), "{lifetime}");
            assert_eq!(token.turn(at(6)), Turn::Fetch, "{lifetime}");
        }
    }

    #[test]
    fn a_refused_token_is_fetched_once_however_many_were_refused_with_it() {
        let mut token = Token::default();
        token.turn(at(0));
        token.fetched("one".into(), None, at(0));
        token.refused(1);
        assert_eq!(token.turn(at(1)), Turn::Fetch);
        token.fetched("two".into(), None, at(2));
        token.refused(1);
        assert_eq!(
            token.turn(at(3)),
            Turn::Use("two".into()),
            "the first one's refusal says nothing about the second"
        );
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form(&[("a b", "c&d"), ("e", "ü")]), "a+b=c%26d&e=%C3%BC");
    }
}
