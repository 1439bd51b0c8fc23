//! Publish an event inside your own `sqlx` transaction: the event, its listener jobs and your rows commit together.
//!
//! `cargo run --example publish_in_your_transaction`

use anyhow::ensure;
use fairlane::db::{Db, DbOptions};
use fairlane::store::{migrate, tenants};
use fairlane::worker::{Worker, WorkerOptions};
use fairlane::{ClientSettings, Context, Event, Fairlane, JobResult, Listener, Registry};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// A sales order passed its approval.
#[derive(Debug, Serialize, Deserialize)]
struct OrderApproved {
    order_id: i64,
}

impl Event for OrderApproved {
    const NAME: &'static str = "sales.order.approved";
}

struct TellTheCustomer;

impl Listener<OrderApproved> for TellTheCustomer {
    const KIND: &'static str = "sales.tell_the_customer";
    type State = ();

    async fn handle(event: OrderApproved, ctx: Context<()>) -> JobResult {
        println!("{}: order {} is on its way", ctx.job().tenant, event.order_id);
        Ok(())
    }
}

fn registry() -> Registry<()> {
    Registry::new().on::<OrderApproved, TellTheCustomer>()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.db");
    let options = DbOptions::new(format!("sqlite:{}", file.display()));
    migrate::migrate(&options, vec![migrate::engine_line()]).await?;
    let fairlane = Fairlane::new(Db::open(&options).await?, ClientSettings::default()).with(&registry());
    fairlane.announce().await?;
    let mut tx = fairlane.db().begin().await?;
    tenants::add(&mut tx.conn(), "acme", "Acme").await?;
    tx.commit().await?;

    // The application's own connection, to the same database.
    let mut app = SqliteConnectOptions::new().filename(&file).connect().await?;
    sqlx::query("create table orders (id integer primary key, status text)").execute(&mut app).await?;
    let acme = fairlane.tenant("acme");

    // Rolled back: neither the order nor the event was ever there.
    let mut tx = app.begin_with("begin immediate").await?;
    sqlx::query("insert into orders values (6, 'approved')").execute(&mut *tx).await?;
    acme.publish(OrderApproved { order_id: 6 }).in_tx(&mut tx).await?;
    tx.rollback().await?;

    // Committed: both are.
    let mut tx = app.begin_with("begin immediate").await?;
    sqlx::query("insert into orders values (7, 'approved')").execute(&mut *tx).await?;
    let published = acme.publish(OrderApproved { order_id: 7 }).in_tx(&mut tx).await?;
    tx.commit().await?;
    ensure!(published.jobs == 1, "one listener, one job");
    published.wake.fire();

    let options = WorkerOptions { stop_when_empty: true, ..WorkerOptions::default() };
    let stopped = Worker::new(&fairlane)
        .serve(registry(), ())
        .options(options)
        .run_until(std::future::pending())
        .await?;
    println!("the worker stopped: {}", stopped.as_str());
    Ok(())
}
