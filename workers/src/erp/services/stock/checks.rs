//! What a movement must be before it is recorded.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result};
use rust_decimal::Decimal;

use super::record::Draft;
use super::{MovementKind, NewMovement};
use crate::erp::services::one_line;
use crate::erp::store::stock::referred::{self, StockedLocation, StockedProduct};

/// The cause of the movements of goods that somebody has taken in.
pub(super) const GOODS_RECEIPT: &str = "goods_receipt";

const LARGEST_QUANTITY: i64 = 1_000_000_000;
const LARGEST_COST: i64 = 1_000_000_000;
const LARGEST_AMOUNT: i64 = 100_000_000_000_000;

/// What movements refer to, as far as it exists in the tenant: what is another's is not there.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) products: HashMap<i64, StockedProduct>,
    locations: HashMap<i64, StockedLocation>,
    batches: HashMap<i64, (i64, String)>,
    users: HashSet<i64>,
}

impl Known {
    pub(super) async fn load(conn: &mut Conn<'_>, tenant: i64, drafts: &[Draft<'_>]) -> Result<Self> {
        let ids = |field: fn(&NewMovement) -> Option<i64>| {
            let mut ids: Vec<i64> = drafts.iter().filter_map(|draft| field(&draft.new)).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let batches = ids(|new| new.batch_id);
        let users = ids(|new| new.user_id);
        Ok(Self {
            products: referred::products(conn, tenant, &ids(|new| Some(new.product_id))).await?,
            locations: referred::locations(conn, tenant, &ids(|new| Some(new.location_id))).await?,
            batches: match batches.is_empty() {
                true => HashMap::new(),
                false => referred::batches(conn, tenant, &batches).await?,
            },
            users: match users.is_empty() {
                true => HashSet::new(),
                false => referred::users(conn, tenant, &users).await?,
            },
        })
    }

    /// Refuses what refers to nothing, or to what takes no part any more.
    pub(super) fn check(&self, draft: &Draft<'_>) -> Result<()> {
        let new = &draft.new;
        let missing = |what: &'static str, id: i64| Error::NotFound { what, name: id.to_string() };
        let product = self.products.get(&new.product_id).ok_or_else(|| missing("product", new.product_id))?;
        let location =
            self.locations.get(&new.location_id).ok_or_else(|| missing("location", new.location_id))?;
        if let Some(batch) = new.batch_id {
            let (owner, lot) = self.batches.get(&batch).ok_or_else(|| missing("batch", batch))?;
            if *owner != new.product_id {
                return Err(self.refused(new, format!("batch {lot} is one of another product")));
            }
        }
        if let Some(user) = new.user_id.filter(|user| !self.users.contains(user)) {
            return Err(missing("user", user));
        }
        // Goods were taken in while they could be: whatever product and place are now, they are there.
        if new.source.kind == GOODS_RECEIPT {
            return Ok(());
        }
        // What leaves, comes back or is counted can be recorded always: how else would the rest go away?
        if draft.reverses.is_none() && new.kind == MovementKind::Receipt && !product.active {
            return Err(self.refused(new, "the product is not active".into()));
        }
        let arrives =
            matches!(new.kind, MovementKind::Receipt | MovementKind::ReturnIn | MovementKind::TransferIn);
        if draft.reverses.is_none() && arrives && !location.active {
            return Err(self.refused(new, "the location is not active".into()));
        }
        Ok(())
    }

    /// Refuses stock without a batch of a product that has batches. What was there before it had them can leave.
    pub(super) fn check_batch(&self, new: &NewMovement, change: Decimal, on_hand: Decimal) -> Result<()> {
        let tracked = self.products.get(&new.product_id).is_some_and(|product| product.track_batches);
        let moves = !matches!(new.kind, MovementKind::LandedCost | MovementKind::Revalue);
        let negative = |number: Decimal| number.is_sign_negative() && !number.is_zero();
        // What was taken in without a lot before the product had batches is there too.
        let taken_in = new.source.kind == GOODS_RECEIPT;
        if tracked && moves && !taken_in && new.batch_id.is_none() && (!negative(change) || negative(on_hand))
        {
            return Err(self.refused(new, "the product is tracked by batches; name one".into()));
        }
        Ok(())
    }

    pub(super) fn refused(&self, new: &NewMovement, why: String) -> Error {
        Error::Refused { what: self.what(new), why }
    }

    /// A movement as people know it: `sale of 3 T-1 at MAIN (order 7 line 1)`. What was entered by hand is known by what
    /// it moves: its cause is a number that nobody chose.
    fn what(&self, new: &NewMovement) -> String {
        let product = self.products.get(&new.product_id);
        let location = self.locations.get(&new.location_id);
        let moved = format!(
            "{} of {} {} at {}",
            new.kind,
            new.quantity,
            product.map_or("?", |product| &product.sku),
            location.map_or("?", |location| &location.code),
        );
        if new.source.kind == "manual" { moved } else { format!("{moved} ({})", new.source) }
    }

    /// What is wrong with a movement whatever else is known; trims what people typed.
    pub(super) fn shape(&self, new: &mut NewMovement, reversal: bool, now: DateTime<Utc>) -> Result<()> {
        if let Some(why) = shape_fault(new, reversal, now) {
            return Err(self.invalid(new, why));
        }
        new.source.kind = one_line("a movement's cause", &new.source.kind, 50)?;
        new.source.id = one_line("a movement's cause", &new.source.id, 200)?;
        if let Some(reason) = &new.reason {
            new.reason = Some(one_line("a movement's reason", reason, 500)?);
        }
        Ok(())
    }

    pub(super) fn invalid(&self, new: &NewMovement, why: String) -> Error {
        Error::Invalid { what: self.what(new), why }
    }
}

