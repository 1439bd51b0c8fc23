//! `erp order show`.

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, printable};
use rust_decimal::Decimal;
use serde::Serialize;

use super::reading;
use crate::erp::services::orders;
use crate::erp::store::orders::{Order, OrderLine, lines};
use crate::erp::store::{batches, people};

/// An order with all that belongs to it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    order: Order,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    line_no: i64,
    sku: Option<String>,
    description: String,
    quantity: Decimal,
    unit_price: Decimal,
    discount: Decimal,
    tax_rate: Decimal,
    /// The code of the location it was said to come from.
    from: Option<String>,
    lot: Option<String>,
}

pub(super) async fn show(number: &str, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let order = orders::named(conn, id, number).await?;
    let mut shown = Shown { lines: Vec::new(), order };
    for line in lines(conn, id, shown.order.id).await? {
        let OrderLine { line_no, sku, description, terms, location_id, batch_id, .. } = line;
        let from = match location_id {
            Some(location) => people::location_code(conn, id, location).await?,
            None => None,
        };
        let lot = match batch_id {
            Some(batch) => batches::find(conn, id, &[batch]).await?.pop().map(|batch| batch.lot),
            None => None,
        };
        shown.lines.push(Line {
            line_no,
            sku,
            description,
            quantity: terms.quantity.normalize(),
            unit_price: terms.unit_price.normalize(),
            discount: terms.discount.normalize(),
            tax_rate: terms.tax_rate.normalize(),
            from,
            lot,
        });
    }
    let number = shown.order.number.clone();
    Ok(env.output.result(&shown, Some(&number), &text(&shown))?)
}

fn text(Shown { order, lines }: &Shown) -> Vec<String> {
    let mut text = vec![
        format!("Order     {} of {} {}", order.number, order.customer_code, order.customer_name),
        format!("Status    {}", order.status),
    ];
    for line in lines {
        let sku = line.sku.as_deref().unwrap_or("(text)");
        let from = match (&line.sku, &line.from) {
            (None, _) => String::new(),
            (Some(_), Some(from)) => format!(", from {from}"),
            (Some(_), None) => ", from the first location".to_owned(),
        };
        let lot = line.lot.as_deref().map(|lot| format!(", lot {lot}")).unwrap_or_default();
        text.push(format!(
            "{:>4}. {sku} {}  {} at {} {}{from}{lot}",
            line.line_no, line.description, line.quantity, line.unit_price, order.currency
        ));
    }
    text.push(format!("Total     {} {}, tax {}", order.total, order.currency, order.tax));
    text.iter().map(|line| printable(line)).collect()
}
