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

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::{Context, Result, Tenant, Transaction};
use futures::future::join_all;

use super::kind_of;
use super::letters::Letters;
use crate::erp::Erp;
use crate::erp::mail::{self, Handover, Mail, MailError, Receipt};
use crate::erp::notifications::many::hold_back;
use crate::erp::notifications::timing::Timing;
use crate::erp::notifications::{Mail as MailChannel, Plan, Recipient, plan_reaching};
use crate::erp::store::bulk_deliveries::{self, Settled, Waiting};
use crate::erp::store::campaigns::Campaign;
use crate::erp::store::deliveries::Status;
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences::{Preference, Suppression};
use crate::erp::store::timing::{self, Deferral};
use crate::erp::store::{channel_rates, now, preferences};

/// Longer than any attempt to send: afterwards another job may try.
const HOLD: Duration = Duration::from_secs(90);
/// How long a chunk waits for mails that other jobs have.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// How often a mail is tried that the server puts off.
const MOST_ATTEMPTS: i64 = 12;
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

/// What became of mails that went out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// At least one has an end.
    Settled,
    /// The server takes nothing.
    Outage,
    /// All of them are to be tried again; the one that was tried least, so often.
    PutOff(i64),
}

/// The mails of one chunk.
pub(crate) struct Sending<'a> {
    pub(crate) ctx: &'a Context<Erp>,
    pub(crate) campaign: &'a Campaign,
    pub(crate) users: &'a [i64],
}

/// What has to be known about readers at the moment their mails go out.
struct Readers {
    people: BTreeMap<i64, User>,
    choices: BTreeMap<i64, Vec<Preference>>,
    refusals: BTreeMap<String, Suppression>,
    timings: BTreeMap<i64, Timing>,
    now: DateTime<Utc>,
}

