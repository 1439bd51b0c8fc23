//! The part of the tour about the stock: goods arrive, goods leave, and somebody should know.

use std::time::Instant;

use fairlane::db::query;
use fairlane::{Error, Result, Transaction, sql};
use rust_decimal::Decimal;

use super::done;
use super::story::Story;
use crate::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use crate::erp::services::receipts::{self, Arrival};
use crate::erp::services::stock::{self, MovementKind, NewMovement, Source};
use crate::erp::services::vendors::{self, NewVendor};
use crate::erp::services::{locations, users};
use crate::erp::store;

/// The product of the price list that is bought and taken; its minimum is 10.
const SKU: &str = "AC-1483";
const PLACE: &str = "MAIN";
const VENDOR: &str = "TEAHOUSE";
const BOUGHT: i64 = 24;
const TAKEN: i64 = 16;

impl Story {
    /// Orders, approves and takes in goods; the stock follows by itself. Nothing on a repeated demo, and false without
    /// the imported product.
    pub(super) async fn buy(&self) -> anyhow::Result<bool> {
        let id = self.tenant.id().await?;
        let mut tx = self.tenant.begin().await?;
        if missing(store::products::by_sku(&mut tx.conn(), id, SKU).await)?.is_none() {
            return Ok(false);
        }
        users::ensure(&mut tx, &self.tenant, "Stock desk", "stock@acme.example", &["inventory.alerts"])
            .await?;
        if missing(store::locations::by_code(&mut tx.conn(), id, PLACE).await)?.is_none() {
            locations::create(&mut tx, &self.tenant, PLACE, "Main store", "internal", None).await?;
        }
        if missing(store::vendors::by_code(&mut tx.conn(), id, VENDOR).await)?.is_none() {
            self.purchase(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn purchase(&self, tx: &mut Transaction) -> Result<()> {
        let vendor =
            NewVendor { code: VENDOR.into(), name: "Harbour Tea House".into(), ..NewVendor::default() };
        vendors::create(tx, &self.tenant, vendor).await?;
        let line = NewPurchaseLine {
            sku: SKU.into(),
            quantity: Decimal::from(BOUGHT),
            unit_cost: Decimal::new(320, 2),
        };
        let new = NewOrder { vendor: VENDOR.into(), lines: vec![line], ..NewOrder::default() };
        let order = purchase_orders::create(tx, &self.tenant, new).await?;
        purchase_orders::submit(tx, &self.tenant, order.id).await?;
        purchase_orders::approve(tx, &self.tenant, order.id, None).await?;
        let arrival = Arrival {
            purchase_order: order.id,
            location: Some(PLACE.into()),
            lines: receipts::all_open(tx, &self.tenant, order.id).await?,
            ..Arrival::default()
        };
        receipts::receive(tx, &self.tenant, arrival).await?;
        Ok(())
    }

    /// More leaves than the minimum allows; the same cause again moves nothing.
    pub(super) async fn take(&self) -> anyhow::Result<()> {
        let id = self.tenant.id().await?;
        let mut tx = self.tenant.begin().await?;
        let product = store::products::by_sku(&mut tx.conn(), id, SKU).await?;
        let place = store::locations::by_code(&mut tx.conn(), id, PLACE).await?;
        let quantity = -Decimal::from(TAKEN);
        let source = Source::new("demo", "tasting");
        let movement = NewMovement::new(MovementKind::Adjust, product.id, place.id, quantity, source);
        stock::record(&mut tx, &self.tenant, movement).await?;
        Ok(tx.commit().await?)
    }

    /// What the queue has made of it.
    pub(super) async fn stock_line(&self, since: Instant) -> anyhow::Result<String> {
        let row = query(sql!(
            "select a.quantity, p.name, (select count(*) from notifications n where n.tenant_id = $1
                 and n.type = 'LowStockNotification' and n.dedupe_key like 'low:' || a.id || ':%') as told
             from stock_alerts a join products p on p.tenant_id = a.tenant_id and p.id = a.product_id
             where a.tenant_id = $1 and p.sku = $2 and a.kind = 'low' and a.closed_at is null"
        ))
        .bind(self.tenant.id().await?)
        .bind(SKU)
        .fetch_optional(&mut self.reading().await?.conn())
        .await?;
        let Some(row) = row else {
            return Ok(
                "   ! low stock              nobody has looked yet: is a queue paused? see: fairlane queues"
                    .into(),
            );
        };
        let (left, name): (Decimal, String) = (row.get("quantity")?, row.get("name")?);
        let told: i64 = row.get("told")?;
        let result =
            format!("{BOUGHT} {name} received, {TAKEN} taken: {} left, {told} told", left.normalize());
        Ok(done("low stock", &result, since))
    }
}

/// What is not there is none.
fn missing<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
