//! Goods receipts, as far as the stock writes them: whether their movements are recorded.

use fairlane::db::{Conn, query};
use fairlane::{Error, Result, sql};

/// Notes that a receipt's movements are recorded; when they were before, the time stays.
pub async fn mark(conn: &mut Conn<'_>, tenant: i64, receipt: i64) -> Result<()> {
    let touched = query(sql!(
        "update goods_receipts set posted_at = coalesce(posted_at, {now}) where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(receipt)
    .execute(conn)
    .await?;
    if touched == 1 {
        Ok(())
    } else {
        Err(Error::NotFound { what: "goods receipt", name: receipt.to_string() })
    }
}
