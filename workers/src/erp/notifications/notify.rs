//! Telling users: who, through which channels, and what is written about it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fairlane::db::Conn;
use fairlane::{Result, Tenant, Transaction};
use serde_json::Value;
use uuid::Uuid;

use super::channel::{Channel, Plan, Recipient, UserCopy, channels};
use super::many::hold_back;
use super::timing::{Hold, Timing, digest_key};
use super::{Kind, Notification, Severity};
use crate::erp::jobs::SendMail;
use crate::erp::store::deliveries::{self, NewDelivery, Status};
use crate::erp::store::notifications::{self, NewMessage};
use crate::erp::store::now;
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences::{self, ANY_TYPE, Preference};
use crate::erp::store::timing::{self, Deferral};

/// Who is told: those who may do something, and users that are named. Each once, and only who is active.
#[derive(Debug, Clone, Default)]
pub struct Audience<'a> {
    permission: Option<&'a str>,
    location: Option<i64>,
    users: Vec<i64>,
    subject: Option<(&'a str, i64)>,
}

impl<'a> Audience<'a> {
    /// Those who may do this everywhere.
    pub fn holders(permission: &'a str) -> Self {
        Self { permission: Some(permission), ..Self::default() }
    }

    /// One user.
    pub fn user(user: i64) -> Self {
        Self { users: vec![user], ..Self::default() }
    }

    /// Those too who may do it at this location.
    pub fn at(mut self, location: i64) -> Self {
        self.location = Some(location);
        self
    }

    /// These users too.
    pub fn and(mut self, users: impl IntoIterator<Item = i64>) -> Self {
        self.users.extend(users);
        self
    }

    /// What the notification is about: `invoice` and its number. Its deliveries are found by it.
    pub fn about(mut self, what: &'a str, id: i64) -> Self {
        self.subject = Some((what, id));
        self
    }

