//! How a request says who sends it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use fairlane::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::connection::{Auth, Connection, Dialect};
use super::http::Outgoing;

/// The header of an HMAC signature, unless another is named; that of its time has `-timestamp` behind it.
const SIGNATURE: &str = "x-fairlane-signature";

/// Signs a request: with the connection's secret, or with an access token got by it.
///
/// # Errors
/// When a name or a secret cannot stand in a header.
pub fn sign(
    request: &mut Outgoing,
    connection: &Connection,
    secret: &SecretString,
    now: DateTime<Utc>,
) -> Result<()> {
    // Odoo's login is in the body.
    if connection.dialect == Dialect::Odoo {
        return Ok(());
    }
    let settings = &connection.settings;
    match connection.auth {
        Auth::None => Ok(()),
        Auth::Bearer => match bearer_header(connection) {
            Some(header) => set(request, header, secret.expose_secret()),
            None => set(request, AUTHORIZATION.as_str(), &format!("Bearer {}", secret.expose_secret())),
        },
        Auth::Oauth2 => set(request, AUTHORIZATION.as_str(), &format!("Bearer {}", secret.expose_secret())),
        Auth::Basic => {
            let login =
                format!("{}:{}", settings.username.as_deref().unwrap_or_default(), secret.expose_secret());
            set(request, AUTHORIZATION.as_str(), &format!("Basic {}", STANDARD.encode(login)))
        }
        Auth::Hmac => {
            let header = settings.header.as_deref().unwrap_or(SIGNATURE);
            let time = now.timestamp().to_string();
            let signature = signature(request, &time, secret)?;
            if let Some(name) = &settings.username {
                set(request, &format!("{header}-key"), name)?;
            }
            set(request, &format!("{header}-timestamp"), &time)?;
            set(request, header, &signature)
        }
    }
}

fn bearer_header(connection: &Connection) -> Option<&str> {
    let usual = (connection.dialect == Dialect::Shopify).then_some("x-shopify-access-token");
    connection.settings.header.as_deref().or(usual)
}

/// Base64 of the HMAC-SHA256 over time, method, path with query, and body, with line breaks between.
fn signature(request: &Outgoing, time: &str, secret: &SecretString) -> Result<String> {
    let invalid = |_| Error::Invalid { what: "the secret".into(), why: "it cannot be a key".into() };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(invalid)?;
    let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    mac.update(format!("{time}\n{}\n{}{query}\n", request.method, request.url.path()).as_bytes());
    mac.update(request.body.as_deref().unwrap_or_default());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

fn set(request: &mut Outgoing, name: &str, value: &str) -> Result<()> {
    let invalid = |what: &str| Error::Invalid {
        what: what.to_owned(),
        why: "it holds a character that no header may hold".into(),
    };
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("the header's name"))?;
    let mut value = HeaderValue::from_str(value).map_err(|_| invalid("the secret"))?;
    value.set_sensitive(true);
    request.headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::connection::ConnectionSettings;
    use super::*;

    fn signed(auth: Auth, dialect: Dialect, secret: &str) -> Outgoing {
        let settings = ConnectionSettings { username: Some("ana".into()), ..ConnectionSettings::default() };
        let connection = Connection {
            id: 1,
            name: "shop".into(),
            dialect,
            base_url: "https://shop.example".into(),
            auth,
            sealed: None,
            settings,
            active: true,
        };
        let mut request = Outgoing::get("https://shop.example/p?page=2".parse().unwrap());
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        sign(&mut request, &connection, &SecretString::from(secret.to_owned()), now).unwrap();
        request
    }

    fn header(request: &Outgoing, name: &str) -> String {
        request.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn each_way_has_its_header_and_none_is_shown() {
        let bearer = signed(Auth::Bearer, Dialect::Generic, "tok");
        assert_eq!(header(&bearer, "authorization"), "Bearer tok");
        assert!(!format!("{bearer:?}").contains("tok"), "{bearer:?}");
        assert_eq!(header(&signed(Auth::Bearer, Dialect::Shopify, "tok"), "x-shopify-access-token"), "tok");
        assert_eq!(header(&signed(Auth::Basic, Dialect::Generic, "pw"), "authorization"), "Basic YW5hOnB3");
        assert!(signed(Auth::None, Dialect::Generic, "tok").headers.is_empty());
        assert!(signed(Auth::Basic, Dialect::Odoo, "tok").headers.is_empty());
    }

    #[test]
    fn a_signature_is_that_of_method_path_query_time_and_body() {
        let request = signed(Auth::Hmac, Dialect::Generic, "key");
        assert_eq!(header(&request, "x-fairlane-signature-timestamp"), "1700000000");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"key").unwrap();
        mac.update(b"1700000000\nGET\n/p?page=2\n");
        assert_eq!(header(&request, "x-fairlane-signature"), STANDARD.encode(mac.finalize().into_bytes()));
    }
}
