//! The closed lists of words in which a connection is described.

use std::fmt;
use std::str::FromStr;

use fairlane::{Error, Result};
use serde::{Deserialize, Serialize};

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