/// What a look at a reader says about a mail.
enum Verdict {
    Send(User, String),
    Leave(Status, &'static str, String),
    Later(Deferral, &'static str, String),
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
        if let Some(rate) = own.or(self.ctx.state.campaigns.mail_rate)
            && let Some(wait) = channel_rates::take(conn, tenant, "mail", rate, outgoing.len()).await?
        {
            return Ok(if nothing_else { Picked::Wait(wait) } else { Picked::Mails(Vec::new()) });
        }
        let taken = |one: &Outgoing| (one.delivery, one.mail.message_id.clone(), one.address.clone());
        let taken: Vec<_> = outgoing.iter().map(taken).collect();
        bulk_deliveries::take_all(conn, tenant, self.ctx.job().id, HOLD, &taken).await?;
        Ok(Picked::Mails(outgoing))
    }

    async fn readers(&self, tx: &mut Transaction, mails: &[&Waiting]) -> Result<Readers> {
        let (conn, tenant) = (&mut tx.conn(), self.tenant());
        let users: Vec<i64> = mails.iter().map(|mail| mail.user).collect();
        let people = people::among(conn, tenant, &users).await?;
        let addresses: Vec<String> = people
            .iter()
            .filter_map(|user| user.email.as_deref())
            .map(|email| email.trim().to_owned())
            .collect();
        Ok(Readers {
            choices: preferences::of_users(conn, tenant, &users, kind_of(self.campaign).name).await?,
            refusals: preferences::suppressed(conn, tenant, &addresses).await?,
            timings: timing::of_users(conn, tenant, &users).await?,
            now: now(conn).await?,
            people: people.into_iter().map(|user| (user.id, user)).collect(),
        })
    }

    /// Whether a mail may go out now: its reader may have left or changed their mind since it was planned.
    fn look(&self, mail: &Waiting, readers: &Readers) -> Verdict {
        let Some(user) = readers.people.get(&mail.user).filter(|user| user.active) else {
            return Verdict::Leave(Status::Skipped, "inactive", "the user has left".into());
        };
        let address = user.email.as_deref().unwrap_or_default().trim().to_lowercase();
        let to = Recipient { user, suppressed: readers.refusals.get(&address) };
        let choices = readers.choices.get(&user.id).map(Vec::as_slice).unwrap_or_default();
        // Whoever was told this by mail was reached then: only an explicit No since counts.
        let address = match plan_reaching(&MailChannel, kind_of(self.campaign).name, choices, &to, true) {
            Plan::Send(address) => address,
            Plan::Leave(status, code, why) => return Verdict::Leave(status, code, why),
            Plan::Deliver => address,
        };
        let timing = readers.timings.get(&user.id);
        match timing.and_then(|timing| timing.quiet_until("mail", self.campaign.severity, readers.now)) {
            Some(hold) => {
                let waits = Deferral { delivery: mail.id, due_at: hold.due_at, digest_key: None };
                Verdict::Later(waits, hold.code, hold.why)
            }
            None => Verdict::Send(user.clone(), address),
        }
    }

    fn write(
        &self,
        letters: &Letters,
        waiting: &Waiting,
        user: &User,
        address: String,
    ) -> Result<Outgoing, MailError> {
        let key = format!("{}/{}", self.ctx.job().tenant, waiting.dedupe_key);
        let message_id = mail::message_id(&key, &self.ctx.state.from);
        let mail = letters.write(user, &address, message_id, waiting.token.as_deref())?;
        Ok(Outgoing { delivery: waiting.id, attempts: waiting.attempts + 1, address, mail })
    }

    /// Hands mails over and notes what became of each.
    pub(crate) async fn hand_over(&self, mails: &[Outgoing]) -> Result<Ended> {
        let mailer = &self.ctx.state.mailer;
        let mut ends: Vec<(&Outgoing, Result<Receipt, MailError>)> = Vec::with_capacity(mails.len());
        let mut ready = Vec::with_capacity(mails.len());
        let prepared = join_all(mails.iter().map(|one| mailer.prepare(&one.mail))).await;
        for (one, prepared) in mails.iter().zip(prepared) {
            match prepared {
                Ok(handover) => ready.push((one, handover)),
                Err(error) => ends.push((one, Err(error))),
            }
        }
        let ready = self.mark(ready).await?;
        let handed =
            ready.into_iter().map(|(one, handover)| async move { (one, handover.hand_over().await) });
        ends.extend(join_all(handed).await);
        self.settle(&ends).await
    }

    /// Notes that messages are about to leave; those that somebody has taken back stay here.
    async fn mark<'m>(
        &self,
        ready: Vec<(&'m Outgoing, Box<dyn Handover<'m> + 'm>)>,
    ) -> Result<Vec<(&'m Outgoing, Box<dyn Handover<'m> + 'm>)>> {
        if self.ctx.state.mailer.forgives_repeats() || ready.is_empty() {
            return Ok(ready);
        }
        let ids: Vec<i64> = ready.iter().map(|(one, _)| one.delivery).collect();
        let mut tx = self.ctx.begin().await?;
        let job = self.ctx.job().id;
        let own = bulk_deliveries::mark_all_sending(&mut tx.conn(), self.tenant(), job, &ids).await?;
        // Refused when the lease was lost: then nothing of the messages leaves.
        tx.commit().await?;
        Ok(ready.into_iter().filter(|(one, _)| own.contains(&one.delivery)).collect())
    }

    async fn settle(&self, ends: &[(&Outgoing, Result<Receipt, MailError>)]) -> Result<Ended> {
        let forgives = self.ctx.state.mailer.forgives_repeats();
        let unavailable = |error: &MailError| match error {
            MailError::Unavailable(_) | MailError::ServerRefused(_) => true,
            MailError::Uncertain(_) => forgives,
            _ => false,
        };
        let ours = |error: &MailError| matches!(error, MailError::ServerRefused(_));
        let put_off = ends.iter().filter(|(_, end)| end.as_ref().is_err_and(unavailable)).count();
        // One mail that is put off may be a matter of its reader's server; all of several are a matter of ours.
        let outage = put_off == ends.len()
            && (ends.len() > 1 || ends.iter().any(|(_, end)| end.as_ref().is_err_and(ours)));
        let settled: Vec<Settled> = ends
            .iter()
            .map(|(one, end)| match end {
                Ok(receipt) => sent(one.delivery, receipt),
                Err(error) if unavailable(error) && outage => given_back(one.delivery, error),
                Err(error) if unavailable(error) => put_off_once(one.delivery, one.attempts, error),
                Err(error) => refused(one.delivery, error),
            })
            .collect();
        let mut tx = self.ctx.begin().await?;
        let conn = &mut tx.conn();
        bulk_deliveries::settle_all(conn, self.tenant(), &settled).await?;
        for (one, end) in ends {
            if let Err(MailError::AddressRefused(reason)) = end {
                preferences::suppress(conn, self.tenant(), &one.address, reason, one.delivery).await?;
            }
        }
        tx.commit().await?;
        let least = ends.iter().map(|(one, _)| one.attempts).min().unwrap_or(1);
        Ok(match (outage, put_off == ends.len() && put_off > 0) {
            (true, _) => Ended::Outage,
            (false, true) if least < MOST_ATTEMPTS => Ended::PutOff(least),
            _ => Ended::Settled,
        })
    }
}

fn sent(id: i64, receipt: &Receipt) -> Settled {
    Settled { id, status: Status::Sent, code: None, words: receipt.reply.clone(), is_given_back: false }
}

fn uncertain(id: i64) -> Settled {
    let words = "its worker ended between the message and the note of the server's answer";
    let code = MailError::Uncertain(String::new()).code();
    left_out(id, Status::Uncertain, code, words.to_owned())
}

fn left_out(id: i64, status: Status, code: &'static str, words: String) -> Settled {
    Settled { id, status, code: Some(code), words, is_given_back: false }
}

/// Of an end that no other attempt would change.
fn refused(id: i64, error: &MailError) -> Settled {
    let status = match error {
        MailError::AddressRefused(_) | MailError::Suppressed(_) => Status::Suppressed,
        MailError::Uncertain(_) => Status::Uncertain,
        _ => Status::Failed,
    };
    left_out(id, status, error.code(), error.to_string())
}

/// It is tried again, but not for ever.
fn put_off_once(id: i64, attempts: i64, error: &MailError) -> Settled {
    let status = if attempts >= MOST_ATTEMPTS { Status::Failed } else { Status::Pending };
    left_out(id, status, error.code(), error.to_string())
}

/// It is tried again as if it had not been tried: a server that is away for a day shall cost nobody a mail.
fn given_back(id: i64, error: &MailError) -> Settled {
    Settled { is_given_back: true, ..left_out(id, Status::Pending, error.code(), error.to_string()) }
}

/// The wait before attempt `number` (1 is the first repetition): doubled each time, up to ten minutes.
pub(crate) fn wait(first: Duration, number: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(number.saturating_sub(1).min(20))).min(LONGEST_WAIT)
}

