//! Domain events: facts that listeners react to.

use serde::{Serialize, de::DeserializeOwned};

/// Something that happened in the domain, told in the past tense.
///
/// An event carries everything its listeners need: it is stored when it is published and never changes after that.
///
/// ```
/// # use serde::{Serialize, Deserialize};
/// /// A sales order passed its approval.
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// pub struct OrderApproved { pub order_id: i64, pub approved_by: i64 }
///
/// impl fairlane::Event for OrderApproved {
///     const NAME: &'static str = "sales.order.approved";
/// }
/// ```
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// `<domain>.<entity>.<past participle>`, lower case.
    const NAME: &'static str;

    /// The version of the payload's shape.
    const VERSION: i32 = 1;

    /// The type and id of the thing it happened to, for the log's readers.
    fn aggregate(&self) -> Option<Aggregate> {
        None
    }
}

/// The thing an event happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// What kind of thing: `order`, `invoice` ...
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its version after the event, where it keeps one.
    pub version: Option<i64>,
}
