//! What a tenant says about another system: where it is, how it is asked, who wins when both have changed something.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fairlane::{Error, Result};
use serde::{Deserialize, Serialize};

use super::addresses::Network;
use super::bucket::Rate;
use super::dialects::Description;
use super::http::base_url;

/// What is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// Products of the catalogue.
    Products,
    /// Customers.
    Customers,
    /// How many are where.
    Inventory,
    /// Sales orders.
    Orders,
}

/// A closed list of words, as text and back.
macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident => $word:literal),+ $(,)?) => {
        impl $type {
            /// All of them, in the order in which they depend on each other.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the database, on the command line and in output.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word).ok_or_else(|| Error::Invalid {
                    what: format!(concat!($what, " \"{}\""), word.escape_debug()),
                    why: format!("it must be one of: {}", [$($word),+].join(", ")),
                })
            }
        }
    };
}

words!(Entity, "the entity", Products => "products", Customers => "customers", Inventory => "inventory",
    Orders => "orders");

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the other system.
    Pull,
    /// To it.
    Push,
}
words!(Direction, "the direction", Pull => "pull", Push => "push");

/// Whose language the other system speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// As a description says.
    Generic,
    /// Shopify's REST Admin API.
    Shopify,
    /// `WooCommerce`'s REST API v3.
    Woocommerce,
    /// Odoo's JSON-RPC.
    Odoo,
}
words!(Dialect, "the dialect", Generic => "generic", Shopify => "shopify", Woocommerce => "woocommerce", Odoo => "odoo");

/// How a request says who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Not at all.
    None,
    /// The secret is a token: in `Authorization`, or the header named.
    Bearer,
    /// User name and the secret as password.
    Basic,
    /// The secret signs each request (HMAC-SHA256).
    Hmac,
    /// The secret is a client's, and gets access tokens (client credentials).
    Oauth2,
}
words!(Auth, "the authentication", None => "none", Bearer => "bearer", Basic => "basic", Hmac => "hmac",
    Oauth2 => "oauth2");

/// Who wins when both sides have changed a field since they last agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The other system.
    #[default]
    RemoteWins,
    /// We.
    LocalWins,
    /// Whoever was last.
    NewestWins,
    /// A person decides; until then ours stays.
    Manual,
}
words!(Policy, "the policy", RemoteWins => "remote_wins", LocalWins => "local_wins", NewestWins => "newest_wins",
    Manual => "manual");

/// Everything about a connection that is no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionSettings {
    /// The login of `basic`, the client of `oauth2`, the key's name of `hmac`, the user's number of Odoo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Where `oauth2` gets its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// The scope it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The header of the token, in place of `Authorization`; or of the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The database of Odoo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Private addresses that it may lead to.
    pub allow_addresses: Vec<Network>,
    /// Requests a second.
    pub per_second: f64,
    /// Requests at once.
    pub burst: u32,
    /// Records of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u64>,
    /// Most pages of a run.
    pub max_pages: u64,
    /// Most bytes of an answer.
    pub max_bytes: u64,
    /// Seconds an answer may take.
    pub timeout_seconds: u64,
    /// Seconds by which a run reaches back behind the one before.
    pub overlap_seconds: u64,
    /// Most records that may have vanished, in percent, for those to be made inactive here.
    pub max_deletions_percent: u32,
    /// Who wins, by group of fields (`products.price`) or entity (`products`).
    pub policies: BTreeMap<String, Policy>,
    /// Our location for each of theirs; one that is not named has the same code.
    pub locations: BTreeMap<String, String>,
    /// How the generic dialect asks, and what is other than usual in the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            username: None,
            token_url: None,
            scope: None,
            header: None,
            database: None,
            allow_addresses: Vec::new(),
            per_second: 2.0,
            burst: 40,
            page_size: None,
            max_pages: 10_000,
            max_bytes: 16 << 20,
            timeout_seconds: 30,
            overlap_seconds: 120,
            max_deletions_percent: 10,
            policies: BTreeMap::new(),
            locations: BTreeMap::new(),
            description: None,
        }
    }
}

/// A connection as stored; what is sealed in it stays sealed.
#[derive(Debug, Clone, Serialize)]
pub struct Connection {
    /// Its number inside the database.
    pub id: i64,
    /// What people call it by.
    pub name: String,
    /// Whose language the other system speaks.
    pub dialect: Dialect,
    /// Where it is.
    pub base_url: String,
    /// How requests say who sends them.
    pub auth: Auth,
    /// The secret, sealed.
    #[serde(skip)]
    pub sealed: Option<String>,
    /// The rest.
    pub settings: ConnectionSettings,
    /// Whether it is used.
    pub active: bool,
}

impl Connection {
    /// How often it may be asked.
    pub fn rate(&self) -> Rate {
        Rate { per_second: self.settings.per_second, burst: self.settings.burst }
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.settings.timeout_seconds)
    }

    /// Who wins about a group of fields.
    pub fn policy(&self, entity: Entity, group: &str) -> Policy {
        let policies = &self.settings.policies;
        let exact = policies.get(&format!("{entity}.{group}"));
        exact.or_else(|| policies.get(entity.as_str())).copied().unwrap_or_default()
    }

    /// How it is asked.
    ///
    /// # Errors
    /// When the generic dialect has no description.
    pub fn description(&self) -> Result<Description> {
        Description::of(self.dialect, self.settings.description.as_ref())
    }

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
                "odoo needs --database and the user's number as --username".into(),
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

/// The number of the user that speaks to Odoo.
pub(super) fn odoo_user(settings: &ConnectionSettings) -> Option<i64> {
    settings.username.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection {
            id: 1,
            name: "shop".into(),
            dialect: Dialect::Shopify,
            base_url: "https://shop.example/admin/api/2024-07".into(),
            auth: Auth::Bearer,
            sealed: None,
            settings: ConnectionSettings::default(),
            active: true,
        }
    }

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
        assert!(error(Connection { dialect: Dialect::Odoo, ..connection() }).contains("--database"));
        assert!(error(Connection { dialect: Dialect::Generic, ..connection() }).contains("--description"));
    }

    #[test]
    fn the_policy_of_a_group_goes_before_that_of_its_entity() {
        let mut connection = connection();
        connection.settings.policies =
            [("products".to_owned(), Policy::Manual), ("products.price".to_owned(), Policy::LocalWins)]
                .into();
        assert_eq!(connection.policy(Entity::Products, "price"), Policy::LocalWins);
        assert_eq!(connection.policy(Entity::Products, "catalogue"), Policy::Manual);
        assert_eq!(connection.policy(Entity::Customers, "contact"), Policy::RemoteWins);
    }
}
