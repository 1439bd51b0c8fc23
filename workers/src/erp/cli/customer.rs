//! `erp customer list|add|set-email`.

use clap::Subcommand;
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Page, Record};

use super::{Limit, reading};
use crate::erp::mail::check_address;
use crate::erp::services::customers::{self, NewCustomer};
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
    /// Change where a customer's mails go; an empty address takes it away
    SetEmail {
        /// The customer's code
        code: String,
        /// The new address
        address: String,
    },
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
            let rows = store::customers::list(&mut tx.conn(), id, after, limit.limit.into()).await?;
            let empty = "No customers yet. Add one: fairlane erp customer add CODE --name NAME -t TENANT";
            env.output.page(&Page::from(rows), empty)?;
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
    let goes = match customer.email.as_deref().map(check_address) {
        None => "it has no mail address".to_owned(),
        Some(Ok(address)) => format!("mails go to {address}"),
        Some(Err(why)) => format!("no mail will reach it: {why}"),
    };
    let line = format!("Customer {} {what}; {goes}.", customer.code);
    Ok(env.output.result(customer, Some(&customer.code), &[line])?)
}
