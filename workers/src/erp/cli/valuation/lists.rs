//! What was valued, and what it came to.

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, ago, printable};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::json;

use super::run::{ending, find, settle};
use super::{Limit, reading};
use crate::erp::store::valuation::lists::{self, ShownLayer, ShownPool};
use crate::erp::store::valuation::results::{self, ShownResult};
use crate::erp::store::valuation::runs::{self, Run};
use crate::erp::store::{now, products, profiles};
use crate::erp::valuation::Scope;
use crate::erp::valuation::ageing::{RANGES, bucket};

/// Layers of one product that are looked at.
const MOST_LAYERS: i64 = 100_000;

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

impl Record for Run {
    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "STATUS",
        "WHAT",
        "SCOPE",
        "AS OF",
        "PRODUCTS",
        "REFUSED",
        "MOVEMENTS",
        "WAS",
        "IS",
        "ASKED FOR",
    ];

    fn cells(&self) -> Vec<String> {
        let what = match (&self.product, &self.location) {
            (Some(product), Some(location)) => format!("{product} at {location}"),
            (Some(product), None) => product.clone(),
            (None, Some(location)) => format!("at {location}"),
            (None, None) => "all".into(),
        };
        vec![
            self.id.to_string(),
            self.status.clone(),
            what,
            self.method.map_or_else(|| self.scope.to_string(), |method| format!("{} {method}", self.scope)),
            or_dash(self.as_of),
            format!("{}/{}", self.done, self.products),
            self.refused.to_string(),
            self.movements.to_string(),
            self.old_value.to_string(),
            self.new_value.to_string(),
            ago(self.created_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn list(limit: Limit, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    settle(tenant).await?;
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let listing = runs::list(&mut tx.conn(), id, limit.and_one()).await?;
    let empty = "Nothing was valued. Do it: fairlane erp valuation run -t TENANT";
    Ok(env.output.page(&limit.page_of(listing), empty)?)
}

pub(super) async fn show(
    run: i64,
    refused: bool,
    (after, limit): (i64, Limit),
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let run = find(tenant, run).await?;
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let found = results::list(&mut tx.conn(), id, run.id, refused, after, limit.and_one()).await?;
    let page = limit.page(found).going_on_after_the(|last| last.product_id.to_string());
    let mut lines = ending(&run, tenant.slug());
    lines.extend(page.rows.iter().map(told));
    if let Some(way) = page.how_to_go_on() {
        env.output.remark(&format!("more with {way}"));
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    // `next` was there before lists had a `page`.
    let next = page.rows.last().filter(|_| page.more.is_some()).map(|last| last.product_id);
    let result = json!({ "run": run, "results": page.rows, "next": next, "page": page.end() });
    Ok(env.output.result(&result, Some(&run.id.to_string()), &lines)?)
}

fn told(result: &ShownResult) -> String {
    let sku = &result.sku;
    match &result.error {
        Some(why) => format!("  {sku}: refused: {why}"),
        None => format!(
            "  {sku}: {} worth {}, before {}; one costs {}; {} movements, up to {}",
            or_dash(result.quantity),
            or_dash(result.value),
            or_dash(result.old_value),
            or_dash(result.average_cost),
            result.movements,
            result.as_of_seq
        ),
    }
}

pub(super) async fn of(sku: &str, scope: Scope, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let product = products::find(conn, id, sku).await?;
    let pools = lists::pools(conn, id, scope, product.id).await?;
    let layers = lists::layers(conn, id, scope, Some(product.id), 0, MOST_LAYERS).await?;
    let layers: Vec<ShownLayer> = layers.into_iter().map(|(_, layer)| layer).collect();
    let quantity: Decimal = pools.iter().map(|pool| pool.quantity).sum();
    let value: Decimal = pools.iter().map(|pool| pool.value).sum();
    let average = match pools.as_slice() {
        [only] => only.average_cost,
        _ => value.checked_div(quantity).map(|cost| crate::erp::money::round_half_up(cost, 4).normalize()),
    };
    let result = json!({
        "sku": product.code, "scope": scope, "quantity": quantity, "value": value, "average_cost": average,
        "as_of_seq": pools.iter().map(|pool| pool.as_of_seq).min(), "pools": pools, "layers": layers,
    });
    let mut lines = Vec::new();
    match pools.first() {
        None => lines.push(format!(
            "{sku} was never valued by {scope}. Do it: fairlane erp valuation run --product {sku} --scope {scope} -t {}",
            tenant.slug()
        )),
        Some(first) => {
            lines.push(format!(
                "{sku}: {quantity} worth {value} ({}), one costs {}; as of movement {} of {}",
                first.method,
                or_dash(average),
                first.as_of_seq,
                first.last_seq
            ));
            lines.extend(pools.iter().filter(|pool| pool.location.is_some() || pool.lot.is_some()).map(pool_line));
            lines.extend(layers.iter().map(layer_line));
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    Ok(env.output.result(&result, Some(&product.code), &lines)?)
}

fn place(location: Option<&str>, lot: Option<&str>) -> String {
    let location = location.map(|code| format!(" at {code}")).unwrap_or_default();
    let lot = lot.map(|lot| format!(" of {lot}")).unwrap_or_default();
    format!("{location}{lot}")
}

fn pool_line(pool: &ShownPool) -> String {
    let place = place(pool.location.as_deref(), pool.lot.as_deref());
    format!("  pool{place}: {} worth {}, one costs {}", pool.quantity, pool.value, or_dash(pool.average_cost))
}

fn layer_line(layer: &ShownLayer) -> String {
    let place = place(layer.location.as_deref(), layer.lot.as_deref());
    let since = layer.received_at.date_naive();
    match layer.quantity.is_sign_negative() {
        true => format!("  missing{place} since {since}: {} at {}", layer.quantity, layer.value),
        false => {
            format!("  layer{place} of {since}: {} of {} worth {}", layer.quantity, layer.came, layer.value)
        }
    }
}

/// A product's stock by how long it has been there.
#[derive(Debug, Serialize)]
struct Aged {
    sku: String,
    quantity: Decimal,
    value: Decimal,
    /// What has left before it came.
    missing: Decimal,
    ages: Vec<Age>,
}

#[derive(Debug, Clone, Serialize)]
struct Age {
    days: &'static str,
    quantity: Decimal,
    value: Decimal,
}

const AGES: [&str; RANGES.len() + 1] = ["0-30", "31-60", "61-90", ">90"];

impl Record for Aged {
    const COLUMNS: &'static [&'static str] =
        &["PRODUCT", "QUANTITY", "VALUE", "0-30", "31-60", "61-90", ">90", "MISSING"];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.sku.clone(), self.quantity.to_string(), self.value.to_string()];
        cells.extend(self.ages.iter().map(|age| match age.quantity.is_zero() {
            true => "-".into(),
            false => format!("{} ({})", age.quantity, age.value),
        }));
        cells.push(if self.missing.is_zero() { "-".into() } else { self.missing.to_string() });
        cells
    }

    fn id(&self) -> String {
        self.sku.clone()
    }
}

pub(super) async fn age(
    sku: Option<&str>,
    scope: Scope,
    limit: Limit,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let profile = profiles::find(conn, id).await?;
    let today = profile.day(now(conn).await?);
    let valued = match sku {
        Some(sku) => {
            let product = products::find(conn, id, sku).await?;
            vec![(product.id, product.code)]
        }
        None => lists::valued(conn, id, scope, 0, limit.and_one()).await?,
    };
    let mut rows = Vec::new();
    for (product, sku) in valued {
        let age = |days| Age { days, quantity: Decimal::ZERO, value: Decimal::ZERO };
        let mut aged = Aged {
            sku,
            quantity: Decimal::ZERO,
            value: Decimal::ZERO,
            missing: Decimal::ZERO,
            ages: AGES.map(age).to_vec(),
        };
        for (_, layer) in lists::layers(conn, id, scope, Some(product), 0, MOST_LAYERS).await? {
            aged.quantity += layer.quantity;
            aged.value += layer.value;
            if layer.quantity.is_sign_negative() {
                aged.missing -= layer.quantity;
                continue;
            }
            let at = bucket(today, profile.day(layer.received_at), &RANGES);
            if let Some(age) = aged.ages.get_mut(at) {
                age.quantity += layer.quantity;
                age.value += layer.value;
            }
        }
        rows.push(aged);
    }
    let empty = "Nothing was valued by this scope. Do it: fairlane erp valuation run -t TENANT";
    Ok(env.output.page(&limit.page(rows), empty)?)
}
