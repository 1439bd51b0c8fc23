//! `erp customer show|stats`.

use chrono::{DateTime, Utc};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Exit, Failure, ago, printable};
use fairlane::db::Conn;
use rust_decimal::Decimal;
use serde::Serialize;

use super::reading;
use crate::erp::mail::check_address;
use crate::erp::money::exact;
use crate::erp::services::statistics;
use crate::erp::store;
use crate::erp::store::customers::Customer;
use crate::erp::store::profiles::Profile;

/// What was computed of a customer last.
#[derive(Debug, Serialize)]
struct Stats {
    customer: String,
    currency: String,
    total_orders: i64,
    total_spent: Decimal,
    outstanding_balance: Decimal,
    last_order_at: Option<DateTime<Utc>>,
    last_payment_at: Option<DateTime<Utc>>,
    computed_at: DateTime<Utc>,
    #[serde(skip)]
    decimals: u32,
}

impl Stats {
    async fn find(conn: &mut Conn<'_>, tenant: i64, customer: &Customer) -> fairlane::Result<Option<Self>> {
        let Profile { currency, decimals, .. } = store::profiles::find(conn, tenant).await?;
        let found = store::statistics::find(conn, tenant, customer.id).await?;
        Ok(found.map(|(figures, computed_at)| Self {
            customer: customer.code.clone(),
            currency,
            total_orders: figures.total_orders,
            total_spent: figures.total_spent,
            outstanding_balance: figures.outstanding_balance,
            last_order_at: figures.last_order_at,
            last_payment_at: figures.last_payment_at,
            computed_at,
            decimals,
        }))
    }

    fn lines(&self) -> [String; 3] {
        let money = |amount| format!("{} {}", exact(amount, self.decimals), self.currency);
        let day = |at: Option<DateTime<Utc>>| at.map_or("never".to_owned(), |at| ago(at, Utc::now()));
        [
            format!("Orders       {}, the last {}", self.total_orders, day(self.last_order_at)),
            format!(
                "Spent        {}, the last payment {}",
                money(self.total_spent),
                day(self.last_payment_at)
            ),
            format!("Outstanding  {}", money(self.outstanding_balance)),
        ]
    }
}

/// A customer with what was computed of it last.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    customer: Customer,
    /// None until an order or a payment of it was counted.
    stats: Option<Stats>,
}

pub(super) async fn show(code: &str, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let customer = store::customers::by_code(conn, id, code).await?;
    let stats = Stats::find(conn, id, &customer).await?;
    let state = if customer.active { "active" } else { "inactive" };
    let mut lines = vec![
        format!("Customer {} ({}), {state}, version {}", customer.code, customer.name, customer.version),
        reached(&customer),
        format!("Telephone    {}", customer.phone.as_deref().unwrap_or("-")),
        format!("Terms        {} days", customer.terms_days),
    ];
    lines.extend(stats.iter().flat_map(Stats::lines));
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    Ok(env.output.result(&Shown { customer, stats }, Some(code), &lines)?)
}

pub(super) async fn stats(
    code: &str,
    recompute: bool,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    if recompute {
        let mut tx = tenant.begin().await?;
        let customer = store::customers::by_code(&mut tx.conn(), id, code).await?;
        statistics::recompute(&mut tx.conn(), id, customer.id).await?;
        tx.commit().await?;
    }
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let customer = store::customers::by_code(conn, id, code).await?;
    let Some(stats) = Stats::find(conn, id, &customer).await? else {
        let why = format!("customer {code} has no statistics yet");
        let hint =
            format!("compute them: fairlane erp customer stats {code} --recompute -t {}", tenant.slug());
        return Err(Failure::new(Exit::NotFound, why).hint(hint).into());
    };
    let computed = ago(stats.computed_at, Utc::now());
    let mut lines = vec![format!("Customer {} ({}), computed {computed}", customer.code, customer.name)];
    lines.extend(stats.lines());
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    Ok(env.output.result(&stats, Some(code), &lines)?)
}

/// Where a customer's mails go, or why none reaches it.
pub(super) fn reached(customer: &Customer) -> String {
    match customer.email.as_deref().map(check_address) {
        None => "it has no mail address".to_owned(),
        Some(Ok(address)) => format!("mails go to {address}"),
        Some(Err(why)) => format!("no mail will reach it: {why}"),
    }
}
