//! `fairlane bench report`: a sales report of many order lines through a real worker.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use chrono::NaiveDate;
use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::cli::{CommandEnv, DomainCommand};
use fairlane::db::{Sql, query};
use fairlane::{Job, Tenant};
use futures::future::BoxFuture;
use serde::Serialize;

use super::{apart, database, drain, new_tenant};
use crate::erp::Erp;
use crate::erp::jobs::GenerateReport;
use crate::erp::reports::{FileFormat, Grouping, ReportRequest, ReportSettings, ReportType};
use crate::erp::services::reports as service;
use crate::erp::store::reading;

/// Lines of an order.
const LINES: u64 = 10;
/// Orders that are laid in one statement.
const CHUNK: u64 = 10_000;

/// `fairlane bench report`.
#[derive(Debug)]
pub struct BenchReportCommand;

#[derive(Debug, Args)]
struct BenchArgs {
    /// Order lines to report on
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..=100_000_000))]
    lines: u64,
    /// What a row stands for
    #[arg(long, value_enum, default_value = "line")]
    by: Grouping,
    /// How the file is written
    #[arg(long, value_enum, default_value = "csv")]
    format: FileFormat,
}

#[derive(Debug, Serialize)]
struct Measured {
    database: &'static str,
    lines: u64,
    by: &'static str,
    format: &'static str,
    rows: i64,
    bytes: i64,
    seconds: f64,
    lines_per_second: f64,
    peak_rss_bytes: u64,
}

impl DomainCommand for BenchReportCommand {
    fn command(&self) -> clap::Command {
        let about = "Seconds and memory of a sales report of many order lines";
        BenchArgs::augment_args(clap::Command::new("report").about(about))
    }

    fn group(&self) -> Option<&'static str> {
        Some("bench")
    }

    fn own_database(&self) -> bool {
        true
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let args = BenchArgs::from_arg_matches(&matches)?;
            let measured = measure(&args, &env).await?;
            let line = format!(
                "{} lines in {:.2} s: {:.0} lines/s, peak memory {:.0} MB, {} rows of {} in {:.1} MB on {}",
                measured.lines,
                measured.seconds,
                measured.lines_per_second,
                measured.peak_rss_bytes as f64 / 1e6,
                measured.rows,
                measured.format,
                measured.bytes as f64 / 1e6,
                measured.database
            );
            env.output.result(&measured, None, &[line])?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn measure(args: &BenchArgs, env: &CommandEnv) -> anyhow::Result<Measured> {
    let client = apart(env, &[GenerateReport::KIND], "bench").await?;
    let tenant = new_tenant(env, &client).await?;
    env.output.remark("laying the orders");
    lay(&tenant, args.lines.div_ceil(LINES)).await?;
    let folder = tempfile::tempdir().context("a folder for the report")?;
    let report = requested(args, &tenant).await?;
    let settings = Arc::new(ReportSettings {
        elsewhere: None,
        folder: folder.path().to_owned(),
        ..ReportSettings::read(&env.config)?
    });
    let state = Erp { reports: settings, ..Erp::from_config(&env.config)? };
    let drained = drain(&client, state, "bench", 1).await?;
    let report = service::named(&mut reading(&tenant).await?.conn(), tenant.id().await?, report).await?;
    let (Some(rows), Some(bytes)) = (report.row_count, report.bytes) else {
        anyhow::bail!("the report was not made: {:?}", report.error_message)
    };
    let lines = args.lines.div_ceil(LINES) * LINES;
    ensure!(report.read_rows == i64::try_from(lines)?, "{} lines were read", report.read_rows);
    client.db().close().await;
    Ok(Measured {
        database: database(env),
        lines,
        by: args.by.as_str(),
        format: args.format.as_str(),
        rows,
        bytes,
        seconds: drained.seconds,
        lines_per_second: lines as f64 / drained.seconds,
        peak_rss_bytes: drained.peak_rss_bytes,
    })
}

/// Asks for a report of the year; returns its number.
async fn requested(args: &BenchArgs, tenant: &Tenant) -> anyhow::Result<i64> {
    let days = |text: &str| text.parse::<NaiveDate>();
    let request = ReportRequest {
        by: Some(args.by),
        format: args.format,
        ..ReportRequest::new(ReportType::Sales, days("2026-01-01")?, days("2026-12-31")?)
    };
    let mut tx = tenant.begin().await?;
    let report = service::request(&mut tx, tenant, &request, None).await?;
    tx.commit().await?;
    Ok(report.id)
}

/// Orders of a year of ten lines each, by a thousand customers, of a thousand products.
async fn lay(tenant: &Tenant, orders: u64) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = tenant.begin().await?;
    for statement in [CUSTOMERS, PRODUCTS] {
        query(statement).bind(id).execute(&mut tx.conn()).await?;
    }
    tx.commit().await?;
    let mut first = 1;
    while first <= orders {
        let last = (first + CHUNK - 1).min(orders);
        let mut tx = tenant.begin().await?;
        for statement in [ORDERS, ORDER_LINES] {
            query(statement)
                .bind(id)
                .bind(i64::try_from(first)?)
                .bind(i64::try_from(last)?)
                .execute(&mut tx.conn())
                .await?;
        }
        tx.commit().await?;
        first = last + 1;
    }
    Ok(())
}

