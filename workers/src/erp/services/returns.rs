//! Goods that customers give back, and goods that go back to vendors.

mod customer;
mod open;
mod vendor;

use chrono::{DateTime, Datelike, Utc};
use fairlane::{Result, Tenant, Transaction};

use super::orders::{self, NewLine, amounts, checked};
use crate::erp::money::Amounts;
use crate::erp::store::returns::{self, NewReturn, Return};
use crate::erp::store::{customers, now, profiles, sequences};

pub use customer::{Back, TakenBack, take_back};
pub use open::BackLine;
pub use vendor::{SendBack, SentBack, send_back};

/// What came back, as somebody enters it.
#[derive(Debug, Clone, Default)]
pub struct Returned {
    /// The customer's code.
    pub customer: String,
    /// The number of the order it was delivered with, where that is known: `SO-2026-00001`.
    pub order: Option<String>,
    /// The country it comes from, as people write it; else its customer's address says it.
    pub country: Option<String>,
    /// When it came back; now without it.
    pub at: Option<DateTime<Utc>>,
    /// The goods, at the prices they were sold for.
    pub lines: Vec<NewLine>,
}

/// Enters a return, in the tenant's currency: it takes away from the sales of its day.
///
/// It is the paper of the return and nothing else, for what was delivered by somebody else: [`take_back`] enters it together
/// with the movements of stock. Money that is given back is a payment below nothing.
pub async fn enter(tx: &mut Transaction, tenant: &Tenant, new: Returned) -> Result<Return> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let customer = customers::by_code(conn, id, &new.customer).await?;
    let order = match &new.order {
        Some(number) => Some(orders::named(conn, id, number).await?.id),
        None => None,
    };
    let profile = profiles::find(conn, id).await?;
    let lines = checked(conn, id, &new.lines).await?;
    let line_amounts = amounts(&lines, profile.decimals)?;
    let sum = Amounts::sum("the return", profile.decimals, &line_amounts)?;
    let now = now(conn).await?;
    let at = orders::past("a return", new.at, now)?;
    let country = orders::country("the return", new.country.as_deref())?;
    let year = profile.day(at.unwrap_or(now)).year().to_string();
    let number = sequences::format("SR", &year, sequences::next(conn, id, "sales_return", &year).await?);
    let new = NewReturn {
        number,
        order_id: order,
        customer_id: customer.id,
        country,
        currency: profile.currency,
        decimals: profile.decimals,
        amounts: sum,
        returned_at: at.unwrap_or(now),
    };
    returns::insert(conn, id, new, &lines).await
}
