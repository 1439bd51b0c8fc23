//! Telling many users at once: the rules of [`super::notify`], in a few statements for hundreds.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use fairlane::{Result, Tenant, Transaction, Unique};
use serde_json::Value;
use uuid::Uuid;

use super::channels::{Asked, Channel, Plan, Reach, Reached, Recipient, UserCopy};
use super::plan::{NOT_ASKED_FOR, plan_reaching};
use super::timing::{Hold, Timing, digest_key};
use super::{Kind, Severity};
use crate::erp::campaigns::topic;
use crate::erp::jobs::ReleaseDeferred;
use crate::erp::store::bulk_deliveries::{self, Planned};
use crate::erp::store::deliveries::Status;
use crate::erp::store::people::{self, User};
use crate::erp::store::timing::{self, Deferral};
use crate::erp::store::{now, preferences};

/// Something that many are told.
pub(crate) struct Many<'a> {
    pub(crate) tenant: &'a Tenant,
    /// The key of its message.
    pub(crate) message: &'a str,
    pub(crate) kind: Kind,
    pub(crate) severity: Severity,
    /// What is told.
    pub(crate) data: &'a Value,
    pub(crate) channels: &'a [&'static dyn Channel],
    /// Whether the channels reach users who have made no choice about them.
    pub(crate) reaches_all: bool,
}

/// One delivery with what it waits for.
struct Step {
    channel: &'static dyn Channel,
    planned: Planned,
    hold: Option<Hold>,
    reach: Reach,
}

