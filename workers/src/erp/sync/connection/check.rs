//! What of a connection cannot work, or would give a secret away.

use fairlane::{Error, Result};

use super::super::http::base_url;
use super::{Auth, Connection, Dialect, Entity, odoo_user};

impl Connection {
    /// Refuses what cannot work, or would give a secret away.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn validate(&self) -> Result<()> {
        let invalid = |what: &str, why: String| Err(Error::Invalid { what: what.to_owned(), why });
        let url = match base_url(&self.base_url) {
            Ok(url) => url,
            Err(why) => return invalid("the connection's address", why.to_string()),
        };
        let settings = &self.settings;
        if url.scheme() == "http" && self.auth != Auth::None && settings.allow_addresses.is_empty() {
            return invalid(
                "the connection's address",
                "http would send the secret in the clear; use https".into(),
            );
        }
        if self.auth == Auth::Oauth2 {
            let Some(token_url) = &settings.token_url else {
                return invalid("the connection", "oauth2 needs --token-url".into());
            };
            if let Err(why) = base_url(token_url) {
                return invalid("the token's address", why.to_string());
            }
            if token_url.starts_with("http:") && settings.allow_addresses.is_empty() {
                return invalid(
                    "the token's address",
                    "http would send the secret in the clear; use https".into(),
                );
            }
        }
        if matches!(self.auth, Auth::Basic | Auth::Oauth2) && settings.username.is_none() {
            return invalid("the connection", format!("{} needs --username", self.auth));
        }
        if self.dialect == Dialect::Odoo && (settings.database.is_none() || odoo_user(settings).is_none()) {
            return invalid(
                "the connection",
                "odoo needs --odoo-database and the user's number as --username".into(),
            );
        }
        if !(settings.per_second > 0.0 && settings.per_second <= 10_000.0) || settings.burst == 0 {
            return invalid(
                "the rate",
                "it must be above 0 and at most 10,000 a second, the burst at least 1".into(),
            );
        }
        if settings.max_deletions_percent > 100 || settings.timeout_seconds == 0 || settings.max_pages == 0 {
            return invalid(
                "the limits",
                "a share is at most 100 %, a time and a number of pages at least 1".into(),
            );
        }
        for name in settings.policies.keys() {
            let (entity, _) = name.split_once('.').unwrap_or((name, ""));
            entity.parse::<Entity>()?;
        }
        self.description()?.check()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::connection;
    use super::*;

    #[test]
    fn a_secret_is_not_sent_in_the_clear() {
        assert!(connection().validate().is_ok());
        let plain = Connection { base_url: "http://shop.example".into(), ..connection() };
        assert!(plain.validate().unwrap_err().to_string().contains("in the clear"));
        let open = Connection { auth: Auth::None, ..plain };
        assert!(open.validate().is_ok());
    }

    #[test]
    fn what_a_kind_needs_is_asked_for() {
        let error = |connection: Connection| connection.validate().unwrap_err().to_string();
        assert!(error(Connection { auth: Auth::Basic, ..connection() }).contains("--username"));
        assert!(error(Connection { auth: Auth::Oauth2, ..connection() }).contains("--token-url"));
        assert!(error(Connection { dialect: Dialect::Odoo, ..connection() }).contains("--odoo-database"));
        assert!(error(Connection { dialect: Dialect::Generic, ..connection() }).contains("--description"));
    }
}