    async fn people(&self, tx: &mut Transaction, tenant: i64) -> Result<Vec<User>> {
        let conn = &mut tx.conn();
        let mut people = match self.permission {
            Some(permission) => people::holders(conn, tenant, permission, self.location).await?,
            None => Vec::new(),
        };
        let missing = |user: &i64| !people.iter().any(|known| known.id == *user);
        let named: Vec<i64> = self.users.iter().copied().filter(missing).collect();
        if !named.is_empty() {
            people.extend(people::active_among(conn, tenant, &named).await?);
        }
        Ok(people)
    }
}

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
    let data = serde_json::to_value(notification.note()).map_err(|why| fairlane::Error::Invalid {
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
    let telling = Telling { tenant, id, kind, key, data: &data, subject: audience.subject };
    telling.tell_all(tx, &people).await
}

/// One notification, while it is told.
struct Telling<'a> {
    tenant: &'a Tenant,
    id: i64,
    kind: Kind,
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
        let (mut told, mut timings) = (Told::default(), None);
        for user in people {
            let address = user.email.as_deref().unwrap_or_default().trim().to_lowercase();
            let to = Recipient { user, suppressed: refusals.get(&address) };
            let own = choices.get(&user.id).map(Vec::as_slice).unwrap_or_default();
            for channel in channels() {
                let plan = plan(channel, self.kind.name, own, &to);
                let hold = match plan {
                    Plan::Send(_) => self.hold(tx, channel, user.id, (&ids, &mut timings)).await?,
                    _ => None,
                };
                match self.tell(tx, channel, user.id, &plan, hold).await? {
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
        let word = self.data["severity"].as_str().unwrap_or_default();
        let severity = Severity::named(word).unwrap_or(Severity::Info);
        if severity == Severity::Critical {
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
        Ok(timing.and_then(|timing| timing.hold(self.kind.name, channel.name(), severity, *now)))
    }

    /// Writes the delivery, and puts the copy on its way; returns whether it is new.
    async fn tell(
        &self,
        tx: &mut Transaction,
        channel: &dyn Channel,
        user: i64,
        plan: &Plan,
        hold: Option<Hold>,
    ) -> Result<bool> {
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
            };
            channel.deliver(tx, self.tenant, &copy).await?;
        }
        Ok(true)
    }
}

/// What happens to one user's copy on one channel: the user's choice first, then what the channel makes of it.
pub(crate) fn plan(channel: &dyn Channel, kind: &str, choices: &[Preference], to: &Recipient<'_>) -> Plan {
    plan_reaching(channel, kind, choices, to, channel.on_by_default())
}

/// The same, where somebody says whether users are reached who have made no choice.
pub(crate) fn plan_reaching(
    channel: &dyn Channel,
    kind: &str,
    choices: &[Preference],
    to: &Recipient<'_>,
    by_default: bool,
) -> Plan {
    match preferences::choice(choices, kind, channel.name()) {
        Some(choice) if !choice.enabled => {
            let what = if choice.kind == ANY_TYPE { "notifications" } else { kind };
            let why = format!("the user does not want {what} by {}", channel.name());
            Plan::Leave(Status::Skipped, "preference_off", why)
        }
        None if !by_default => {
            let why = format!("nobody is told by {} who has not asked for it", channel.name());
            Plan::Leave(Status::Skipped, "preference_default", why)
        }
        _ => channel.plan(to),
    }
}

/// The channels by which a user is told this kind of notification.
pub async fn via(conn: &mut Conn<'_>, tenant: i64, user: i64, kind: &str) -> Result<Vec<&'static str>> {
    let choices = preferences::of_user(conn, tenant, user).await?;
    let wanted = |channel: &&'static dyn Channel| {
        let choice = preferences::choice(&choices, kind, channel.name());
        choice.map_or(channel.on_by_default(), |choice| choice.enabled)
    };
    Ok(channels().into_iter().filter(wanted).map(|channel| channel.name()).collect())
}

/// A mail to somebody outside: a customer, a vendor.
#[derive(Debug)]
pub struct Letter<'a> {
    /// What names the message: `inv:12`.
    pub key: &'a str,
    /// What names this mail of it: `inv:12:mail`.
    pub dedupe_key: &'a str,
    /// The kind of mail: the name of its template's words is found by it.
    pub kind: &'a str,
    /// What it says, where that is not in the ERP's own tables.
    pub data: Value,
    /// What it is about: `invoice` and its number.
    pub subject: (&'a str, i64),
    /// Where it goes, as far as that is known now.
    pub recipient: Option<&'a str>,
}

/// Puts a letter on its way as part of the caller's transaction; one that is out already, or may be, is not sent again.
pub async fn post(tx: &mut Transaction, tenant: &Tenant, letter: &Letter<'_>) -> Result<()> {
    let id = tenant.id().await?;
    let message = NewMessage {
        key: letter.key,
        kind: letter.kind,
        data: letter.data.clone(),
        permission: None,
        location: None,
        named: &[],
        subject: Some(letter.subject),
    };
    let new = NewDelivery {
        dedupe_key: letter.dedupe_key,
        notification_key: letter.key,
        channel: "mail",
        kind: letter.kind,
        subject: Some(letter.subject),
        user: None,
        recipient: letter.recipient,
        status: Status::Pending,
        why: None,
        unsubscribe_token: None,
    };
    let conn = &mut tx.conn();
    notifications::insert_message(conn, id, &message).await?;
    let delivery = match deliveries::insert(conn, id, &new).await? {
        Some(delivery) => Some(delivery),
        // Told again after it failed: whoever tells it again wants it sent.
        None => deliveries::by_key(conn, id, letter.dedupe_key).await?.filter(may_be_sent).map(|d| d.id),
    };
    if let Some(delivery_id) = delivery {
        tenant.dispatch(SendMail { delivery_id }).in_tx(tx).await?;
    }
    Ok(())
}

fn may_be_sent(delivery: &deliveries::Delivery) -> bool {
    use Status::{Deferred, Failed, Pending, Suppressed};
    matches!(delivery.status, Pending | Deferred | Failed | Suppressed)
}

#[cfg(test)]
mod tests {
    use super::super::{InApp, Mail};
    use super::*;

    fn choice(kind: &str, channel: &str, enabled: bool) -> Preference {
        Preference { kind: kind.into(), channel: channel.into(), enabled }
    }

    #[test]
    fn a_users_choice_goes_before_the_default_and_says_so() {
        let user = User { id: 1, name: "Ana".into(), email: Some("ana@example.com".into()), active: true };
        let to = Recipient { user: &user, suppressed: None };
        let code = |channel: &dyn Channel, choices: &[Preference]| match plan(channel, "Alert", choices, &to)
        {
            Plan::Leave(_, code, _) => code,
            _ => "told",
        };
        assert_eq!((code(&InApp, &[]), code(&Mail, &[])), ("told", "preference_default"));
        assert_eq!(code(&Mail, &[choice("*", "mail", true)]), "told");
        assert_eq!(
            code(&Mail, &[choice("*", "mail", true), choice("Alert", "mail", false)]),
            "preference_off"
        );
        assert_eq!(code(&InApp, &[choice("*", "in_app", false)]), "preference_off");
    }
}
