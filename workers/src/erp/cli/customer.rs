//! `erp customer list|add|update|set-email`; `show` and `stats` have a file of their own.

use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record};

use super::{Limit, customer_show, reading};
use crate::erp::services::customers::{self, CustomerChange, NewCustomer};
use crate::erp::store;
use crate::erp::store::customers::Customer as Row;

#[derive(Debug, Subcommand)]
pub(super) enum Customer {
    /// List customers by code
    List {
        #[command(flatten)]
        limit: Limit,
        /// Begin after this code
        #[arg(long, default_value = "")]
        after: String,
    },
    /// Add a customer
    #[command(alias = "create")]
    Add {
        /// The code people know it by
        code: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// Where its mails go
        #[arg(long)]
        email: Option<String>,
        /// Its telephone number
        #[arg(long)]
        phone: Option<String>,
        /// Days it has to pay
        #[arg(long, default_value_t = 30, value_name = "DAYS")]
        terms: u32,
    },
    /// Change a customer; what is not named stays
    Update {
        /// The customer's code
        code: String,
        #[command(flatten)]
        change: Change,
    },
    /// Show a customer: where it is reached, its terms, and what was computed of it last
    Show {
        /// The customer's code
        code: String,
    },
    /// Show what a customer has ordered and paid
    Stats {
        /// The customer's code
        code: String,
        /// Compute it anew first, instead of showing what was computed last
        #[arg(long)]
        recompute: bool,
    },
    /// Change where a customer's mails go; an empty address takes it away
    SetEmail {
        /// The customer's code
        code: String,
        /// The new address
        address: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Change {
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Where its mails go; an empty address takes it away
    #[arg(long)]
    email: Option<String>,
    /// Its telephone number; an empty one takes it away
    #[arg(long)]
    phone: Option<String>,
    /// Days it has to pay
    #[arg(long, value_name = "DAYS")]
    terms: Option<u32>,
    /// Whether it may order
    #[arg(long)]
    active: Option<bool>,
    /// Only if it still has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<i64>,
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["CODE", "NAME", "EMAIL", "TERMS", "STATE"];

    fn cells(&self) -> Vec<String> {
        let state = if self.active { "active" } else { "inactive" };
        let email = self.email.clone().unwrap_or_else(|| "-".into());
        vec![self.code.clone(), self.name.clone(), email, format!("{} d", self.terms_days), state.into()]
    }

    fn id(&self) -> String {
        self.code.clone()
    }
}

pub(super) async fn run(verb: &Customer, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Customer::List { limit, after } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let rows = store::customers::list(&mut tx.conn(), id, after, limit.and_one()).await?;
            let empty = "No customers yet. Add one: fairlane erp customer add CODE --name NAME -t TENANT";
            env.output.page(&limit.page(rows).going_on_after(), empty)?;
        }
        Customer::Add { code, name, email, phone, terms } => {
            let new = NewCustomer {
                code: code.clone(),
                name: name.clone(),
                email: email.clone(),
                phone: phone.clone(),
                terms_days: *terms,
            };
            let mut tx = tenant.begin().await?;
            let added = customers::create(&mut tx, tenant, new).await?;
            tx.commit().await?;
            show(&added, "added", env)?;
        }
        Customer::Update { code, change } => {
            let new = CustomerChange {
                name: change.name.clone(),
                email: change.email.clone(),
                phone: change.phone.clone(),
                terms_days: change.terms,
                active: change.active,
            };
            let mut tx = tenant.begin().await?;
            let changed = customers::update(&mut tx, tenant, code, &new, change.if_version).await?;
            tx.commit().await?;
            show(&changed, "changed", env)?;
        }
        Customer::Show { code } => customer_show::show(code, tenant, env).await?,
        Customer::Stats { code, recompute } => customer_show::stats(code, *recompute, tenant, env).await?,
        Customer::SetEmail { code, address } => {
            let mut tx = tenant.begin().await?;
            let changed = customers::set_email(&mut tx, tenant, code, address).await?;
            tx.commit().await?;
            show(&changed, "changed", env)?;
        }
    }
    Ok(())
}

fn show(customer: &Row, what: &str, env: &CommandEnv) -> anyhow::Result<()> {
    let line = format!("Customer {} {what}; {}.", customer.code, customer_show::reached(customer));
    Ok(env.output.result(customer, Some(&customer.code), &[line])?)
}
