//! Lines of orders and of returns, many at once: an order of 700 lines is a statement, not 700.

use fairlane::Result;
use fairlane::db::{Conn, Dialect, Sql, query};
use rust_decimal::Decimal;
use serde::Serialize;

use super::orders::OrderLine;
use super::stock::plain;

/// Adds the lines of an order.
pub(super) async fn insert(conn: &mut Conn<'_>, tenant: i64, order: i64, lines: &[OrderLine]) -> Result<()> {
    let statement = Sql {
        postgres: "insert into sales_order_lines (tenant_id, order_id, line_no, product_id, sku, description, quantity,
                unit_price, discount, tax_rate, location_id, batch_id)
            select $1, $2, l.* from unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::numeric[], $8::numeric[],
                $9::numeric[], $10::numeric[], $11::bigint[], $12::bigint[]) l",
        sqlite: "insert into sales_order_lines (tenant_id, order_id, line_no, product_id, sku, description, quantity,
                unit_price, discount, tax_rate, location_id, batch_id)
            select $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, value ->> 8, value ->> 9
            from jsonb_each($3)",
    };
    let statement = query(statement).bind(tenant).bind(order);
    let statement = match conn.dialect() {
        Dialect::Sqlite => statement.bind(rows(lines)?),
        Dialect::Postgres => columns(statement, lines)
            .bind(lines.iter().map(|line| line.location_id).collect::<Vec<_>>())
            .bind(lines.iter().map(|line| line.batch_id).collect::<Vec<_>>()),
    };
    statement.execute(conn).await.map(drop)
}

/// Adds the lines of a return, each with the place that its order's line names.
pub(super) async fn insert_returned(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    lines: &[OrderLine],
) -> Result<()> {
    let statement = Sql {
        postgres: "insert into sales_return_lines (tenant_id, return_id, line_no, product_id, sku, description, quantity,
                unit_price, discount, tax_rate, sold_from)
            select $1, $2, l.line_no, l.product_id, l.sku, l.description, l.quantity, l.unit_price, l.discount, l.tax_rate,
                (select w.code from locations w where w.tenant_id = $1 and w.id = l.location_id)
            from unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::numeric[], $8::numeric[], $9::numeric[],
                $10::numeric[], $11::bigint[]) as l (line_no, product_id, sku, description, quantity, unit_price,
                discount, tax_rate, location_id)",
        sqlite: "insert into sales_return_lines (tenant_id, return_id, line_no, product_id, sku, description, quantity,
                unit_price, discount, tax_rate, sold_from)
            select $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
                value ->> 7, (select w.code from locations w where w.tenant_id = $1 and w.id = value ->> 8)
            from jsonb_each($3)",
    };
    let statement = query(statement).bind(tenant).bind(id);
    let statement = match conn.dialect() {
        Dialect::Sqlite => statement.bind(rows(lines)?),
        Dialect::Postgres => {
            columns(statement, lines).bind(lines.iter().map(|line| line.location_id).collect::<Vec<_>>())
        }
    };
    statement.execute(conn).await.map(drop)
}

fn columns(query: fairlane::db::Query, lines: &[OrderLine]) -> fairlane::db::Query {
    let numbers = |field: fn(&OrderLine) -> Decimal| lines.iter().map(field).collect::<Vec<_>>();
    query
        .bind(lines.iter().map(|line| line.line_no).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.product_id).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.sku.clone()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.description.clone()).collect::<Vec<_>>())
        .bind(numbers(|line| line.terms.quantity))
        .bind(numbers(|line| line.terms.unit_price))
        .bind(numbers(|line| line.terms.discount))
        .bind(numbers(|line| line.terms.tax_rate))
}

/// A line as JSON: in the order of the columns, numbers as texts.
#[derive(Serialize)]
struct JsonLine<'l>(
    i64,
    Option<i64>,
    Option<&'l str>,
    &'l str,
    String,
    String,
    String,
    String,
    Option<i64>,
    Option<i64>,
);

fn rows(lines: &[OrderLine]) -> Result<serde_json::Value> {
    let text = |number: Decimal| plain(number).to_string();
    let rows: Vec<JsonLine<'_>> = lines
        .iter()
        .map(|line| {
            JsonLine(
                line.line_no,
                line.product_id,
                line.sku.as_deref(),
                &line.description,
                text(line.terms.quantity),
                text(line.terms.unit_price),
                text(line.terms.discount),
                text(line.terms.tax_rate),
                line.location_id,
                line.batch_id,
            )
        })
        .collect();
    serde_json::to_value(rows)
        .map_err(|why| fairlane::Error::Invalid { what: "the lines".into(), why: why.to_string() })
}
