//! What customers have ordered and paid: always computed from orders, invoices and payments, never counted up.

use chrono::{DateTime, Utc};
use fairlane::db::{Conn, Row, Sql, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;
use serde::Serialize;

/// A customer's statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Orders, but for those that were cancelled.
    pub total_orders: i64,
    /// Payments less refunds, in the tenant's currency.
    pub total_spent: Decimal,
    /// What is left to be paid of open invoices, in the tenant's currency.
    pub outstanding_balance: Decimal,
    /// When the last order was entered that was not cancelled.
    pub last_order_at: Option<DateTime<Utc>>,
    /// When the last payment came in; refunds do not count.
    pub last_payment_at: Option<DateTime<Utc>>,
}

impl Statistics {
    /// As databases and JSON write numbers: without zeros behind.
    fn normalized(mut self) -> Self {
        self.total_spent = self.total_spent.normalize();
        self.outstanding_balance = self.outstanding_balance.normalize();
        self
    }
}

/// Takes the customer's row, which is made where there is none, until the transaction ends; false without the customer.
///
/// Whoever computes statistics reads after this: so the last to write has read last, and nothing older overwrites it.
pub async fn lock(conn: &mut Conn<'_>, tenant: i64, customer: i64) -> Result<bool> {
    query(sql!(
        "insert into customer_statistics (tenant_id, customer_id, total_orders, total_spent, outstanding_balance)
         select tenant_id, id, 0, $3, $3 from customers where tenant_id = $1 and id = $2
         on conflict (tenant_id, customer_id) do nothing"
    ))
    .bind(tenant)
    .bind(customer)
    .bind(Decimal::ZERO)
    .execute(conn)
    .await?;
    let row = query(sql!(
        "select customer_id from customer_statistics where tenant_id = $1 and customer_id = $2 {lock}"
    ))
    .bind(tenant)
    .bind(customer)
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Computes a customer's statistics from the tables. Amounts in other currencies than `currency` are left out: nothing
/// true can be said about their sum.
pub async fn compute(conn: &mut Conn<'_>, tenant: i64, customer: i64, currency: &str) -> Result<Statistics> {
    let orders = query(sql!(
        "select count(*) as total, max(ordered_at) as last from sales_orders
         where tenant_id = $1 and customer_id = $2 and status <> 'cancelled'"
    ))
    .bind(tenant)
    .bind(customer)
    .fetch_one(conn)
    .await?;
    let statistics = Statistics {
        total_orders: orders.get("total")?,
        total_spent: spent(conn, tenant, customer, currency).await?,
        outstanding_balance: outstanding(conn, tenant, customer, currency).await?,
        last_order_at: orders.get("last")?,
        last_payment_at: last_payment(conn, tenant, customer).await?,
    };
    Ok(statistics.normalized())
}

/// Payments less refunds. SQLite's sums of decimals are not exact: there every amount is a row, summed in code.
async fn spent(conn: &mut Conn<'_>, tenant: i64, customer: i64, currency: &str) -> Result<Decimal> {
    let statement = Sql {
        postgres: "select coalesce(sum(p.amount), 0) as amount from payments p
             join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
             where p.tenant_id = $1 and p.customer_id = $2 and i.currency = $3",
        sqlite: "select p.amount from payments p
             join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
             where p.tenant_id = $1 and p.customer_id = $2 and i.currency = $3",
    };
    let rows = query(statement).bind(tenant).bind(customer).bind(currency).fetch_all(conn).await?;
    rows.iter().map(|row| row.get::<Decimal>("amount")).sum()
}

/// What is left to be paid of open invoices.
async fn outstanding(conn: &mut Conn<'_>, tenant: i64, customer: i64, currency: &str) -> Result<Decimal> {
    let statement = Sql {
        postgres: "select coalesce(sum(total), 0) as total, coalesce(sum(paid), 0) as paid from invoices
             where tenant_id = $1 and customer_id = $2 and currency = $3 and kind = 'invoice' and status = 'open'",
        sqlite: "select total, paid from invoices
             where tenant_id = $1 and customer_id = $2 and currency = $3 and kind = 'invoice' and status = 'open'",
    };
    let rows = query(statement).bind(tenant).bind(customer).bind(currency).fetch_all(conn).await?;
    let open = |row: &Row| Ok(row.get::<Decimal>("total")? - row.get::<Decimal>("paid")?);
    rows.iter().map(open).sum()
}

async fn last_payment(conn: &mut Conn<'_>, tenant: i64, customer: i64) -> Result<Option<DateTime<Utc>>> {
    let statement = Sql {
        postgres: "select max(received_at) as last from payments
             where tenant_id = $1 and customer_id = $2 and amount > 0",
        sqlite: "select max(received_at) as last from payments
             where tenant_id = $1 and customer_id = $2 and amount not glob '-*'",
    };
    query(statement).bind(tenant).bind(customer).fetch_one(conn).await?.get("last")
}

/// Stores the statistics of a customer whose row the transaction has taken.
pub async fn save(conn: &mut Conn<'_>, tenant: i64, customer: i64, statistics: &Statistics) -> Result<()> {
    query(sql!(
        "update customer_statistics set total_orders = $3, total_spent = $4, outstanding_balance = $5,
             last_order_at = $6, last_payment_at = $7, computed_at = {now}
         where tenant_id = $1 and customer_id = $2"
    ))
    .bind(tenant)
    .bind(customer)
    .bind(statistics.total_orders)
    .bind(statistics.total_spent)
    .bind(statistics.outstanding_balance)
    .bind(statistics.last_order_at)
    .bind(statistics.last_payment_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// A customer's statistics as they were computed last, and when.
pub async fn find(
    conn: &mut Conn<'_>,
    tenant: i64,
    customer: i64,
) -> Result<Option<(Statistics, DateTime<Utc>)>> {
    let row = query(sql!(
        "select total_orders, total_spent, outstanding_balance, last_order_at, last_payment_at, computed_at
         from customer_statistics where tenant_id = $1 and customer_id = $2"
    ))
    .bind(tenant)
    .bind(customer)
    .fetch_optional(conn)
    .await?;
    let read = |row: Row| {
        let statistics = Statistics {
            total_orders: row.get("total_orders")?,
            total_spent: row.get("total_spent")?,
            outstanding_balance: row.get("outstanding_balance")?,
            last_order_at: row.get("last_order_at")?,
            last_payment_at: row.get("last_payment_at")?,
        };
        Ok((statistics.normalized(), row.get("computed_at")?))
    };
    row.map(read).transpose()
}
