//! Requests to another system: to one origin, to permitted addresses, no larger and no longer than allowed.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Url};

use crate::erp::outbound::guard::{Forbidden, Guard};
use crate::erp::outbound::retry_after;

/// Most redirects of one request.
const MOST_REDIRECTS: usize = 3;

/// What an answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To be connected.
    pub connect: Duration,
    /// For everything.
    pub total: Duration,
    /// Of a body, unpacked.
    pub max_bytes: u64,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// GET, POST ...
    pub method: Method,
    /// Where to: of the endpoint's origin.
    pub url: Url,
    /// What it says beside its body; values that are secret are marked so.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Option<Vec<u8>>,
}

impl Outgoing {
    /// A request without a body.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None }
    }
}

/// What came back, of any status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200, 404 ...
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long it asks to wait.
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<Duration> {
        retry_after::parse(self.header(RETRY_AFTER.as_str())?, now)
    }

    /// When it was written, by the clock of who wrote it.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        retry_after::http_date(self.header(DATE.as_str())?)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The configuration or the other system leads where nothing is sent.
    #[error("{what} is refused: {why}")]
    Forbidden {
        /// What: an address, a redirect, a link.
        what: String,
        /// Why.
        why: String,
    },
    /// More than the connection takes.
    #[error(
        "the answer is larger than {limit} bytes; raise --max-bytes, or ask for smaller pages: --page-size"
    )]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Nothing in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// No connection, or one that broke.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
}

/// Where a connection's requests go.
#[derive(Debug, Clone)]
pub struct Endpoint {
    base: Url,
    client: Client,
    guard: Guard,
    limits: Limits,
}

impl Endpoint {
    /// An endpoint below a base address.
    ///
    /// # Errors
    /// When the address is none of the web's, or no client can be made.
    pub fn new(base: &str, guard: Guard, limits: Limits) -> Result<Self, HttpError> {
        let base = base_url(base)?;
        // Another part of the process may have been first; then its provider serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("fairlane/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .dns_resolver(guard.clone())
            .build()
            .map_err(|why| HttpError::Unreachable(origin(&base), causes(&why)))?;
        Ok(Self { base, client, guard, limits })
    }

    /// The base address.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// An address below the base.
    ///
    /// # Errors
    /// When the path is none.
    pub fn below(&self, path: &str) -> Result<Url, HttpError> {
        let mut base = self.base.as_str().trim_end_matches('/').to_owned();
        base.push('/');
        base.push_str(path.trim_start_matches('/'));
        let url =
            Url::parse(&base).map_err(|why| forbidden(&format!("the path {path}"), &why.to_string()))?;
        self.same_origin("the path", url)
    }

    /// An address the other system has given: absolute or not, but of the same origin.
    ///
    /// # Errors
    /// When it leads elsewhere.
    pub fn follow(&self, what: &str, from: &Url, link: &str) -> Result<Url, HttpError> {
        let url = from.join(link).map_err(|why| forbidden(what, &why.to_string()))?;
        self.same_origin(what, url)
    }

    fn same_origin(&self, what: &str, url: Url) -> Result<Url, HttpError> {
        if url.origin() == self.base.origin() && url.username().is_empty() && url.password().is_none() {
            return Ok(url);
        }
        let why = format!("it leads from {} to {}", origin(&self.base), origin(&url));
        Err(forbidden(what, &why))
    }

