//! Whether a mail may go out now: looked at again just before, for all of a few at once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fairlane::{Result, Transaction};

use super::Sending;
use crate::erp::campaigns::{kind_of, topic};
use crate::erp::notifications::timing::Timing;
use crate::erp::notifications::{Mail as MailChannel, Plan, Reach, Recipient, Severity, plan_reaching};
use crate::erp::store::bulk_deliveries::Waiting;
use crate::erp::store::deliveries::Status;
use crate::erp::store::now;
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences::{self, Preference, Suppression};
use crate::erp::store::timing::{self, Deferral};

/// What has to be known about readers at the moment their mails go out.
pub(super) struct Readers {
    people: BTreeMap<i64, User>,
    choices: BTreeMap<i64, Vec<Preference>>,
    refusals: BTreeMap<String, Suppression>,
    timings: BTreeMap<i64, Timing>,
    now: DateTime<Utc>,
}

/// What a look at a reader says about a mail.
pub(super) enum Verdict {
    Send(User, String),
    Leave(Status, &'static str, String),
    Later(Deferral, &'static str, String),
}

impl Sending<'_> {
    /// As what its readers choose about it.
    fn topic(&self) -> &'static str {
        let is_critical = self.campaign.severity == Severity::Critical;
        topic(&self.campaign.key(), kind_of(self.campaign).name, is_critical)
    }

    pub(super) async fn readers(&self, tx: &mut Transaction, mails: &[&Waiting]) -> Result<Readers> {
        let (conn, tenant) = (&mut tx.conn(), self.tenant());
        let users: Vec<i64> = mails.iter().map(|mail| mail.user).collect();
        let people = people::among(conn, tenant, &users).await?;
        let addresses: Vec<String> = people
            .iter()
            .filter_map(|user| user.email.as_deref())
            .map(|email| email.trim().to_owned())
            .collect();
        Ok(Readers {
            choices: preferences::of_users(conn, tenant, &users, self.topic()).await?,
            refusals: preferences::suppressed(conn, tenant, &addresses).await?,
            timings: timing::of_users(conn, tenant, &users).await?,
            now: now(conn).await?,
            people: people.into_iter().map(|user| (user.id, user)).collect(),
        })
    }

    /// Whether a mail may go out now: its reader may have left or changed their mind since it was planned.
    pub(super) fn look(&self, mail: &Waiting, readers: &Readers) -> Verdict {
        let Some(user) = readers.people.get(&mail.user).filter(|user| user.active) else {
            return Verdict::Leave(Status::Skipped, "inactive", "the user has left".into());
        };
        let address = user.email.as_deref().unwrap_or_default().trim().to_lowercase();
        let by_mail = Reach::default();
        let to = Recipient { user, suppressed: readers.refusals.get(&address), reach: &by_mail };
        let choices = readers.choices.get(&user.id).map(Vec::as_slice).unwrap_or_default();
        // Whoever was told this by mail was reached then: only an explicit No since counts.
        let address = match plan_reaching(&MailChannel, self.topic(), choices, &to, true) {
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
}
