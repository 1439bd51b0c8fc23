//! Goods arrived: they are added to the stock.

use fairlane::{Result, Tenant, Transaction};

use super::checks::GOODS_RECEIPT;
use super::lots::batches_of_goods_taken_in;
use super::{Batch, MovementKind, NamedLot, NewMovement, Source, lock, record_all};
use crate::erp::events::{GoodsReceived, ReceivedLine};
use crate::erp::store::stock::postings;

/// Records the receipt movements of a goods receipt, with lots, last days and costs, and notes that they are recorded. What
/// was taken in is recorded whatever has become of the product since.
pub async fn post_receipt(tx: &mut Transaction, tenant: &Tenant, event: &GoodsReceived) -> Result<()> {
    let id = tenant.id().await?;
    postings::mark(&mut tx.conn(), id, event.receipt_id).await?;
    let products: Vec<i64> = event.lines.iter().map(|line| line.product_id).collect();
    lock(tx, tenant, &products).await?;
    let with_lots: Vec<&ReceivedLine> = event.lines.iter().filter(|line| line.lot.is_some()).collect();
    let lots: Vec<NamedLot> = with_lots
        .iter()
        .map(|line| NamedLot {
            product_id: line.product_id,
            lot: line.lot.clone().unwrap_or_default(),
            expires_on: line.expires_on,
        })
        .collect();
    let batches = batches_of_goods_taken_in(tx, tenant, &lots).await?;
    let batch = |line: &ReceivedLine| {
        let place = with_lots.iter().position(|other| other.line_no == line.line_no);
        place.and_then(|place| batches.get(place)).map(|batch: &Batch| batch.id)
    };
    let receipt = event.receipt_id.to_string();
    let receipts: Vec<NewMovement> = event
        .lines
        .iter()
        .map(|line| {
            let source = Source::new(GOODS_RECEIPT, &receipt).line(line.line_no);
            let kind = MovementKind::Receipt;
            NewMovement::new(kind, line.product_id, event.location_id, line.quantity, source)
                .batch(batch(line))
                .unit_cost(line.unit_cost)
                .effective_at(event.received_at)
                .user(event.user_id)
        })
        .collect();
    record_all(tx, tenant, &receipts).await?;
    Ok(())
}