/// Of a tenant's campaign no mail is out: what a person types to see one as it would be.
pub(crate) async fn write_one(
    tenant: &Tenant,
    erp: &Erp,
    campaign: &Campaign,
    user: &User,
) -> anyhow::Result<Mail> {
    let id = tenant.id().await?;
    let mut tx = crate::erp::store::reading(tenant).await?;
    let letters = Letters::load(&mut tx.conn(), id, erp, campaign).await?;
    let address = user.email.clone().unwrap_or_default();
    let key = format!("{}/{}:{}:test", tenant.slug(), campaign.key(), user.id);
    Ok(letters.write(user, &address, mail::message_id(&key, &erp.from), Some("a-token-of-no-mail"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_minutes() {
        let first = Duration::from_secs(5);
        let waits: Vec<u64> = [1, 2, 3, 8, 60].map(|number| wait(first, number).as_secs()).to_vec();
        assert_eq!(waits, [5, 10, 20, 600, 600]);
    }

    #[test]
    fn a_mail_that_is_put_off_fails_after_its_attempts_and_one_of_an_outage_does_not() {
        let away = MailError::Unavailable("421 come back".into());
        assert_eq!(put_off_once(1, MOST_ATTEMPTS - 1, &away).status, Status::Pending);
        assert_eq!(put_off_once(1, MOST_ATTEMPTS, &away).status, Status::Failed);
        let back = given_back(1, &away);
        assert_eq!((back.status, back.is_given_back), (Status::Pending, true));
        let gone = MailError::AddressRefused("550 no such user".into());
        assert_eq!(refused(1, &gone).status, Status::Suppressed);
    }
}
