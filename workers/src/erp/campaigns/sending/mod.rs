//! The mails of a chunk go out, a few at a time, each as `erp.send_mail` would send it:
//!
//! ```text
//! transaction 1   choices, addresses and quiet hours are looked at again; a few mails are taken for this job
//! outside         the mail server is asked for everything but the messages
//! transaction 2   they are being handed over                                            (sending)
//! outside         the messages, and the server's answers
//! transaction 3   what became of each
//! ```
//!
//! Whoever finds a mail that was being handed over cannot know: it becomes *uncertain*, and is not sent again unasked.

mod handing;
mod reading;

use std::time::Duration;

use fairlane::{Context, Result, Transaction};

use super::letters::Letters;
use crate::erp::Erp;
use crate::erp::mail::{self, Mail, MailError};
use crate::erp::notifications::many::hold_back;
use crate::erp::store::bulk_deliveries::{self, Settled, Waiting};
use crate::erp::store::campaigns::Campaign;
use crate::erp::store::channel_rates;
use crate::erp::store::deliveries::Status;
use crate::erp::store::people::User;
pub(crate) use handing::{Ended, wait};
use handing::{left_out, refused, uncertain};
use reading::Verdict;

/// Longer than any attempt to send: afterwards another job may try.
const HOLD: Duration = Duration::from_secs(90);
/// How long a chunk waits for mails that other jobs have.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Mails at a time where the same mail twice is one.
const FORGIVEN_AT_ONCE: usize = 50;

/// What comes next for a chunk.
pub(crate) enum Picked {
    /// No mail is left.
    Nothing,
    /// None may go out now.
    Wait(Duration),
    /// These go out. (None: something was settled without the server.)
    Mails(Vec<Outgoing>),
}

/// A mail that was taken.
pub(crate) struct Outgoing {
    delivery: i64,
    attempts: i64,
    address: String,
    mail: Mail,
}

/// The mails of one chunk.
pub(crate) struct Sending<'a> {
    pub(crate) ctx: &'a Context<Erp>,
    pub(crate) campaign: &'a Campaign,
    pub(crate) users: &'a [i64],
}

impl Sending<'_> {
    fn tenant(&self) -> i64 {
        self.ctx.job().tenant_id
    }

    /// Picks the next mails, and settles those that must not go out.
    pub(crate) async fn pick(&self, tx: &mut Transaction, letters: &Letters) -> Result<Picked> {
        let (erp, job) = (&self.ctx.state, self.ctx.job().id);
        let forgives = erp.mailer.forgives_repeats();
        let most = if forgives { FORGIVEN_AT_ONCE } else { erp.campaigns.mail_connections };
        let limit = i64::try_from(most).unwrap_or(1);
        let (tenant, id) = (self.tenant(), self.campaign.id);
        let conn = &mut tx.conn();
        let waiting = bulk_deliveries::waiting_mails(conn, tenant, id, self.users, job, limit).await?;
        if waiting.is_empty() {
            return Ok(Picked::Nothing);
        }
        let free: Vec<&Waiting> = waiting.iter().filter(|mail| !mail.is_elsewhere).collect();
        if free.is_empty() {
            return Ok(Picked::Wait(BUSY_WAIT));
        }
        let (left, candidates): (Vec<&Waiting>, Vec<&Waiting>) =
            free.into_iter().partition(|mail| mail.is_sending && !forgives);
        let mut settled: Vec<Settled> = left.into_iter().map(|mail| uncertain(mail.id)).collect();
        let readers = self.readers(tx, &candidates).await?;
        let (mut outgoing, mut later) = (Vec::new(), Vec::new());
        for mail in candidates {
            match self.look(mail, &readers) {
                Verdict::Send(user, address) => match self.write(letters, mail, &user, address) {
                    Ok(one) => outgoing.push(one),
                    Err(error) => settled.push(refused(mail.id, &error)),
                },
                Verdict::Leave(status, code, why) => settled.push(left_out(mail.id, status, code, why)),
                Verdict::Later(deferral, code, why) => {
                    settled.push(left_out(mail.id, Status::Deferred, code, why));
                    later.push(deferral);
                }
            }
        }
        bulk_deliveries::settle_all(&mut tx.conn(), tenant, &settled).await?;
        hold_back(tx, &self.ctx.tenant(), tenant, &later).await?;
        self.take(tx, outgoing, settled.is_empty()).await
    }

    /// Takes mails, as many as the rate allows.
    async fn take(
        &self,
        tx: &mut Transaction,
        outgoing: Vec<Outgoing>,
        nothing_else: bool,
    ) -> Result<Picked> {
        let (conn, tenant) = (&mut tx.conn(), self.tenant());
        if outgoing.is_empty() {
            return Ok(Picked::Mails(outgoing));
        }
        let own = channel_rates::find(conn, tenant, "mail").await?;
        if let Some(rate) = own.or(self.ctx.state.campaigns.rate("mail"))
            && let Some(wait) = channel_rates::take(conn, tenant, "mail", rate, outgoing.len()).await?
        {
            return Ok(if nothing_else { Picked::Wait(wait) } else { Picked::Mails(Vec::new()) });
        }
        let taken = |one: &Outgoing| (one.delivery, one.mail.message_id.clone(), one.address.clone());
        let taken: Vec<_> = outgoing.iter().map(taken).collect();
        bulk_deliveries::take_all(conn, tenant, self.ctx.job().id, HOLD, &taken).await?;
        Ok(Picked::Mails(outgoing))
    }

    fn write(
        &self,
        letters: &Letters,
        waiting: &Waiting,
        user: &User,
        address: String,
    ) -> Result<Outgoing, MailError> {
        let (tenant, from) = (&self.ctx.job().tenant, &self.ctx.state.from);
        let told = (waiting.created_at, waiting.message_id.as_deref());
        let message_id = mail::message_id_of(tenant, &waiting.dedupe_key, told, from);
        let mail = letters.write(user, &address, message_id, waiting.token.as_deref())?;
        Ok(Outgoing { delivery: waiting.id, attempts: waiting.attempts + 1, address, mail })
    }
}
