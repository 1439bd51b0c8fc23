//! What a tenant says about another system: where it is, how it is asked, who wins when both have changed something.

mod check;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use fairlane::Result;
use serde::{Deserialize, Serialize};

use super::bucket::Rate;
use super::dialects::Description;
use crate::erp::outbound::network::Network;
pub use words::{Auth, Dialect, Direction, Entity, Policy};

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
}

/// The number of the user that speaks to Odoo.
pub(super) fn odoo_user(settings: &ConnectionSettings) -> Option<i64> {
    settings.username.as_deref()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn connection() -> Connection {
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
