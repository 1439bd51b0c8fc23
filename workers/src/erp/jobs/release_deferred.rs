//! What waited for the end of quiet hours goes out, and what was collected goes out together.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::{Context, Job, JobError, JobResult, Policy, Result, Transaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SendMail;
use crate::erp::Erp;
use crate::erp::campaigns::topic;
use crate::erp::notifications::many::hold_back;
use crate::erp::notifications::timing::{Timing, digest_key};
use crate::erp::notifications::{
    DigestNotification, Mail, Note, Notification, Plan, Reach, Recipient, Severity, dispatch, plan_reaching,
};
use crate::erp::store::deliveries::{self, NewDelivery, Status};
use crate::erp::store::notifications::{self, NewMessage};
use crate::erp::store::people::{self, User};
use crate::erp::store::preferences::{self, Preference};
use crate::erp::store::timing::{self, Deferral, Due};
use crate::erp::store::{digests, now};

/// Deliveries of one transaction.
const PAGE: i64 = 200;
/// Digests of one transaction.
const DIGESTS: i64 = 50;

/// Sends what may go by now: deliveries that waited for the end of quiet hours, and digests.
///
/// One is dispatched for each time at which something may go. It takes all that is due: running twice sends once, because
/// what is taken waits no more.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReleaseDeferred {}

impl Job for ReleaseDeferred {
    const KIND: &'static str = "erp.release_deferred";
    const POLICY: Policy = Policy::DEFAULT.attempts(20);
    type State = Erp;

    async fn run(self, ctx: Context<Erp>) -> JobResult {
        let mut released = 0;
        loop {
            let mut tx = ctx.begin().await?;
            let some = match release(&ctx, &mut tx).await? {
                0 => gather(&ctx, &mut tx).await?,
                some => some,
            };
            if some == 0 {
                return ctx.complete_in(tx).await;
            }
            released += some;
            tx.checkpoint(&released)?;
            tx.progress(released, None);
            tx.commit().await?;
            if ctx.is_stopping() {
                return Err(JobError::snooze(Duration::ZERO));
            }
        }
    }
}

/// Puts deliveries on their way that waited for nothing but the time; returns how many.
async fn release(ctx: &Context<Erp>, tx: &mut Transaction) -> Result<u64> {
    let tenant = ctx.job().tenant_id;
    let due = timing::due_alone(&mut tx.conn(), tenant, PAGE).await?;
    let quiet = quiet_now(tx, tenant, &due).await?;
    hold_back(tx, &ctx.tenant(), tenant, &quiet).await?;
    let why = ("quiet_hours", "its reader is not to be disturbed at this time");
    timing::explain(&mut tx.conn(), tenant, &quiet, why).await?;
    let is_free = |one: &Due| !quiet.iter().any(|waits| waits.delivery == one.delivery);
    let free: Vec<Due> = due.iter().filter(|one| is_free(one)).cloned().collect();
    send_on(ctx, tx, &free).await?;
    Ok(due.len() as u64)
}

/// Those whose readers are not to be disturbed now: a campaign may go on in the middle of the night.
async fn quiet_now(tx: &mut Transaction, tenant: i64, due: &[Due]) -> Result<Vec<Deferral>> {
    let users: Vec<i64> = due.iter().map(|one| one.user).collect();
    let timings = timing::of_users(&mut tx.conn(), tenant, &users).await?;
    let now = now(&mut tx.conn()).await?;
    let until = |one: &Due| {
        let severity = one.data["severity"].as_str().and_then(Severity::named).unwrap_or(Severity::Info);
        let hold = timings.get(&one.user)?.quiet_until(&one.channel, severity, now)?;
        Some(Deferral { delivery: one.delivery, due_at: hold.due_at, digest_key: None })
    };
    Ok(due.iter().filter_map(until).collect())
}

/// Each by its own channel, as if it had been told now.
async fn send_on(ctx: &Context<Erp>, tx: &mut Transaction, due: &[Due]) -> Result<()> {
    let (id, tenant) = (ctx.job().tenant_id, ctx.tenant());
    let numbers: Vec<i64> = due.iter().map(|one| one.delivery).collect();
    timing::end(&mut tx.conn(), id, &numbers, ("pending", None)).await?;
    for one in due {
        dispatch(tx, &tenant, &one.channel, one.delivery).await?;
    }
    Ok(())
}

/// Makes the digests whose time has come; returns how many deliveries that were.
async fn gather(ctx: &Context<Erp>, tx: &mut Transaction) -> Result<u64> {
    let tenant = ctx.job().tenant_id;
    let keys = timing::due_digests(&mut tx.conn(), tenant, DIGESTS).await?;
    let mut digests: BTreeMap<String, Vec<Due>> = BTreeMap::new();
    let mut taken = 0;
    for one in timing::of_digests(&mut tx.conn(), tenant, &keys).await? {
        taken += 1;
        digests.entry(one.digest_key.clone().unwrap_or_default()).or_default().push(one);
    }
    for (key, items) in digests {
        Digest { ctx, key: format!("digest:{key}"), items }.make(tx).await?;
    }
    Ok(taken)
}

/// One user's digest of one window.
struct Digest<'a> {
    ctx: &'a Context<Erp>,
    key: String,
    items: Vec<Due>,
}

