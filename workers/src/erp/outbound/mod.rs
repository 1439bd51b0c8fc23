//! Requests that leave the house: to providers, and to addresses that tenants have given us.
//!
//! [`Outbound`] is the guarded client: no redirects, no proxies, no private addresses (see [`guard`]), little patience and
//! small answers. Its errors say whether anything of the request has left, for that decides whether it may be repeated.

pub mod guard;
pub mod network;
pub mod outcome;
pub mod retry_after;
pub mod seal;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Url};

use guard::{Allowed, Forbidden, Guard, Lookup, SystemLookup};

/// Most bytes of an answer that are read.
pub const MOST_BYTES: usize = 64 * 1024;

/// How requests leave.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// Whether private addresses and unencrypted ones are allowed: for tests and closed networks.
    pub allow_private: bool,
    /// How long a connection may take to stand.
    pub connect_timeout: Duration,
    /// How long a request may take as a whole.
    pub timeout: Duration,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            allow_private: false,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address is none, or none that requests may go to; nothing was sent.
    #[error("{0}")]
    Forbidden(String),
    /// The other side could not be reached; nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    /// The request was sent, or a part of it, and no answer came.
    #[error("{0}")]
    Lost(String),
}

/// A request with a body.
pub struct Post {
    /// Where to.
    pub url: String,
    /// What kind of body it is.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// User and password.
    pub login: Option<(String, secrecy::SecretString)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Post {
    /// A request without further headers.
    pub fn new(url: impl Into<String>, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { url: url.into(), content_type, headers: Vec::new(), login: None, body }
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Headers and body may be secret, and an address may hold a token.
impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What the other side said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// When to come again, where it said so.
    pub retry_after: Option<Duration>,
    /// The body, at most [`MOST_BYTES`] of it; empty where it broke off.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether it has taken the request.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The status and the beginning of the body, for people.
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        match text.trim() {
            "" => format!("HTTP {}", self.status),
            text => format!("HTTP {}: {text}", self.status),
        }
    }
}

/// The guarded client; clones share it.
#[derive(Clone)]
pub struct Outbound {
    settings: OutboundSettings,
    lookup: Arc<dyn Lookup>,
    /// Built by the first request: a command that sends nothing loads no certificates.
    client: Arc<OnceLock<Result<Client, String>>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client; nothing is connected yet.
    pub fn new(settings: OutboundSettings) -> Self {
        Self { settings, lookup: Arc::new(SystemLookup), client: Arc::default() }
    }

    /// The same with another way to find the addresses of names.
    pub fn with_lookup(self, lookup: impl Lookup + 'static) -> Self {
        Self { lookup: Arc::new(lookup), client: Arc::default(), ..self }
    }

    /// Refuses an address that no request may ever go to, as far as its text says so.
    pub fn check_url(&self, text: &str) -> Result<Url, OutboundError> {
        let forbidden = |why: String| Err(OutboundError::Forbidden(why));
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(why) => return forbidden(format!("that is no address: {why}")),
        };
        if !(url.scheme() == "https" || url.scheme() == "http" && self.settings.allow_private) {
            return forbidden("it must begin with https://".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return forbidden("it must not hold a user or a password".into());
        }
        let Some(host) = url.host_str() else { return forbidden("it names no host".into()) };
        // An address instead of a name is never resolved, so nothing else would look at it.
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        match literal {
            Some(address) if !self.guard().permits(address) => {
                Err(inside(&Forbidden { host: host.to_owned(), address }))
            }
            _ => Ok(url),
        }
    }

    /// Sends a request, and waits for the answer.
    pub async fn post(&self, post: Post) -> Result<Reply, OutboundError> {
        let url = self.check_url(&post.url)?;
        let client = self.client()?;
        let mut request = client.post(url).header(CONTENT_TYPE, post.content_type).body(post.body);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        if let Some((user, password)) = post.login {
            use secrecy::ExposeSecret;
            request = request.basic_auth(user, Some(password.expose_secret()));
        }
        let response = request.send().await.map_err(|error| told(&error))?;
        let status = response.status().as_u16();
        let retry_after = asked_to_wait(response.headers());
        Ok(Reply { status, retry_after, body: read(response).await })
    }

    fn guard(&self) -> Guard {
        let allowed = match self.settings.allow_private {
            true => Allowed::Everything,
            false => Allowed::Networks(Vec::new()),
        };
        Guard::new(allowed, self.lookup.clone())
    }

    fn client(&self) -> Result<&Client, OutboundError> {
        let built = self.client.get_or_init(|| self.build());
        built
            .as_ref()
            .map_err(|why| OutboundError::Unreachable(format!("the HTTP client cannot be made: {why}")))
    }

    fn build(&self) -> Result<Client, String> {
        // Refused where the process has one already: it is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(concat!("Fairlane/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A proxy would resolve names by itself, behind the guard.
            .no_proxy()
            .no_gzip()
            // A connection that was kept may be closed at the moment it is used: then nobody knows what has arrived.
            .pool_max_idle_per_host(0)
            .connect_timeout(self.settings.connect_timeout)
            .timeout(self.settings.timeout)
            .dns_resolver(self.guard())
            .build()
            .map_err(|error| with_causes(&error))
    }
}

/// A text as part of an address or a form: all but letters, digits and `-_.~` as `%XX`.
pub fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn asked_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    retry_after::parse(text, chrono::Utc::now())
}

/// The beginning of the body. What breaks off behind the status changes nothing about the status.
async fn read(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MOST_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MOST_BYTES {
            break;
        }
    }
    body
}

fn inside(forbidden: &Forbidden) -> OutboundError {
    OutboundError::Forbidden(format!("{forbidden} (outbound.allow_private lets it be)"))
}

fn told(error: &reqwest::Error) -> OutboundError {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return inside(forbidden);
        }
        cause = inner.source();
    }
    if error.is_builder() {
        OutboundError::Forbidden(with_causes(error))
    } else if error.is_connect() || error.is_dns() {
        OutboundError::Unreachable(with_causes(error))
    } else {
        OutboundError::Lost(with_causes(error))
    }
}

/// The message with its causes, without the address: that may hold a token.
fn with_causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_refused_by_its_text_where_that_says_enough() {
        let strict = Outbound::new(OutboundSettings::default());
        let why = |text: &str| strict.check_url(text).map(|url| url.to_string()).unwrap_err().to_string();
        assert!(strict.check_url("https://hooks.example.com/x?y=1").is_ok());
        assert!(why("http://hooks.example.com").contains("https://"));
        assert!(why("ftp://hooks.example.com").contains("https://"));
        assert!(why("hooks").contains("no address"));
        assert!(why("https://ana:secret@hooks.example.com").contains("password"));
        // However an address is written.
        for local in
            ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"]
        {
            let why = why(&format!("https://{local}/"));
            assert!(why.contains("no public address") && !why.contains("leads to"), "{local}: {why}");
        }
        let settings = OutboundSettings { allow_private: true, ..OutboundSettings::default() };
        assert!(Outbound::new(settings).check_url("http://127.0.0.1:80/x").is_ok());
    }

    #[test]
    fn nothing_of_a_request_is_printed() {
        let post = Post::new("https://example.com/secret-path", "text/plain", b"secret-body".to_vec())
            .header("authorization", "secret-header");
        assert!(!format!("{post:?}").contains("secret"));
    }
}