/// Why the numbers mean nothing or do not fit.
fn shape_fault(new: &NewMovement, reversal: bool, now: DateTime<Utc>) -> Option<String> {
    if !reversal && let Some(why) = quantity_fault(new) {
        return Some(why);
    }
    if let Some(cost) = new.unit_cost
        && (cost < Decimal::ZERO || cost > Decimal::from(LARGEST_COST) || decimals(cost) > 4)
    {
        return Some(format!("its unit cost {cost} must be 0 to {LARGEST_COST}, with at most 4 decimals"));
    }
    if let Some(amount) = new.amount
        && (amount.abs() > Decimal::from(LARGEST_AMOUNT) || decimals(amount) > 4)
    {
        return Some(format!("its amount {amount} must be up to {LARGEST_AMOUNT}, with at most 4 decimals"));
    }
    // Clocks differ, and days begin elsewhere first; but the future has not happened.
    let late = new.effective_at.filter(|at| *at > now + TimeDelta::days(1));
    late.map(|at| format!("it happens at {at}, more than a day from now"))
}

fn quantity_fault(new: &NewMovement) -> Option<String> {
    let quantity = new.quantity;
    if decimals(quantity) > 6 || quantity.abs() > Decimal::from(LARGEST_QUANTITY) {
        return Some(format!(
            "its quantity {quantity} must be up to {LARGEST_QUANTITY}, with at most 6 decimals"
        ));
    }
    match new.kind {
        MovementKind::LandedCost | MovementKind::Revalue => {
            let idle = quantity.is_zero() && new.amount.is_some_and(|amount| !amount.is_zero());
            (!idle).then(|| "it changes a value: it has an amount and no quantity".into())
        }
        MovementKind::Count => {
            (quantity < Decimal::ZERO).then(|| format!("nobody counts {quantity}; it must be 0 or more"))
        }
        MovementKind::Adjust => quantity.is_zero().then(|| "its quantity must not be 0".into()),
        _ => (quantity <= Decimal::ZERO).then(|| format!("its quantity {quantity} must be above 0")),
    }
}

fn decimals(number: Decimal) -> u32 {
    number.normalize().scale()
}
