//! What happens to customers and leads.

use chrono::{DateTime, Utc};
use fairlane::{Aggregate, Event};
use serde::{Deserialize, Serialize};

/// A customer was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerCreated {
    /// The customer.
    pub customer_id: i64,
    /// The customer's code.
    pub code: String,
    /// The customer's name.
    pub name: String,
    /// Where mails go to.
    #[serde(default)]
    pub email: Option<String>,
    /// The lead it was, where it was one.
    #[serde(default)]
    pub lead_id: Option<i64>,
    /// The user who did it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
    /// The import that did it, where one did.
    #[serde(default)]
    pub import_id: Option<i64>,
}

impl Event for CustomerCreated {
    const NAME: &'static str = "crm.customer.created";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "customer", id: self.customer_id.to_string(), version: Some(1) })
    }
}

/// A lead became a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadConverted {
    /// The lead.
    pub lead_id: i64,
    /// The lead's name.
    pub name: String,
    /// The lead's address.
    #[serde(default)]
    pub email: Option<String>,
    /// The lead's telephone number.
    #[serde(default)]
    pub phone: Option<String>,
    /// Its version after the conversion.
    pub version: i64,
    /// When it was converted.
    pub converted_at: DateTime<Utc>,
    /// The user who converted it, where one is known.
    #[serde(default)]
    pub user_id: Option<i64>,
}

impl Event for LeadConverted {
    const NAME: &'static str = "crm.lead.converted";

    fn aggregate(&self) -> Option<Aggregate> {
        Some(Aggregate { kind: "lead", id: self.lead_id.to_string(), version: Some(self.version) })
    }
}
