//! Secrets of connections at rest: sealed with the key of the house, bound to the row and column they stand in.

use fairlane::{Error, Result};
use secrecy::{ExposeSecret, SecretString};

use crate::erp::outbound::seal::Sealer;

/// Where a sealed text stands: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tenant's number.
    pub tenant: i64,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's number.
    pub row: i64,
}

impl Place<'_> {
    fn words(&self) -> String {
        format!("{}/{}/{}/{}", self.tenant, self.table, self.column, self.row)
    }
}

/// Seals and opens the secrets of connections.
#[derive(Debug, Clone)]
pub struct Vault(Sealer);

impl Vault {
    /// A vault with the key of the house, or with none.
    pub fn new(sealer: Sealer) -> Self {
        Self(sealer)
    }

    /// Seals a text for a place.
    ///
    /// # Errors
    /// Without a key.
    pub fn seal(&self, text: &SecretString, place: Place<'_>) -> Result<String> {
        self.0.seal(text.expose_secret(), &place.words())
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// Without the key it was sealed with, or when it was changed or moved.
    pub fn open(&self, sealed: &str, place: Place<'_>) -> Result<SecretString> {
        self.0.open(sealed, &place.words()).map_err(|error| match error {
            Error::Damaged(why) => Error::Refused {
                what: format!("opening {}.{} of row {}", place.table, place.column, place.row),
                why: format!(
                    "{why}; enter it anew: fairlane erp sync connection set NAME --secret-file FILE"
                ),
            },
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const HERE: Place<'static> = Place { tenant: 1, table: "sync_connections", column: "secret", row: 7 };

    fn vault(byte: u8) -> Vault {
        Vault::new(Sealer::new(&STANDARD.encode([byte; 32]).into()).unwrap())
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
        let secret = SecretString::from("hunter2".to_owned());
        let sealed = vault(1).seal(&secret, HERE).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(vault(1).open(&sealed, HERE).unwrap().expose_secret(), "hunter2");
        for elsewhere in [
            Place { tenant: 2, ..HERE },
            Place { row: 8, ..HERE },
            Place { column: "token", ..HERE },
            Place { table: "sync_tokens", ..HERE },
        ] {
            assert!(vault(1).open(&sealed, elsewhere).is_err(), "{elsewhere:?}");
        }
        let error = vault(2).open(&sealed, HERE).unwrap_err().to_string();
        assert!(error.contains("outbound.secret_key") && error.contains("--secret-file"), "{error}");
    }
}
