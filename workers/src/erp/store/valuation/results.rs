//! What a run found, product by product.

use fairlane::db::{Conn, Row, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

use crate::erp::store::stock::plain;

/// What a run made of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many there are.
    pub quantity: Decimal,
    /// What they were worth before, where that was known.
    pub old_value: Option<Decimal>,
    /// What they are worth.
    pub value: Decimal,
    /// What one costs.
    pub average_cost: Option<Decimal>,
    /// How many movements were replayed.
    pub movements: i64,
    /// The seq of the last one.
    pub as_of_seq: i64,
}

/// Stores what a run made of a product; what it was worth before stays what it was when the run saw it first. Returns that,
/// and how many movements were replayed in all.
pub async fn save(
    conn: &mut Conn<'_>,
    tenant: i64,
    run: i64,
    product: i64,
    outcome: &Outcome,
) -> Result<(Option<Decimal>, i64)> {
    let row = query(sql!(
        "insert into valuation_results (tenant_id, run_id, product_id, outcome, quantity, old_value, value, average_cost,
            movements, as_of_seq)
         values ($1, $2, $3, 'valued', $4, $5, $6, $7, $8, $9)
         on conflict (tenant_id, run_id, product_id) do update set outcome = excluded.outcome, error = null,
            quantity = excluded.quantity, value = excluded.value, average_cost = excluded.average_cost,
            movements = valuation_results.movements + excluded.movements, as_of_seq = excluded.as_of_seq
         returning old_value, movements"
    ))
    .bind(tenant)
    .bind(run)
    .bind(product)
    .bind(outcome.quantity)
    .bind(outcome.old_value)
    .bind(outcome.value)
    .bind(outcome.average_cost)
    .bind(outcome.movements)
    .bind(outcome.as_of_seq)
    .fetch_one(conn)
    .await?;
    Ok((row.get("old_value")?, row.get("movements")?))
}

/// Stores why a run left a product as it was.
pub async fn refuse(
    conn: &mut Conn<'_>,
    tenant: i64,
    run: i64,
    product: i64,
    value: Option<Decimal>,
    why: &str,
) -> Result<()> {
    query(sql!(
        "insert into valuation_results (tenant_id, run_id, product_id, outcome, old_value, value, error)
         values ($1, $2, $3, 'refused', $4, $4, $5)
         on conflict (tenant_id, run_id, product_id) do update set outcome = excluded.outcome, error = excluded.error"
    ))
    .bind(tenant)
    .bind(run)
    .bind(product)
    .bind(value)
    .bind(why)
    .execute(conn)
    .await
    .map(drop)
}

/// A result as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownResult {
    /// The product.
    pub product_id: i64,
    /// Its code.
    pub sku: String,
    /// valued or refused.
    pub outcome: String,
    /// How many there are.
    pub quantity: Option<Decimal>,
    /// What they were worth before.
    pub old_value: Option<Decimal>,
    /// What they are worth.
    pub value: Option<Decimal>,
    /// What one costs.
    pub average_cost: Option<Decimal>,
    /// How many movements were replayed.
    pub movements: i64,
    /// The seq of the last one that is in the value.
    pub as_of_seq: i64,
    /// Why it was refused.
    pub error: Option<String>,
}

/// The results of a run behind a product, the refused ones alone where that is wanted.
pub async fn list(
    conn: &mut Conn<'_>,
    tenant: i64,
    run: i64,
    refused: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<ShownResult>> {
    let rows = query(sql!(
        "select r.product_id, coalesce(p.sku, p.barcode, p.handle_key) as sku, r.outcome, r.quantity, r.old_value, r.value,
                r.average_cost, r.movements, r.as_of_seq, r.error
         from valuation_results r join products p on p.tenant_id = r.tenant_id and p.id = r.product_id
         where r.tenant_id = $1 and r.run_id = $2 and r.product_id > $3 and r.outcome in ('refused', $4)
         order by r.product_id limit $5"
    ))
    .bind(tenant)
    .bind(run)
    .bind(after)
    .bind(if refused { "refused" } else { "valued" })
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        let number = |column| Ok::<_, fairlane::Error>(row.get::<Option<Decimal>>(column)?.map(plain));
        Ok(ShownResult {
            product_id: row.get("product_id")?,
            sku: row.get("sku")?,
            outcome: row.get("outcome")?,
            quantity: number("quantity")?,
            old_value: number("old_value")?,
            value: number("value")?,
            average_cost: number("average_cost")?,
            movements: row.get("movements")?,
            as_of_seq: row.get("as_of_seq")?,
            error: row.get("error")?,
        })
    };
    rows.iter().map(read).collect()
}
