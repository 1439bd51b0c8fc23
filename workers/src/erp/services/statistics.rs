//! What customers have ordered and paid.

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction, Unique};

use crate::erp::jobs::RecomputeCustomerStatistics;
pub use crate::erp::store::statistics::Statistics;
use crate::erp::store::{profiles, statistics};

/// Computes a customer's statistics anew from orders, invoices and payments, and stores them.
///
/// The result depends on the tables alone: neither on the order of what happened nor on how often it is told. Of several
/// at once the last to write has read last, because each takes the customer's row before it reads.
pub async fn recompute(conn: &mut Conn<'_>, tenant: i64, customer: i64) -> Result<Statistics> {
    if !statistics::lock(conn, tenant, customer).await? {
        return Err(Error::NotFound { what: "customer", name: customer.to_string() });
    }
    let currency = profiles::find(conn, tenant).await?.currency;
    let computed = statistics::compute(conn, tenant, customer, &currency).await?;
    statistics::save(conn, tenant, customer, &computed).await?;
    Ok(computed)
}

/// Lets a customer's statistics be computed anew when the caller's transaction has changed what they are made of and
/// publishes no event that would do it.
///
/// Without the key that coalesces: a job that waits now may read before this transaction commits.
pub async fn refresh(tx: &mut Transaction, tenant: &Tenant, customer: i64) -> Result<()> {
    tenant.dispatch(RecomputeCustomerStatistics { customer_id: customer }).in_tx(tx).await?;
    Ok(())
}

/// As [`refresh`], for who reacts to what is committed: while a job for the customer waits, another adds nothing.
pub async fn refresh_committed(tx: &mut Transaction, tenant: &Tenant, customer: i64) -> Result<()> {
    let job = RecomputeCustomerStatistics { customer_id: customer };
    let key = format!("customer:{customer}");
    tenant.dispatch(job).unique(key, Unique::UntilStarted).in_tx(tx).await?;
    Ok(())
}
