//! `erp order list|show|create|place|approve|fulfil|cancel|return`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use fairlane::cli::{CommandEnv, Record, printable};
use fairlane::{Error, Tenant, Transaction};
use rust_decimal::Decimal;

use super::back::{self, GoBack};
use super::{Limit, order_show, reading, user_of};
use crate::erp::services::orders::{self, NewLine, Taken};
use crate::erp::store;
use crate::erp::store::orders::{Order as Row, OrderStatus};

#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// List the newest orders
    List {
        #[command(flatten)]
        limit: Limit,
        /// Go on behind the order of this number, with older ones
        #[arg(long, value_name = "NUMBER")]
        after: Option<String>,
    },
    /// Show an order with its lines, where they come from and where it stands
    Show {
        /// The order's number: SO-2026-00001
        number: String,
    },
    /// Enter an order as a draft
    #[command(alias = "add")]
    Create(Create),
    /// Say where a line of a draft is delivered from, and of which batch
    Place {
        /// The order's number: SO-2026-00001
        number: String,
        /// The line's number, from 1
        line: i64,
        /// The location's code
        #[arg(long, value_name = "LOCATION")]
        from: String,
        /// Of which batch; else what expires first
        #[arg(long)]
        lot: Option<String>,
    },
    /// Approve a draft: its invoice and the mail to the customer follow
    Approve {
        /// The order's number: SO-2026-00001
        number: String,
        /// The address of the user who approves it
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// Note that an approved order was delivered: its goods leave the stock
    Fulfil {
        /// The order's number: SO-2026-00001
        number: String,
        /// The address of the user who delivered it
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// Take goods of a delivered order (SO-2026-00001) back into stock, and enter the paper of their return
    Return(GoBack),
    /// Call an order off, as long as it is neither delivered nor billed
    Cancel {
        /// The order's number: SO-2026-00001
        number: String,
        /// The address of the user who calls it off
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The customer's code
    #[arg(long, value_name = "CODE")]
    customer: String,
    /// A line, ITEM=QUANTITY or ITEM=QUANTITY@PRICE: ITEM is a product's code, or, with a price, any text
    #[arg(long = "line", required = true, value_name = "ITEM=QUANTITY[@PRICE]")]
    lines: Vec<TypedLine>,
    /// Tax of every line, in percent
    #[arg(long, default_value = "0", value_name = "PERCENT")]
    tax: Decimal,
    /// The location its products are delivered from; else the first
    #[arg(long, value_name = "LOCATION")]
    from: Option<String>,
    /// Approve it at once
    #[arg(long)]
    approve: bool,
    /// The address of the user who enters it
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

/// `Tiles=3@33.50`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypedLine {
    item: String,
    quantity: Decimal,
    price: Option<Decimal>,
}

impl FromStr for TypedLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (item, numbers) = text
            .rsplit_once('=')
            .ok_or("it has no \"=\"; write ITEM=QUANTITY or ITEM=QUANTITY@PRICE, such as Tiles=3@33.50")?;
        let (quantity, price) = match numbers.split_once('@') {
            Some((quantity, price)) => (quantity, Some(price)),
            None => (numbers, None),
        };
        let number = |text: &str| {
            text.trim().parse().map_err(|_| format!("\"{text}\" is no number; write it like 3 or 33.50"))
        };
        Ok(Self {
            item: item.trim().into(),
            quantity: number(quantity)?,
            price: price.map(number).transpose()?,
        })
    }
}

