//! Telling users: who, through which channels, and what is written about it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fairlane::{Result, Tenant, Transaction};
use serde_json::Value;
use uuid::Uuid;

use super::audience::Audience;
use super::channels::{Asked, Channel, Followed, Plan, Reached, Recipient, UserCopy, channels};
use super::many::hold_back;
use super::plan::{NOT_ASKED_FOR, plan};
use super::timing::{Hold, Timing, digest_key};
use super::{Kind, Notification, Severity};
use crate::erp::store::deliveries::{self, NewDelivery, Status};
use crate::erp::store::notifications::{self, NewMessage};
use crate::erp::store::now;
use crate::erp::store::people::User;
use crate::erp::store::preferences;
use crate::erp::store::timing::{self, Deferral};

/// How many copies were put on their way: 0 when everybody had been told before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Users who have it now, or are about to.
    pub delivered: u64,
    /// Copies that were not made, with a reason.
    pub left: u64,
}

/// Tells one user, through the channels the user wants. The same key again tells nobody twice.
pub async fn notify<N: Notification>(
    tx: &mut Transaction,
    tenant: &Tenant,
    user: i64,
    notification: &N,
    key: &str,
) -> Result<Told> {
    notify_audience(tx, tenant, &Audience::user(user), notification, key).await
}

/// Tells an audience, each user through the channels the user wants. The same key again tells nobody twice.
///
/// Everything is part of the caller's transaction; what leaves the house is sent by jobs after its commit.
pub async fn notify_audience<N: Notification>(
    tx: &mut Transaction,
    tenant: &Tenant,
    audience: &Audience<'_>,
    notification: &N,
    key: &str,
) -> Result<Told> {
    let id = tenant.id().await?;
    let kind = Kind { name: N::TYPE, class: N::CLASS };
    let note = notification.note();
    let severity = note.severity;
    let data = serde_json::to_value(note).map_err(|why| fairlane::Error::Invalid {
        what: format!("the notification {key}"),
        why: why.to_string(),
    })?;
    let message = NewMessage {
        key,
        kind: kind.name,
        data: data.clone(),
        permission: audience.permission,
        location: audience.location,
        named: &audience.users,
        subject: audience.subject,
    };
    notifications::insert_message(&mut tx.conn(), id, &message).await?;
    let people = audience.people(tx, id).await?;
    let telling = Telling { tenant, id, kind, severity, key, data: &data, subject: audience.subject };
    let told = telling.tell_all(tx, &people).await?;
    let followed = Followed { tenant_id: id, key, kind, subject: audience.subject };
    for channel in channels() {
        channel.tell_followers(tx, tenant, &followed).await?;
    }
    Ok(told)
}

/// One notification, while it is told.
struct Telling<'a> {
    tenant: &'a Tenant,
    id: i64,
    kind: Kind,
    severity: Severity,
    key: &'a str,
    data: &'a Value,
    subject: Option<(&'a str, i64)>,
}

/// When users want to be told, and what time it is.
type Timings = (BTreeMap<i64, Timing>, DateTime<Utc>);

impl Telling<'_> {
    async fn tell_all(&self, tx: &mut Transaction, people: &[User]) -> Result<Told> {
        let ids: Vec<i64> = people.iter().map(|user| user.id).collect();
        let addresses: Vec<String> = people.iter().filter_map(|user| user.email.clone()).collect();
        let choices = preferences::of_users(&mut tx.conn(), self.id, &ids, self.kind.name).await?;
        let refusals = preferences::suppressed(&mut tx.conn(), self.id, &addresses).await?;
        let (kind, severity) = (self.kind.name, self.severity);
        let asked = Asked { kind, topic: kind, severity, choices: &choices, unasked: &[] };
        let reached = Reached::look_up(&mut tx.conn(), self.id, &asked).await?;
        let (mut told, mut timings) = (Told::default(), None);
        for user in people {
            let address = user.email.as_deref().unwrap_or_default().trim().to_lowercase();
            let to = Recipient { user, suppressed: refusals.get(&address), reach: reached.of(user.id) };
            let own = choices.get(&user.id).map(Vec::as_slice).unwrap_or_default();
            for channel in channels() {
                let plan = plan(channel, self.kind.name, own, &to);
                if channel.is_quiet() && matches!(plan, Plan::Leave(_, NOT_ASKED_FOR, _)) {
                    continue;
                }
                let hold = match plan {
                    Plan::Send(_) => self.hold(tx, channel, user.id, (&ids, &mut timings)).await?,
                    _ => None,
                };
                match self.tell(tx, channel, &to, &plan, hold).await? {
                    true if matches!(plan, Plan::Leave(..)) => told.left += 1,
                    true => told.delivered += 1,
                    false => {}
                }
            }
        }
        Ok(told)
    }

    /// What a message waits for: looked up with the first that may have to.
    async fn hold(
        &self,
        tx: &mut Transaction,
        channel: &dyn Channel,
        user: i64,
        (users, known): (&[i64], &mut Option<Timings>),
    ) -> Result<Option<Hold>> {
        if self.severity == Severity::Critical {
            return Ok(None);
        }
        let (timings, now) = match known {
            Some(known) => known,
            None => {
                let conn = &mut tx.conn();
                known.insert((timing::of_users(conn, self.id, users).await?, now(conn).await?))
            }
        };
        let timing = timings.get(&user);
        Ok(timing.and_then(|timing| timing.hold(self.kind.name, channel.name(), self.severity, *now)))
    }

    /// Writes the delivery, and puts the copy on its way; returns whether it is new.
    async fn tell(
        &self,
        tx: &mut Transaction,
        channel: &dyn Channel,
        to: &Recipient<'_>,
        plan: &Plan,
        hold: Option<Hold>,
    ) -> Result<bool> {
        let user = to.user.id;
        let dedupe_key = format!("{}:{user}:{}", self.key, channel.name());
        // Random: whoever knows one token can guess no other.
        let token = channel.can_be_stopped(self.kind).then(|| Uuid::new_v4().simple().to_string());
        let (status, recipient, why) = match plan {
            Plan::Deliver => (Status::Delivered, None, None),
            Plan::Send(address) => match &hold {
                Some(hold) => {
                    (Status::Deferred, Some(address.as_str()), Some((hold.code, hold.why.as_str())))
                }
                None => (Status::Pending, Some(address.as_str()), None),
            },
            Plan::Leave(status, code, words) => (*status, None, Some((*code, words.as_str()))),
        };
        let new = NewDelivery {
            dedupe_key: &dedupe_key,
            notification_key: self.key,
            channel: channel.name(),
            kind: self.kind.name,
            subject: self.subject,
            user: Some(user),
            recipient,
            status,
            why,
            unsubscribe_token: token.as_deref(),
        };
        let Some(delivery) = deliveries::insert(&mut tx.conn(), self.id, &new).await? else {
            return Ok(false);
        };
        if let Some(hold) = hold {
            let key = hold.window.map(|window| digest_key(user, channel.name(), &window));
            let waiting = Deferral { delivery, due_at: hold.due_at, digest_key: key };
            hold_back(tx, self.tenant, self.id, &[waiting]).await?;
        } else if !matches!(plan, Plan::Leave(..)) {
            let copy = UserCopy {
                tenant_id: self.id,
                delivery,
                user,
                kind: self.kind,
                data: self.data,
                dedupe_key: &dedupe_key,
                reach: to.reach,
            };
            channel.deliver(tx, self.tenant, &copy).await?;
        }
        Ok(true)
    }
}