impl Digest<'_> {
    fn tenant(&self) -> i64 {
        self.ctx.job().tenant_id
    }

    async fn make(mut self, tx: &mut Transaction) -> Result<()> {
        let tenant = self.tenant();
        let Some(reader) = self.items.first().map(|item| item.user) else { return Ok(()) };
        let user = people::find(&mut tx.conn(), tenant, reader).await?.filter(|user| user.active);
        let Some(user) = user else {
            return self.leave_all(tx, ("skipped", Some(("inactive", "the user has left")))).await;
        };
        let choices = preferences::of_user(&mut tx.conn(), tenant, user.id).await?;
        self.drop_unwanted(tx, &choices).await?;
        if self.items.is_empty() {
            return Ok(());
        }
        let addresses: Vec<String> = user.email.iter().map(|email| email.trim().to_owned()).collect();
        let refusals = preferences::suppressed(&mut tx.conn(), tenant, &addresses).await?;
        let to = Recipient { user: &user, suppressed: refusals.values().next(), reach: &Reach::default() };
        match plan_reaching(&Mail, DigestNotification::TYPE, &choices, &to, true) {
            Plan::Send(address) => self.send(tx, &user, &address).await,
            Plan::Leave(status, code, why) => {
                self.leave_all(tx, (status.as_str(), Some((code, why.as_str())))).await
            }
            Plan::Deliver => Ok(()),
        }
    }

    /// Leaves out what the user has stopped since it was collected.
    async fn drop_unwanted(&mut self, tx: &mut Transaction, choices: &[Preference]) -> Result<()> {
        let unwanted = |item: &Due| {
            // What is critical waits for no digest.
            let topic = topic(&item.notification_key, &item.kind, false);
            preferences::choice(choices, topic, &item.channel).is_some_and(|choice| !choice.enabled)
        };
        let (left, wanted): (Vec<Due>, Vec<Due>) =
            std::mem::take(&mut self.items).into_iter().partition(unwanted);
        self.items = wanted;
        let numbers: Vec<i64> = left.iter().map(|item| item.delivery).collect();
        let why = ("preference_off", "the user does not want it by mail any more");
        timing::end(&mut tx.conn(), self.tenant(), &numbers, ("skipped", Some(why))).await
    }

    async fn leave_all(&self, tx: &mut Transaction, end: (&str, Option<(&str, &str)>)) -> Result<()> {
        let numbers: Vec<i64> = self.items.iter().map(|item| item.delivery).collect();
        timing::end(&mut tx.conn(), self.tenant(), &numbers, end).await
    }

    /// One mail for all of them. Where the window's mail is out already, they wait for the next.
    async fn send(&self, tx: &mut Transaction, user: &User, address: &str) -> Result<()> {
        let (tenant, conn) = (self.tenant(), &mut tx.conn());
        let data = serde_json::to_value(note(&self.items))
            .map_err(|why| fairlane::Error::Invalid { what: self.key.clone(), why: why.to_string() })?;
        let message = NewMessage {
            key: &self.key,
            kind: DigestNotification::TYPE,
            data,
            permission: None,
            location: None,
            named: &[user.id],
            subject: None,
        };
        notifications::insert_message(conn, tenant, &message).await?;
        let token = Uuid::new_v4().simple().to_string();
        let new = NewDelivery {
            dedupe_key: &self.key,
            notification_key: &self.key,
            channel: "mail",
            kind: DigestNotification::TYPE,
            subject: None,
            user: Some(user.id),
            recipient: Some(address),
            status: Status::Pending,
            why: None,
            unsubscribe_token: Some(&token),
        };
        let Some(delivery_id) = deliveries::insert(conn, tenant, &new).await? else {
            return self.wait_for_the_next(tx, user).await;
        };
        let why = format!("it is in {} (delivery {delivery_id})", self.key);
        self.leave_all(tx, ("skipped", Some(("in_digest", why.as_str())))).await?;
        let numbers: Vec<i64> = self.items.iter().map(|item| item.delivery).collect();
        digests::bring(&mut tx.conn(), tenant, delivery_id, &numbers).await?;
        self.ctx.dispatch(SendMail { delivery_id }).in_tx(tx).await?;
        Ok(())
    }

    async fn wait_for_the_next(&self, tx: &mut Transaction, user: &User) -> Result<()> {
        let (tenant, conn) = (self.tenant(), &mut tx.conn());
        let timings = timing::of_users(conn, tenant, &[user.id]).await?;
        let now = now(conn).await?;
        let next = |item: &Due| waits_until(timings.get(&user.id)?, item, now);
        let waiting: Vec<Deferral> = self.items.iter().filter_map(next).collect();
        let alone: Vec<Due> = self
            .items
            .iter()
            .filter(|item| !waiting.iter().any(|w| w.delivery == item.delivery))
            .cloned()
            .collect();
        hold_back(tx, &self.ctx.tenant(), tenant, &waiting).await?;
        let why = ("digest", "it comes with the next digest: this one is out");
        timing::explain(&mut tx.conn(), tenant, &waiting, why).await?;
        send_on(self.ctx, tx, &alone).await
    }
}

fn waits_until(timing: &Timing, item: &Due, now: DateTime<Utc>) -> Option<Deferral> {
    let hold = timing.hold(&item.kind, &item.channel, Severity::Info, now)?;
    let digest_key = hold.window.as_ref().map(|window| digest_key(item.user, &item.channel, window));
    Some(Deferral { delivery: item.delivery, due_at: hold.due_at, digest_key })
}

/// What a digest says.
fn note(items: &[Due]) -> Note {
    let notes = items.iter().filter_map(|item| serde_json::from_value(item.data.clone()).ok());
    DigestNotification { notes: notes.collect() }.note()
}
