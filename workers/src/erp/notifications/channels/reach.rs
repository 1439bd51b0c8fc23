//! How users are reached besides the application and mail: looked up for those who want to be, in a few statements.

use std::collections::{BTreeMap, BTreeSet};

use fairlane::Result;
use fairlane::db::Conn;

use super::super::Severity;
use crate::erp::store::preferences::{self, Preference};
use crate::erp::store::{devices, phones, profiles, webhooks};

/// How one user is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// How much what is told matters.
    pub severity: Severity,
    /// From which severity on the tenant sends text messages.
    pub sms_from: Severity,
    /// The user's number, in E.164.
    pub phone: Option<String>,
    /// Why the number takes no messages, where it does not.
    pub phone_refusal: Option<String>,
    /// How many devices take push messages.
    pub devices: i64,
    /// The user's own endpoint of webhooks.
    pub endpoint: Option<OwnEndpoint>,
}

/// A user's own endpoint of webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnEndpoint {
    /// Its number.
    pub id: i64,
    /// Why it is disabled, where it is.
    pub disabled: Option<String>,
    /// Whether it takes this kind.
    pub takes: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            severity: Severity::Info,
            sms_from: Severity::Critical,
            phone: None,
            phone_refusal: None,
            devices: 0,
            endpoint: None,
        }
    }
}

/// What is told, and who wants to be told it how.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The kind of notification.
    pub kind: &'a str,
    /// As what users choose about it: its kind, or something narrower.
    pub topic: &'a str,
    /// How much it matters.
    pub severity: Severity,
    /// What users have chosen.
    pub choices: &'a BTreeMap<i64, Vec<Preference>>,
    /// Users who are told by every channel that they have not turned off.
    pub unasked: &'a [i64],
}

impl Asked<'_> {
    fn who(&self, channel: &str) -> Vec<i64> {
        let wants = |user: &i64, without: bool| {
            let own = self.choices.get(user).map(Vec::as_slice).unwrap_or_default();
            preferences::choice(own, self.topic, channel).map_or(without, |choice| choice.enabled)
        };
        let choosers = self.choices.keys().filter(|user| wants(user, false));
        let others = self.unasked.iter().filter(|user| wants(user, true));
        choosers.chain(others).copied().collect::<BTreeSet<i64>>().into_iter().collect()
    }
}

/// How each of some users is reached.
#[derive(Debug, Default)]
pub struct Reached {
    nobody: Reach,
    users: BTreeMap<i64, Reach>,
}

impl Reached {
    /// Looks up how those are reached who want to be.
    pub async fn look_up(conn: &mut Conn<'_>, tenant: i64, asked: &Asked<'_>) -> Result<Self> {
        let kind = asked.kind;
        let (sms, push, webhook) = (asked.who("sms"), asked.who("push"), asked.who("webhook"));
        let nobody = Reach { severity: asked.severity, ..Reach::default() };
        let mut reached = Self { nobody, users: BTreeMap::new() };
        if !sms.is_empty() {
            reached.phones(conn, tenant, &sms).await?;
        }
        if !push.is_empty() {
            for (user, count) in devices::counts(conn, tenant, &push).await? {
                reached.of_mut(user).devices = count;
            }
        }
        if !webhook.is_empty() {
            for endpoint in webhooks::of_users(conn, tenant, &webhook).await? {
                let (id, takes) = (endpoint.id, endpoint.takes(kind));
                let Some(user) = endpoint.user_id else { continue };
                reached.of_mut(user).endpoint =
                    Some(OwnEndpoint { id, disabled: endpoint.disabled_reason, takes });
            }
        }
        Ok(reached)
    }

    async fn phones(&mut self, conn: &mut Conn<'_>, tenant: i64, users: &[i64]) -> Result<()> {
        self.nobody.sms_from = sms_from(conn, tenant).await?;
        let phones = phones::of_users(conn, tenant, users).await?;
        let numbers: Vec<String> = phones.values().cloned().collect();
        let refusals = preferences::suppressed(conn, tenant, &numbers).await?;
        for (user, phone) in phones {
            let refusal = refusals.get(&phone);
            let words = refusal.map(|refusal| {
                format!(
                    "{phone} takes no messages since {}: {}",
                    refusal.created_at.date_naive(),
                    refusal.reason
                )
            });
            let reach = self.of_mut(user);
            (reach.phone, reach.phone_refusal) = (Some(phone), words);
        }
        // Who has no number has the tenant's threshold all the same.
        for reach in self.users.values_mut() {
            reach.sms_from = self.nobody.sms_from;
        }
        Ok(())
    }

    /// How this user is reached.
    pub fn of(&self, user: i64) -> &Reach {
        self.users.get(&user).unwrap_or(&self.nobody)
    }

    fn of_mut(&mut self, user: i64) -> &mut Reach {
        self.users.entry(user).or_insert_with(|| self.nobody.clone())
    }
}

/// From which severity on a tenant sends text messages: critical alone, unless it says otherwise.
pub async fn sms_from(conn: &mut Conn<'_>, tenant: i64) -> Result<Severity> {
    let set = profiles::setting(conn, tenant, profiles::SMS_FROM).await?;
    let named = set.as_ref().and_then(|value| value.as_str()).and_then(Severity::named);
    Ok(named.unwrap_or(Severity::Critical))
}
