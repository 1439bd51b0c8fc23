//! Stock that is low: one alert for each time that what is available falls below the minimum.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use crate::erp::events::LowStockDetected;
use crate::erp::store::alerts::{self, NewAlert};
use crate::erp::store::stock::levels::Level;
use crate::erp::store::stock::referred::{self, StockedProduct};
use crate::erp::store::stock::terms::{self, Negative, Terms};
use crate::erp::store::stock::{Pool, ledgers, levels, sites};

/// A product at a location, all its batches together; a look at a bin is one at the whole site.
pub type Place = (i64, i64);

/// Looks at what is available at these places now: opens an alert and tells of it where it is too little, closes the
/// alert where it is enough again. What lies in the bins of a site is the site's.
///
/// The products' ledgers are locked, so that of any number of looks at the same time one sees the crossing.
pub async fn check_levels(tx: &mut Transaction, tenant: &Tenant, places: &BTreeSet<Place>) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let id = tenant.id().await?;
    let low = look(&mut tx.conn(), id, places).await?;
    if !low.is_empty() {
        tenant.publish_all(low).in_tx(tx).await?;
    }
    Ok(())
}

/// Looks at a product wherever it lies or somebody was told about it: its minimum has changed. Of what is no product there is
/// nothing to look at.
pub async fn check_product(tx: &mut Transaction, tenant: &Tenant, product: i64) -> Result<()> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let levels = levels::of_products(conn, id, &[product]).await?;
    let open = alerts::open_low(conn, id, &[product]).await?;
    let lies = levels.iter().map(|level| level.pool.location_id);
    let told = open.iter().map(|(_, pool)| pool.location_id);
    let places = lies.chain(told).map(|location| (product, location)).collect();
    check_levels(tx, tenant, &places).await
}

async fn look(conn: &mut Conn<'_>, tenant: i64, places: &BTreeSet<Place>) -> Result<Vec<LowStockDetected>> {
    let (products, named): (Vec<i64>, Vec<i64>) = places.iter().copied().unzip();
    let known = referred::products(conn, tenant, &products).await?;
    if let Some(missing) = products.iter().find(|product| !known.contains_key(product)) {
        return Err(Error::NotFound { what: "product", name: missing.to_string() });
    }
    ledgers::lock(conn, tenant, &products).await?;
    let (terms, _) = terms::find(conn, tenant).await?;
    let site_of = sites::of(conn, tenant, &named).await?;
    let places: BTreeSet<Place> =
        places.iter().filter_map(|(product, named)| Some((*product, *site_of.get(named)?))).collect();
    let sites: Vec<i64> = places.iter().map(|(_, site)| *site).collect();
    let locations = referred::locations(conn, tenant, &sites).await?;
    let parts = Parts::of(&sites::within(conn, tenant, &sites).await?);
    let available = parts.available(&levels::at(conn, tenant, &products, &parts.all()).await?);
    let (mut low, mut over) = (Vec::new(), Vec::new());
    let mut open = HashMap::<Place, i64>::new();
    for (alert, pool) in alerts::open_low(conn, tenant, &products).await? {
        match parts.site(pool.location_id) {
            // Told of a bin, before bins were looked at with their site.
            Some(site) if site != pool.location_id => over.push(alert),
            _ => drop(open.insert((pool.product_id, pool.location_id), alert)),
        }
    }
    for place in &places {
        let (Some(product), Some(location)) = (known.get(&place.0), locations.get(&place.1)) else {
            continue;
        };
        let current = available.get(place).copied().unwrap_or_default();
        let minimum = crossed(product, &terms, current).filter(|_| location.kind == "internal");
        match (minimum, open.get(place)) {
            (Some(minimum), None) => {
                let (product_id, location_id) = *place;
                let pool = Pool { product_id, location_id, batch_id: None };
                let new = NewAlert { pool, kind: "low", stage: 0, quantity: current, minimum: Some(minimum) };
                let Some(alert_id) = alerts::open(conn, tenant, &new).await? else { continue };
                low.push(LowStockDetected {
                    alert_id,
                    product_id,
                    sku: product.sku.clone(),
                    product_name: product.name.clone(),
                    location_id,
                    location: location.code.clone(),
                    current,
                    minimum,
                });
            }
            (None, Some(alert)) => over.push(*alert),
            _ => {}
        }
    }
    alerts::close(conn, tenant, &over).await?;
    Ok(low)
}

/// Locations, each with the site that it is a part of.
struct Parts(BTreeMap<i64, i64>);

impl Parts {
    fn of(within: &HashMap<i64, Vec<i64>>) -> Self {
        let parts = within.iter().flat_map(|(site, parts)| parts.iter().map(|part| (*part, *site)));
        Self(parts.collect())
    }

    fn all(&self) -> Vec<i64> {
        self.0.keys().copied().collect()
    }

    fn site(&self, location: i64) -> Option<i64> {
        self.0.get(&location).copied()
    }

    /// What nobody has reserved, of all batches and bins together.
    fn available(&self, levels: &[Level]) -> HashMap<Place, Decimal> {
        let mut available = HashMap::<Place, Decimal>::new();
        for level in levels {
            let Some(site) = self.site(level.pool.location_id) else { continue };
            *available.entry((level.pool.product_id, site)).or_default() += level.on_hand - level.reserved;
        }
        available
    }
}

/// The minimum that was crossed, if one was. A minimum of 0 is none, and what is not bought any more has none; where
/// somebody is to be told of stock below nothing, nothing is the least minimum.
fn crossed(product: &StockedProduct, terms: &Terms, current: Decimal) -> Option<Decimal> {
    let minimum = product.reorder_level.filter(|minimum| product.active && !minimum.is_zero());
    if let Some(minimum) = minimum {
        let low = current < minimum || (terms.low_at_minimum && current == minimum);
        return low.then_some(minimum);
    }
    (terms.negative == Negative::Alert && current < Decimal::ZERO).then_some(Decimal::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossed_at(minimum: Option<i64>, terms: Terms, current: i64) -> Option<Decimal> {
        let product = StockedProduct {
            sku: "T-1".into(),
            name: "Tiles".into(),
            active: true,
            track_batches: false,
            reorder_level: minimum.map(Decimal::from),
        };
        crossed(&product, &terms, Decimal::from(current))
    }

    #[test]
    fn stock_is_low_strictly_below_its_minimum_or_at_it_where_the_tenant_wants_that() {
        let (strict, at) = (Terms::default(), Terms { low_at_minimum: true, ..Terms::default() });
        let five = Some(Decimal::from(5));
        assert_eq!((crossed_at(Some(5), strict, 4), crossed_at(Some(5), strict, 5)), (five, None));
        assert_eq!((crossed_at(Some(5), at, 5), crossed_at(Some(5), at, 6)), (five, None));
    }

    #[test]
    fn a_minimum_of_nothing_is_none_but_stock_below_nothing_is_told_where_it_is_wanted() {
        let quiet = Terms { negative: Negative::Allow, low_at_minimum: true };
        for minimum in [None, Some(0)] {
            assert_eq!(crossed_at(minimum, quiet, -1), None);
            assert_eq!(crossed_at(minimum, Terms::default(), 0), None);
            assert_eq!(crossed_at(minimum, Terms::default(), -1), Some(Decimal::ZERO));
        }
    }
}
