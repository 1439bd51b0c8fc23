//! Mails are handed over, a few together, and what became of each is noted.

use std::time::Duration;

use fairlane::Result;
use futures::future::join_all;

use super::{Outgoing, Sending};
use crate::erp::mail::{Handover, MailError, Receipt};
use crate::erp::store::bulk_deliveries::{self, Settled};
use crate::erp::store::deliveries::Status;
use crate::erp::store::preferences;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// How often a mail is tried that the server puts off.
const MOST_ATTEMPTS: i64 = 12;

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

impl Sending<'_> {
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

pub(super) fn uncertain(id: i64) -> Settled {
    let words = "its worker ended between the message and the note of the server's answer";
    let code = MailError::Uncertain(String::new()).code();
    left_out(id, Status::Uncertain, code, words.to_owned())
}

pub(super) fn left_out(id: i64, status: Status, code: &'static str, words: String) -> Settled {
    Settled { id, status, code: Some(code), words, is_given_back: false }
}

/// Of an end that no other attempt would change.
pub(super) fn refused(id: i64, error: &MailError) -> Settled {
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
