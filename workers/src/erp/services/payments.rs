//! Payments of invoices.

use chrono::{DateTime, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::{active_user, happened, one_line};
use crate::erp::events::InvoicePaymentReceived;
use crate::erp::money::exact;
use crate::erp::store::invoices::{self, Invoice};
use crate::erp::store::now;
use crate::erp::store::payments;
pub use crate::erp::store::payments::Payment;

/// Money that came in, as somebody enters it.
#[derive(Debug, Clone)]
pub struct NewPayment {
    /// The number of the invoice it pays.
    pub invoice: String,
    /// The bank's or the provider's reference: once per tenant.
    pub reference: String,
    /// How it was paid: `transfer`, `card` ...
    pub method: String,
    /// What came in, in the invoice's currency; a refund is negative.
    pub amount: Decimal,
    /// When it came in; now without it.
    pub received_at: Option<DateTime<Utc>>,
    /// The user who enters it.
    pub user: Option<i64>,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The payment.
    pub payment: Payment,
    /// The invoice after it.
    pub invoice: Invoice,
    /// Whether the same payment was there before: nothing was stored.
    pub before: bool,
}

/// Books a payment on its invoice and tells everybody.
///
/// The invoice stays locked until the transaction ends, so that two payments at once never pay more than it comes to.
/// Banks and providers tell of a payment more than once: the same reference again is the same payment, unless it says
/// something else.
pub async fn receive(tx: &mut Transaction, tenant: &Tenant, new: NewPayment) -> Result<Received> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let new = checked(new)?;
    active_user(conn, id, new.user).await?;
    let invoice = invoices::id_of(conn, id, &new.invoice).await?;
    let invoice = match invoice {
        Some(invoice) => invoices::lock(conn, id, invoice).await?,
        None => None,
    };
    let invoice = invoice.ok_or_else(|| Error::NotFound { what: "invoice", name: new.invoice.clone() })?;
    if let Some(before) = payments::by_reference(conn, id, &new.reference).await? {
        return same(before, invoice, &new);
    }
    let amount = fitting(&invoice, new.amount)?;
    let received_at = time(conn, new.received_at).await?;
    let row = payments::NewPayment {
        invoice_id: invoice.id,
        customer_id: invoice.customer_id,
        reference: &new.reference,
        method: &new.method,
        amount,
        received_at,
        user_id: new.user,
    };
    if payments::insert(conn, id, &row).await?.is_none() {
        // Between the look and the insert the reference was taken, for another invoice: this one is locked.
        return match payments::by_reference(conn, id, &new.reference).await? {
            Some(before) => same(before, invoice, &new),
            None => Err(Error::NotFound { what: "payment", name: new.reference }),
        };
    }
    let paid = invoice.paid + amount;
    let status = if paid == invoice.total { "paid" } else { "open" };
    invoices::set_paid(conn, id, invoice.id, paid, status).await?;
    let invoice = Invoice { paid, status: status.into(), ..invoice };
    let payment = payments::by_reference(conn, id, &new.reference).await?;
    let payment = payment.ok_or_else(|| Error::NotFound { what: "payment", name: new.reference.clone() })?;
    publish(tx, tenant, &payment, &invoice, new.user).await?;
    Ok(Received { payment, invoice, before: false })
}

async fn publish(
    tx: &mut Transaction,
    tenant: &Tenant,
    payment: &Payment,
    invoice: &Invoice,
    user: Option<i64>,
) -> Result<()> {
    let event = InvoicePaymentReceived {
        payment_id: payment.id,
        reference: payment.reference.clone(),
        method: payment.method.clone(),
        amount: payment.amount,
        currency: payment.currency.clone(),
        invoice_id: invoice.id,
        invoice_number: invoice.number.clone(),
        outstanding: invoice.outstanding(),
        customer_id: payment.customer_id,
        customer_name: payment.customer_name.clone(),
        received_at: payment.received_at,
        user_id: user,
    };
    super::by(tenant.publish(event), user).in_tx(tx).await?;
    Ok(())
}

fn checked(new: NewPayment) -> Result<NewPayment> {
    Ok(NewPayment {
        reference: one_line("the payment's reference", &new.reference, 140)?,
        method: one_line("the payment's method", &new.method, 40)?,
        ..new
    })
}

/// The reference was booked before: right when everything else is the same.
fn same(before: Payment, invoice: Invoice, new: &NewPayment) -> Result<Received> {
    let when =
        new.received_at.is_none_or(|at| at.timestamp_micros() == before.received_at.timestamp_micros());
    let alike = before.invoice_id == invoice.id && before.amount == new.amount && before.method == new.method;
    if alike && when {
        return Ok(Received { payment: before, invoice, before: true });
    }
    Err(Error::Refused {
        what: format!("payment {} of {} {}", new.reference, new.amount, invoice.currency),
        why: format!(
            "the reference is booked already: {} {} by {} for invoice {}, received {}",
            before.amount,
            before.currency,
            before.method,
            before.invoice_number,
            before.received_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        ),
    })
}

/// The amount as the invoice's currency writes it, if the invoice takes it.
fn fitting(invoice: &Invoice, amount: Decimal) -> Result<Decimal> {
    let what = format!("a payment of {amount} {} on invoice {}", invoice.currency, invoice.number);
    if amount.is_zero() {
        return Err(Error::Invalid { what, why: "it must not be 0; a refund is negative".into() });
    }
    if amount.normalize().scale() > invoice.decimals {
        let why = format!("{} has {} decimals", invoice.currency, invoice.decimals);
        return Err(Error::Invalid { what, why });
    }
    let refused = |why: String| Err(Error::Refused { what: what.clone(), why });
    if invoice.status == "void" {
        return refused("the invoice is void".into());
    }
    if amount > invoice.outstanding() {
        return refused(format!("only {} {} is open", invoice.outstanding(), invoice.currency));
    }
    if -amount > invoice.paid {
        return refused(format!("only {} {} was paid", invoice.paid, invoice.currency));
    }
    Ok(exact(amount, invoice.decimals))
}

async fn time(conn: &mut Conn<'_>, given: Option<DateTime<Utc>>) -> Result<DateTime<Utc>> {
    let now = now(conn).await?;
    given.map_or(Ok(now), |at| happened("the payment", at, now))
}
