//! Leads: people who may become customers.

use fairlane::{Error, Result, Tenant, Transaction};

use super::customers::{self, Customer, MadeBy, NewCustomer};
use super::{active_user, by, one_line};
use crate::erp::events::LeadConverted;
use crate::erp::store::customers as stored;
use crate::erp::store::leads;
pub use crate::erp::store::leads::{Lead, LeadStatus};

/// How many codes are tried for a lead's customer, before somebody has to give it one by hand.
const CODES: usize = 20;

/// Adds a lead.
pub async fn create(
    tx: &mut Transaction,
    tenant: &Tenant,
    name: &str,
    email: Option<&str>,
    phone: Option<&str>,
) -> Result<Lead> {
    let id = tenant.id().await?;
    let name = one_line("the lead's name", name, 200)?;
    let email = given(email).map(|email| one_line("the lead's address", email, 320)).transpose()?;
    let phone = given(phone).map(|phone| one_line("the telephone number", phone, 64)).transpose()?;
    leads::insert(&mut tx.conn(), id, &name, email.as_deref(), phone.as_deref()).await
}

/// An open lead becomes a customer: everybody is told, and the customer follows. Converting twice is refused.
pub async fn convert(tx: &mut Transaction, tenant: &Tenant, lead: i64, user: Option<i64>) -> Result<Lead> {
    active_user(&mut tx.conn(), tenant.id().await?, user).await?;
    let lead = close(tx, tenant, lead, LeadStatus::Converted).await?;
    let event = LeadConverted {
        lead_id: lead.id,
        name: lead.name.clone(),
        email: lead.email.clone(),
        phone: lead.phone.clone(),
        version: lead.version,
        converted_at: lead.converted_at.unwrap_or(lead.created_at),
        user_id: user,
    };
    by(tenant.publish(event), user).in_tx(tx).await?;
    Ok(lead)
}

/// An open lead will not buy.
pub async fn lose(tx: &mut Transaction, tenant: &Tenant, lead: i64) -> Result<Lead> {
    close(tx, tenant, lead, LeadStatus::Lost).await
}

/// The customer of a converted lead: made once, whoever asks how often.
///
/// Its code is `L-` and the lead's number; where somebody has taken that, a letter more.
pub async fn customer_of(
    tx: &mut Transaction,
    tenant: &Tenant,
    converted: &LeadConverted,
) -> Result<Customer> {
    let id = tenant.id().await?;
    let lead = leads::lock(&mut tx.conn(), id, converted.lead_id).await?;
    let lead = lead.ok_or_else(|| missing(converted.lead_id))?;
    if let Some(customer) = lead.customer_id {
        return stored::by_id(&mut tx.conn(), id, customer).await;
    }
    if lead.status != LeadStatus::Converted {
        return Err(not_possible("making a customer of", &lead));
    }
    let code = free_code(tx, id, lead.id).await?;
    let new = NewCustomer {
        code,
        name: converted.name.clone(),
        email: converted.email.clone(),
        phone: converted.phone.clone(),
        ..NewCustomer::default()
    };
    let made_by = MadeBy { user: converted.user_id, lead: Some(lead.id) };
    let customer = customers::create_by(tx, tenant, new, made_by).await?;
    leads::set_customer(&mut tx.conn(), id, lead.id, customer.id).await?;
    Ok(customer)
}

async fn free_code(tx: &mut Transaction, tenant: i64, lead: i64) -> Result<String> {
    let base = format!("L-{lead:05}");
    for suffix in std::iter::once(String::new()).chain(('A'..).map(String::from)).take(CODES) {
        let code = format!("{base}{suffix}");
        match stored::by_code(&mut tx.conn(), tenant, &code).await {
            Err(Error::NotFound { .. }) => return Ok(code),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Refused {
        what: format!("a code for the customer of lead {lead}"),
        why: format!("{base} and what follows it are taken"),
    })
}

async fn close(tx: &mut Transaction, tenant: &Tenant, lead: i64, status: LeadStatus) -> Result<Lead> {
    let id = tenant.id().await?;
    let before = leads::lock(&mut tx.conn(), id, lead).await?.ok_or_else(|| missing(lead))?;
    let closed = leads::close(&mut tx.conn(), id, lead, status).await?;
    let what = if status == LeadStatus::Lost { "giving up" } else { "converting" };
    closed.ok_or_else(|| not_possible(what, &before))
}

fn missing(lead: i64) -> Error {
    Error::NotFound { what: "lead", name: lead.to_string() }
}

fn not_possible(what: &str, lead: &Lead) -> Error {
    let why = match lead.status {
        LeadStatus::Open => "it is still open",
        LeadStatus::Converted => "it is converted already",
        LeadStatus::Lost => "it is lost",
    };
    Error::Refused { what: format!("{what} lead {} ({})", lead.id, lead.name), why: why.into() }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}