const CUSTOMERS: Sql = Sql {
    postgres: "insert into customers (tenant_id, code, name, created_at, updated_at)
        select $1, 'C-' || g, 'Customer ' || g, {now}, {now}
        from generate_series(1, 1000) g",
    sqlite: "insert into customers (tenant_id, code, name, created_at, updated_at)
        with recursive g(g) as (select 1 union all select g + 1 from g where g < 1000)
        select $1, 'C-' || g, 'Customer ' || g, {now}, {now} from g",
};

const PRODUCTS: Sql = Sql {
    postgres: "insert into products (tenant_id, sku, name, category, created_at, updated_at)
        select $1, 'P-' || g, 'Product ' || g, 'Group ' || g % 20, {now}, {now}
        from generate_series(1, 1000) g",
    sqlite: "insert into products (tenant_id, sku, name, category, created_at, updated_at)
        with recursive g(g) as (select 1 union all select g + 1 from g where g < 1000)
        select $1, 'P-' || g, 'Product ' || g, 'Group ' || g % 20, {now}, {now} from g",
};

const ORDERS: Sql = Sql {
    postgres: "insert into sales_orders (tenant_id, number, customer_id, status, currency, decimals, net, tax, total,
            ordered_at, created_at, updated_at)
        select $1, 'B-' || g, (select min(id) from customers where tenant_id = $1) + g % 1000, 'approved', 'EUR', 2, 1, 0, 1,
            timestamptz '2026-01-01 00:00:00Z' + (g * 7919 % 31000000) * interval '1 second', {now}, {now}
        from generate_series($2::bigint, $3::bigint) g",
    sqlite: "insert into sales_orders (tenant_id, number, customer_id, status, currency, decimals, net, tax, total,
            ordered_at, created_at, updated_at)
        with recursive g(g) as (select $2 union all select g + 1 from g where g < $3)
        select $1, 'B-' || g, (select min(id) from customers where tenant_id = $1) + g % 1000, 'approved', 'EUR', 2, '1', '0',
            '1', 1767225600000000 + (g * 7919 % 31000000) * 1000000, {now}, {now}
        from g",
};

const ORDER_LINES: Sql = Sql {
    postgres: "insert into sales_order_lines (tenant_id, order_id, line_no, product_id, sku, description, quantity, unit_price,
            discount, tax_rate)
        select $1, o.id, l, (select min(id) from products where tenant_id = $1) + (g * 7 + l * 13) % 1000, 'P', 'Line',
            g % 9 + 1, (g % 997 + l) / 100.0, 0, 19
        from generate_series($2::bigint, $3::bigint) g
        join sales_orders o on o.tenant_id = $1 and o.number = 'B-' || g cross join generate_series(1, 10) l",
    sqlite: "insert into sales_order_lines (tenant_id, order_id, line_no, product_id, sku, description, quantity, unit_price,
            discount, tax_rate)
        with recursive g(g) as (select $2 union all select g + 1 from g where g < $3),
            l(l) as (select 1 union all select l + 1 from l where l < 10)
        select $1, o.id, l, (select min(id) from products where tenant_id = $1) + (g * 7 + l * 13) % 1000, 'P', 'Line',
            cast(g % 9 + 1 as text), printf('%d.%02d', (g % 997 + l) / 100, (g % 997 + l) % 100), '0', '19'
        from g join sales_orders o on o.tenant_id = $1 and o.number = 'B-' || g cross join l",
};
