//! `fairlane bench report`: a sales report of many order lines through a real worker.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use chrono::NaiveDate;
use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::cli::{CommandEnv, DomainCommand, Exit, Failure};
use fairlane::db::{Dialect, Sql, query};
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{Fairlane, Tenant, sql};
use futures::future::BoxFuture;
use serde::Serialize;

use super::bench_import::{Memory, move_to_queue, new_tenant};
use super::reading;
use crate::erp::reports::{FileFormat, Grouping, ReportRequest, ReportSettings, ReportType};
use crate::erp::services::reports as service;
use crate::erp::{Erp, registry};

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

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let args = BenchArgs::from_arg_matches(&matches)?;
            refuse_weak_login(&env.fairlane).await?;
            let tenant = new_tenant(&env.fairlane).await?;
            let measured = measure(&args, &env, &tenant).await;
            clear(&env.fairlane, &tenant).await.context("removing what was measured with")?;
            let measured = measured?;
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

/// Orders are never deleted by who works with them: only an administrator can clear up behind this.
async fn refuse_weak_login(fairlane: &Fairlane) -> anyhow::Result<()> {
    if fairlane.db().dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let mut tx = fairlane.db().read().await?;
    let row =
        query(sql!("select rolsuper or rolbypassrls as strong from pg_roles where rolname = current_user"))
            .fetch_one(&mut tx.conn())
            .await?;
    if row.get::<bool>("strong")? {
        return Ok(());
    }
    Err(Failure::new(Exit::NotPermitted, "this login may not delete the orders it would measure with")
        .hint("name an administrator's in the URL: -d postgres://...")
        .into())
}

async fn measure(args: &BenchArgs, env: &CommandEnv, tenant: &Tenant) -> anyhow::Result<Measured> {
    env.output.remark("laying the orders");
    lay(tenant, args.lines.div_ceil(LINES)).await?;
    let folder = tempfile::tempdir().context("a folder for the report")?;
    let days = |text: &str| text.parse::<NaiveDate>();
    let request = ReportRequest {
        by: Some(args.by),
        format: args.format,
        ..ReportRequest::new(ReportType::Sales, days("2026-01-01")?, days("2026-12-31")?)
    };
    let mut tx = tenant.begin().await?;
    let report = service::request(&mut tx, tenant, &request, None).await?;
    tx.commit().await?;
    let queue = format!("bench-{}", tenant.slug());
    move_to_queue(&env.fairlane, report.job_id.context("the report has a job")?, &queue).await?;
    let settings =
        Arc::new(ReportSettings { folder: folder.path().to_owned(), ..ReportSettings::read(&env.config)? });
    let options = WorkerOptions {
        name: "bench".into(),
        queues: vec![queue],
        concurrency: 1,
        stop_when_empty: true,
        ..WorkerOptions::default()
    };
    let memory = Memory::watch();
    let began = Instant::now();
    let state = Erp { reports: settings, ..Erp::from_config(&env.config)? };
    Worker::new(&env.fairlane)
        .serve(registry(), state)
        .options(options)
        .run_until(std::future::pending())
        .await?;
    let (seconds, peak) = (began.elapsed().as_secs_f64(), memory.peak());
    let id = tenant.id().await?;
    let report = service::named(&mut reading(tenant).await?.conn(), id, report.id).await?;
    let (Some(rows), Some(bytes)) = (report.row_count, report.bytes) else {
        anyhow::bail!("the report was not made: {:?}", report.error_message)
    };
    let lines = args.lines.div_ceil(LINES) * LINES;
    ensure!(report.read_rows == i64::try_from(lines)?, "{} lines were read", report.read_rows);
    Ok(Measured {
        database: match env.fairlane.db().dialect() {
            Dialect::Postgres => "PostgreSQL",
            Dialect::Sqlite => "SQLite",
        },
        lines,
        by: args.by.as_str(),
        format: args.format.as_str(),
        rows,
        bytes,
        seconds,
        lines_per_second: lines as f64 / seconds,
        peak_rss_bytes: peak,
    })
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

/// Removes everything the measurement has stored.
async fn clear(fairlane: &Fairlane, tenant: &Tenant) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = fairlane.db().begin().await?;
    for statement in [
        sql!("delete from notification_messages where tenant_id = $1"),
        sql!("delete from sales_order_lines where tenant_id = $1"),
        sql!("delete from sales_orders where tenant_id = $1"),
        sql!("delete from products where tenant_id = $1"),
        sql!("delete from customers where tenant_id = $1"),
        sql!("delete from reports where tenant_id = $1"),
        sql!("delete from fairlane_jobs where tenant_id = $1"),
        sql!("delete from fairlane_failed_jobs where tenant_id = $1"),
        sql!("delete from fairlane_job_history where tenant_id = $1"),
        sql!("delete from fairlane_tenants where id = $1"),
    ] {
        query(statement).bind(id).execute(&mut tx.conn()).await?;
    }
    Ok(tx.commit().await?)
}
