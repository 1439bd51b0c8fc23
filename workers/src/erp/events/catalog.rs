//! What happens to products.

use std::collections::BTreeMap;

use fairlane::{Aggregate, Event};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A product was added to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductCreated {
    /// The product.
    pub product_id: i64,
    /// Its code; a product imported without one has the key made of its handle here.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Its version: 1.
    pub version: i64,
    /// The other fields it was created with, by column; money and quantities as decimal text.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
    /// The user who did it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
    /// The import that did it, where one did.
    #[serde(default)]
    pub import_id: Option<i64>,
}

/// A product was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductUpdated {
    /// The product.
    pub product_id: i64,
    /// Its code after the change.
    pub sku: String,
    /// Its name after the change.
    pub name: String,
    /// Its version after the change.
    pub version: i64,
    /// What changed, by column; nothing that stayed as it was.
    pub changes: BTreeMap<String, Change>,
    /// The user who did it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
    /// The import that did it, where one did.
    #[serde(default)]
    pub import_id: Option<i64>,
}

/// A product was taken out of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductDeleted {
    /// The product.
    pub product_id: i64,
    /// The code it had.
    pub sku: String,
    /// The name it had.
    pub name: String,
    /// Its last version.
    pub version: i64,
    /// The user who did it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
    /// The import whose undoing did it, where one did.
    #[serde(default)]
    pub import_id: Option<i64>,
}

/// A field before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The value it had.
    pub old: Value,
    /// The value it has now.
    pub new: Value,
}

impl Event for ProductCreated {
    const NAME: &'static str = "catalog.product.created";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(product(self.product_id, self.version))
    }
}

impl Event for ProductUpdated {
    const NAME: &'static str = "catalog.product.updated";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(product(self.product_id, self.version))
    }
}

impl Event for ProductDeleted {
    const NAME: &'static str = "catalog.product.deleted";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(product(self.product_id, self.version))
    }
}

fn product(id: i64, version: i64) -> Aggregate {
    Aggregate { kind: "product", id: id.to_string(), version: Some(version) }
}
