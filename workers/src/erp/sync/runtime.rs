//! What exchanging needs beside the database: the key of the secrets, the resolver, the breaker's terms.

use std::sync::Arc;
use std::time::Duration;

use fairlane::config::{Config, ConfigError};
use secrecy::SecretString;

use super::breaker::Terms;
use super::connection::{Auth, Connection};
use super::http::{Endpoint, HttpError, Limits};
use super::secrets::{Place, Vault};
use crate::erp::outbound::guard::{Allowed, Guard, Lookup, SystemLookup};
use crate::erp::outbound::seal::Sealer;
use crate::erp::settings;

/// What exchanging needs beside the database.
#[derive(Debug, Clone)]
pub struct SyncRuntime {
    /// Seals and opens secrets.
    pub vault: Vault,
    /// Turns names into addresses.
    pub lookup: Arc<dyn Lookup>,
    /// When breakers open.
    pub terms: Terms,
    /// How long to wait where nobody says.
    pub wait: Duration,
}

impl SyncRuntime {
    /// Reads the section `sync`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let vault = Vault::new(settings::sealer(config)?);
        let cooldown = config.duration("sync.breaker_cooldown")?;
        Ok(Self {
            vault,
            lookup: Arc::new(SystemLookup),
            terms: Terms {
                failures: config.number("sync.breaker_failures")?,
                cooldown,
                longest: config.duration("sync.breaker_longest")?.max(cooldown),
                probe: Duration::from_secs(120),
            },
            wait: config.duration("sync.retry_wait")?,
        })
    }

    /// One for tests: no key, short waits.
    pub fn fake() -> Self {
        Self {
            vault: Vault::new(Sealer::without_key()),
            lookup: Arc::new(SystemLookup),
            terms: Terms {
                failures: 5,
                cooldown: Duration::from_millis(50),
                longest: Duration::from_millis(200),
                probe: Duration::from_secs(2),
            },
            wait: Duration::from_millis(10),
        }
    }

    /// Where a connection's requests go, under its guard and its limits.
    ///
    /// # Errors
    /// When the address is none.
    pub fn endpoint(&self, connection: &Connection, base: &str) -> Result<Endpoint, HttpError> {
        let settings = &connection.settings;
        let allowed = Allowed::Networks(settings.allow_addresses.clone());
        let mut guard = Guard::new(allowed, self.lookup.clone());
        if connection.auth != Auth::None && !base.trim_start().to_ascii_lowercase().starts_with("https:") {
            guard = guard.in_the_clear();
        }
        let total = connection.timeout();
        let limits =
            Limits { connect: total.min(Duration::from_secs(10)), total, max_bytes: settings.max_bytes };
        Endpoint::new(base, guard, limits)
    }

    /// The secret of a connection; an empty one where it needs none.
    ///
    /// # Errors
    /// Without the key it was sealed with.
    pub fn secret(&self, tenant: i64, connection: &Connection) -> fairlane::Result<SecretString> {
        match &connection.sealed {
            None => Ok(SecretString::from(String::new())),
            Some(sealed) => self.vault.open(sealed, secret_place(tenant, connection.id)),
        }
    }
}

/// Where the secret of a connection stands.
pub(super) fn secret_place(tenant: i64, connection: i64) -> Place<'static> {
    Place { tenant, table: "sync_connections", column: "secret", row: connection }
}

/// Where the access token of a connection stands.
pub(super) fn token_place(tenant: i64, connection: i64) -> Place<'static> {
    Place { tenant, table: "sync_tokens", column: "token", row: connection }
}