    /// Sends a request; an answer of any status is an answer. Redirects of what only reads are followed within the origin.
    ///
    /// # Errors
    /// When there is none, or it is forbidden to ask.
    pub async fn send(&self, request: Outgoing) -> Result<Answer, HttpError> {
        let mut url = request.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.send_once(&request, url.clone()).await?;
            let target = match answer.status {
                301 | 302 | 303 | 307 | 308 => answer.header(LOCATION.as_str()),
                _ => None,
            };
            let Some(target) = target else { return Ok(answer) };
            let target = self.follow("a redirect", &url, target)?;
            if request.method != Method::GET {
                return Err(forbidden("a redirect", "what writes is not sent twice"));
            }
            url = target;
        }
        Err(forbidden("a redirect", &format!("it is the fourth in a row ({})", origin(&url))))
    }

    async fn send_once(&self, request: &Outgoing, url: Url) -> Result<Answer, HttpError> {
        self.check_literal(&url)?;
        let mut sent = self.client.request(request.method.clone(), url).headers(request.headers.clone());
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        let mut response = sent.send().await.map_err(|why| self.failed(&why))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let too_large = || HttpError::TooLarge { limit: self.limits.max_bytes };
        if response.content_length().is_some_and(|length| length > self.limits.max_bytes) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|why| self.failed(&why))? {
            if (body.len() + part.len()) as u64 > self.limits.max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, headers, body })
    }

    /// An address in place of a name is asked of no resolver. Odd spellings (octal, one number) are plain ones in a [`Url`].
    fn check_literal(&self, url: &Url) -> Result<(), HttpError> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) if !self.guard.permits(address) => {
                Err(forbidden(&format!("the address {address}"), self.guard.refusal(address)))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, why: &reqwest::Error) -> HttpError {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(why);
        while let Some(error) = cause {
            if let Some(Forbidden { host, address }) = error.downcast_ref::<Forbidden>() {
                let why = self.guard.refusal(*address);
                return forbidden(&format!("the address {address} of {host}"), why);
            }
            cause = error.source();
        }
        if why.is_timeout() {
            return HttpError::Timeout(self.limits.total);
        }
        HttpError::Unreachable(origin(&self.base), causes(why))
    }
}

/// Reads the address of another system.
///
/// # Errors
/// When it is none of the web's, or holds a login.
pub fn base_url(text: &str) -> Result<Url, HttpError> {
    let url =
        Url::parse(text.trim()).map_err(|why| forbidden(&format!("the address {text}"), &why.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return Err(forbidden(&format!("the address {text}"), "it must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(forbidden("the address", "it holds a login, which belongs into --secret-file"));
    }
    Ok(url)
}

fn forbidden(what: &str, why: &str) -> HttpError {
    HttpError::Forbidden { what: what.to_owned(), why: why.to_owned() }
}

/// Scheme, host and port: nothing of an address that could be a secret.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The chain of causes without addresses: a query may hold what nobody should read.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    match texts.is_empty() {
        true => "the connection failed".to_owned(),
        false => texts.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::erp::outbound::guard::{Allowed, SystemLookup};

    fn endpoint(base: &str) -> Endpoint {
        let limits =
            Limits { connect: Duration::from_secs(1), total: Duration::from_secs(1), max_bytes: 1000 };
        Endpoint::new(base, Guard::new(Allowed::Networks(Vec::new()), Arc::new(SystemLookup)), limits)
            .unwrap()
    }

    #[tokio::test]
    async fn addresses_inside_are_refused_in_odd_spellings_too() {
        for host in [
            "127.0.0.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "169.254.169.254",
            "10.0.0.7",
            "0",
            "127.0.0.1.",
        ] {
            let endpoint = endpoint(&format!("http://{host}:9/"));
            let error = endpoint.send(Outgoing::get(endpoint.base().clone())).await.unwrap_err();
            assert!(matches!(error, HttpError::Forbidden { .. }), "{host}: {error}");
        }
    }

    #[test]
    fn links_stay_within_the_origin() {
        let endpoint = endpoint("https://shop.example/api/");
        let base = endpoint.base().clone();
        let follow = |link: &str| endpoint.follow("the next page", &base, link).map(|url| url.to_string());
        assert_eq!(follow("/api/p?page=2").unwrap(), "https://shop.example/api/p?page=2");
        assert_eq!(follow("https://shop.example:443/x").unwrap(), "https://shop.example/x");
        for elsewhere in [
            "http://shop.example/x",
            "https://shop.example:8443/x",
            "https://shop.example.evil.example/",
            "//evil.example/",
            "https://a:b@shop.example/",
            "file:///etc/passwd",
            "https://evil.example@169.254.169.254/",
        ] {
            assert!(follow(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn an_address_without_the_web_or_with_a_login_is_none() {
        for address in
            ["ftp://shop.example", "shop.example", "https://u:p@shop.example", "", "javascript:alert(1)"]
        {
            assert!(base_url(address).is_err(), "{address}");
        }
    }
}