impl TypedLine {
    /// A product's line where the catalogue has the code; else a text with a price.
    async fn resolve(
        &self,
        tx: &mut Transaction,
        tenant: &Tenant,
        tax: Decimal,
    ) -> fairlane::Result<NewLine> {
        let product = orders::catalogue_product(tx, tenant, &self.item).await?;
        let (sku, description, listed) = match product {
            Some(product) => (Some(product.sku), product.name, product.price),
            None if self.price.is_none() => {
                return Err(Error::Invalid {
                    what: format!("the line \"{}={}\"", self.item, self.quantity),
                    why: format!(
                        "the catalogue has no such product; for anything else name a price: {}={}@9.90",
                        self.item, self.quantity
                    ),
                });
            }
            None => (None, self.item.clone(), None),
        };
        let unit_price = self.price.or(listed).ok_or_else(|| orders::no_price(&self.item))?;
        Ok(NewLine {
            sku,
            description,
            quantity: self.quantity,
            unit_price,
            discount: Decimal::ZERO,
            tax_rate: tax,
        })
    }
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["NUMBER", "CUSTOMER", "NAME", "STATUS", "TOTAL", "ENTERED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.number.clone(),
            self.customer_code.clone(),
            self.customer_name.clone(),
            self.status.to_string(),
            format!("{} {}", self.total, self.currency),
            fairlane::cli::ago(self.ordered_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.number.clone()
    }
}

pub(super) async fn run(verb: &Order, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    match verb {
        Order::List { limit, after } => {
            let mut tx = reading(tenant).await?;
            let conn = &mut tx.conn();
            let behind = match after {
                Some(number) => Some(orders::named(conn, id, number).await?.id),
                None => None,
            };
            let rows = store::orders::list(conn, id, behind, limit.and_one()).await?;
            let empty = "No orders yet. Enter one: fairlane erp order create --customer CODE --line ITEM=1@9.90 -t TENANT";
            Ok(env.output.page(&limit.page(rows).going_on_after(), empty)?)
        }
        Order::Show { number } => order_show::show(number, tenant, env).await,
        Order::Create(new) => create(new, tenant, env).await,
        Order::Place { number, line, from, lot } => {
            let (mut tx, order, _) = opened(tenant, id, number, None).await?;
            orders::place(&mut tx, tenant, order.id, *line, from, lot.as_deref()).await?;
            done(tx, &order, "changed", env).await
        }
        Order::Approve { number, user } => {
            let (mut tx, order, user) = opened(tenant, id, number, user.as_deref()).await?;
            let order = orders::approve(&mut tx, tenant, order.id, user).await?;
            done(tx, &order, "approved", env).await
        }
        Order::Fulfil { number, user } => {
            let (mut tx, order, user) = opened(tenant, id, number, user.as_deref()).await?;
            let order = orders::fulfil(&mut tx, tenant, order.id, user).await?;
            done(tx, &order, "delivered", env).await
        }
        Order::Return(back) => back::take(back, tenant, env).await,
        Order::Cancel { number, user } => {
            let (mut tx, order, user) = opened(tenant, id, number, user.as_deref()).await?;
            let order = orders::cancel_by(&mut tx, tenant, order.id, user).await?;
            done(tx, &order, "cancelled", env).await
        }
    }
}

async fn create(new: &Create, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, tenant.id().await?, new.user.as_deref()).await?;
    let mut lines = Vec::with_capacity(new.lines.len());
    for line in &new.lines {
        lines.push(line.resolve(&mut tx, tenant, new.tax).await?);
    }
    let taken = Taken { user, ..Taken::default() };
    let mut order = orders::create_taken(&mut tx, tenant, &new.customer, &lines, &taken).await?;
    if let Some(from) = &new.from {
        for (line, _) in (1..).zip(&lines).filter(|(_, line)| line.sku.is_some()) {
            orders::place(&mut tx, tenant, order.id, line, from, None).await?;
        }
    }
    if new.approve {
        order = orders::approve(&mut tx, tenant, order.id, user).await?;
    }
    tx.commit().await?;
    // A code that was mistyped looks like this too.
    for line in lines.iter().filter(|line| line.sku.is_none()) {
        let billed = printable(&line.description);
        env.output.remark(&format!("{billed}: no product of the catalogue, billed as text"));
    }
    show(&order, if new.approve { "entered and approved" } else { "entered" }, env)
}

/// A transaction, the order of a number, and the user of an address.
async fn opened(
    tenant: &Tenant,
    id: i64,
    number: &str,
    email: Option<&str>,
) -> anyhow::Result<(Transaction, Row, Option<i64>)> {
    let mut tx = tenant.begin().await?;
    let user = user_of(&mut tx, id, email).await?;
    let order = orders::named(&mut tx.conn(), id, number).await?;
    Ok((tx, order, user))
}

async fn done(tx: Transaction, order: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    tx.commit().await?;
    show(order, what, env)
}

fn show(order: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let total = format!("{} {}", order.total, order.currency);
    let mut lines = vec![format!("Order {} of {} {what}: {total}.", order.number, order.customer_code)];
    if order.status == OrderStatus::Approved {
        lines.push(
            "Its invoice and the mail follow where a worker runs: fairlane work --stop-when-empty".into(),
        );
    }
    Ok(env.output.result(order, Some(&order.number), &lines)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_is_an_item_a_quantity_and_perhaps_a_price() {
        let line: TypedLine = "Tiles, a=b=3@33.50".parse().unwrap();
        assert_eq!(line.item, "Tiles, a=b");
        assert_eq!((line.quantity, line.price), ("3".parse().unwrap(), Some("33.50".parse().unwrap())));
        assert_eq!("T-1=2.5".parse::<TypedLine>().unwrap().price, None);
    }

    #[test]
    fn a_typed_line_that_is_none_says_how_to_write_one() {
        for (text, part) in
            [("Tiles", "ITEM=QUANTITY"), ("Tiles=", "is no number"), ("T=1@x", "\"x\" is no number")]
        {
            let why = text.parse::<TypedLine>().unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
