//! What places are worth that are valued together.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::pool::{Pool, Pools};
use crate::erp::money::round_half_up;
use crate::erp::valuation::{Place, PoolKey as ValuedKey, Scope};

/// Movements between places that are valued together are worth nothing, so their sums say nothing of a place: what lies there
/// is worth its share by quantity of what they are worth together.
pub(super) fn share_out(scope: Scope, pools: &mut Pools, decimals: u32) {
    let key = |(location, batch): (i64, Option<i64>)| scope.pool(Place { location, batch });
    let mut together: BTreeMap<ValuedKey, Vec<(i64, Option<i64>)>> = BTreeMap::new();
    for place in pools.keys() {
        together.entry(key(*place)).or_default().push(*place);
    }
    for places in together.into_values().filter(|places| places.len() > 1) {
        let of = |field: fn(&Pool) -> (Decimal, Option<Decimal>)| -> Vec<(Decimal, Option<Decimal>)> {
            places.iter().filter_map(|place| pools.get(place)).map(field).collect()
        };
        let opening = shares(&of(|pool| (pool.opening, pool.opening_value)), decimals);
        let closing = shares(&of(|pool| (pool.closing(), pool.closing_value)), decimals);
        for (place, (opening, closing)) in places.iter().zip(opening.into_iter().zip(closing)) {
            if let Some(pool) = pools.get_mut(place) {
                (pool.opening_value, pool.closing_value) = (opening, closing);
            }
        }
    }
}

/// Each place's share of what all are worth: its quantity's, rounded so that the shares add up to the whole.
fn shares(places: &[(Decimal, Option<Decimal>)], decimals: u32) -> Vec<Option<Decimal>> {
    let all: Option<Decimal> = places.iter().map(|(_, value)| *value).sum();
    let quantity: Decimal = places.iter().map(|(quantity, _)| *quantity).sum();
    let (mut so_far, mut given) = (Decimal::ZERO, Decimal::ZERO);
    let mut share = |(at, (there, _)): (usize, &(Decimal, Option<Decimal>))| {
        so_far += there;
        let until = match (at + 1 == places.len(), all?.checked_mul(so_far)?.checked_div(quantity)) {
            (true, _) => all?,
            (false, Some(until)) => round_half_up(until, decimals),
            (false, None) => Decimal::ZERO,
        };
        let own = until - given;
        given = until;
        Some(own)
    };
    places.iter().enumerate().map(&mut share).collect()
}
