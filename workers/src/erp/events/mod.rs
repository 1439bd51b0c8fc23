//! What happens in the ERP, told in the past tense: typed, self-contained, never changed once published.

pub mod billing;
pub mod catalog;
pub mod crm;
pub mod inventory;
pub mod procurement;
pub mod sales;

use fairlane::Event;

pub use billing::{InvoiceGenerated, InvoiceOverdue, InvoicePaymentReceived};
pub use catalog::{Change, ProductCreated, ProductDeleted, ProductUpdated};
pub use crm::{CustomerCreated, LeadConverted};
pub use inventory::{LowStockDetected, StockExpiring, StockMovementRecorded, ValuationRecalculated};
pub use procurement::{GoodsReceived, PurchaseOrderApproved, ReceivedLine};
pub use sales::{DeliveredLine, OrderApproved, OrderCreated, OrderFulfilled};

/// An event of the ERP, as lists name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// The name it is published under.
    pub name: &'static str,
    /// The name of its class, which people may use in its place.
    pub alias: &'static str,
    /// The version of its payload's shape.
    pub version: i32,
}

const fn described<E: Event>(alias: &'static str) -> Described {
    Described { name: E::NAME, alias, version: E::VERSION }
}

/// All events of the ERP.
pub const CATALOGUE: [Described; 16] = [
    described::<ProductCreated>("ProductCreated"),
    described::<ProductUpdated>("ProductUpdated"),
    described::<ProductDeleted>("ProductDeleted"),
    described::<StockMovementRecorded>("StockMovementRecorded"),
    described::<LowStockDetected>("LowStockDetected"),
    described::<StockExpiring>("StockExpiring"),
    described::<OrderCreated>("OrderCreated"),
    described::<OrderApproved>("OrderApproved"),
    described::<OrderFulfilled>("OrderFulfilled"),
    described::<InvoiceGenerated>("InvoiceGenerated"),
    described::<InvoicePaymentReceived>("InvoicePaymentReceived"),
    described::<InvoiceOverdue>("InvoiceOverdue"),
    described::<CustomerCreated>("CustomerCreated"),
    described::<LeadConverted>("LeadConverted"),
    described::<PurchaseOrderApproved>("PurchaseOrderApproved"),
    described::<GoodsReceived>("GoodsReceived"),
];