impl Many<'_> {
    /// Tells these users, each by each channel, as part of the transaction. Mails are written down and not sent: whoever
    /// calls this sends them.
    pub(crate) async fn tell(&self, tx: &mut Transaction, users: &[i64]) -> Result<()> {
        let id = self.tenant.id().await?;
        let steps = self.plan(tx, id, users).await?;
        let planned: Vec<Planned> = steps.iter().map(|step| step.planned.clone()).collect();
        let conn = &mut tx.conn();
        let message = (self.message, self.kind.name);
        let numbers = bulk_deliveries::insert_all(conn, id, message, &planned).await?;
        let number =
            |step: &Step| numbers.get(&(step.planned.user, step.planned.channel.to_owned())).copied();
        let copies: Vec<i64> = steps
            .iter()
            .filter(|step| step.planned.channel == "in_app" && step.planned.status == Status::Delivered)
            .filter(|step| number(step).is_some())
            .map(|step| step.planned.user)
            .collect();
        let what = (self.message, self.kind.name, self.data);
        bulk_deliveries::insert_copies(conn, id, what, &copies).await?;
        let waiting: Vec<Deferral> = steps
            .iter()
            .filter_map(|step| Some(deferral(number(step)?, &step.planned, step.hold.as_ref()?)))
            .collect();
        hold_back(tx, self.tenant, id, &waiting).await?;
        for step in steps.iter().filter(|step| step.leaves_by_itself()) {
            let Some(delivery) = number(step) else { continue };
            let dedupe_key = step.planned.dedupe_key(self.message);
            let copy = UserCopy {
                tenant_id: id,
                delivery,
                user: step.planned.user,
                kind: self.kind,
                data: self.data,
                dedupe_key: &dedupe_key,
                reach: &step.reach,
            };
            step.channel.deliver(tx, self.tenant, &copy).await?;
        }
        Ok(())
    }

    async fn plan(&self, tx: &mut Transaction, id: i64, users: &[i64]) -> Result<Vec<Step>> {
        let conn = &mut tx.conn();
        let people = people::among(conn, id, users).await?;
        let addresses: Vec<String> = people.iter().filter_map(|user| user.email.clone()).collect();
        let topic = topic(self.message, self.kind.name, self.severity == Severity::Critical);
        let choices = preferences::of_users(conn, id, users, topic).await?;
        let refusals = preferences::suppressed(conn, id, &addresses).await?;
        let timings = timing::of_users(conn, id, users).await?;
        let unasked = if self.reaches_all { users } else { &[] };
        let (kind, severity) = (self.kind.name, self.severity);
        let asked = Asked { kind, topic, severity, choices: &choices, unasked };
        let reached = Reached::look_up(conn, id, &asked).await?;
        let now = now(conn).await?;
        let mut steps = Vec::with_capacity(people.len() * self.channels.len());
        for user in &people {
            let address = user.email.as_deref().unwrap_or_default().trim().to_lowercase();
            let to = Recipient { user, suppressed: refusals.get(&address), reach: reached.of(user.id) };
            let own = choices.get(&user.id).map(Vec::as_slice).unwrap_or_default();
            for channel in self.channels {
                let by_default = self.reaches_all || channel.on_by_default();
                let plan = match user.active {
                    true => plan_reaching(*channel, topic, own, &to, by_default),
                    false => Plan::Leave(Status::Skipped, "inactive", "the user has left".into()),
                };
                if channel.is_quiet() && matches!(plan, Plan::Leave(_, NOT_ASKED_FOR, _)) {
                    continue;
                }
                let step = self.step(*channel, user, plan, timings.get(&user.id), now);
                steps.push(Step { reach: to.reach.clone(), ..step });
            }
        }
        Ok(steps)
    }

    fn step(
        &self,
        channel: &'static dyn Channel,
        user: &User,
        plan: Plan,
        timing: Option<&Timing>,
        now: DateTime<Utc>,
    ) -> Step {
        let hold = match plan {
            Plan::Send(_) => {
                timing.and_then(|timing| timing.hold(self.kind.name, channel.name(), self.severity, now))
            }
            _ => None,
        };
        let (status, recipient, code, why) = match plan {
            Plan::Deliver => (Status::Delivered, None, None, None),
            Plan::Send(address) => match &hold {
                Some(hold) => (Status::Deferred, Some(address), Some(hold.code), Some(hold.why.clone())),
                None => (Status::Pending, Some(address), None, None),
            },
            Plan::Leave(status, code, why) => (status, None, Some(code), Some(why)),
        };
        // Whatever many get at once its readers can stop, but for what is critical.
        let stoppable = channel.can_be_stopped(self.kind)
            || (channel.name() == "mail" && self.severity != Severity::Critical);
        let token = stoppable.then(|| Uuid::new_v4().simple().to_string());
        let planned = Planned { user: user.id, channel: channel.name(), status, recipient, code, why, token };
        Step { channel, planned, hold, reach: Reach::default() }
    }
}

impl Step {
    /// Neither a row of the application nor a mail, which are seen to together.
    fn leaves_by_itself(&self) -> bool {
        self.planned.status == Status::Pending && !matches!(self.planned.channel, "in_app" | "mail")
    }
}

fn deferral(delivery: i64, planned: &Planned, hold: &Hold) -> Deferral {
    let key = |window: &String| digest_key(planned.user, planned.channel, window);
    Deferral { delivery, due_at: hold.due_at, digest_key: hold.window.as_ref().map(key) }
}

/// Keeps what deliveries wait for, and queues a job for each time at which some of them may go.
pub(crate) async fn hold_back(
    tx: &mut Transaction,
    tenant: &Tenant,
    id: i64,
    waiting: &[Deferral],
) -> Result<()> {
    timing::defer(&mut tx.conn(), id, waiting).await?;
    let minute = |at: DateTime<Utc>| at.timestamp().div_euclid(60);
    // In order: two transactions that wait for one another's keys would wait for ever.
    let times: BTreeSet<(i64, DateTime<Utc>)> =
        waiting.iter().map(|d| (minute(d.due_at), d.due_at)).collect();
    for (minute, at) in times {
        let release = tenant.dispatch(ReleaseDeferred {}).at(at);
        release.unique(format!("release:{minute}"), Unique::UntilStarted).in_tx(&mut *tx).await?;
    }
    Ok(())
}
