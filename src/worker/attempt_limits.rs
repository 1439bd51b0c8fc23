//! How often and how long a job may try: who has the say, in which order.

use std::time::Duration;

use super::process::Process;
use crate::policy::{Backoff, Policy, PolicyOverride};
use crate::store::claim::Claimed;

/// How often and how long this job may try: the dispatch says, else the configuration, else the kind, else the worker.
#[derive(Debug, Clone)]
pub(crate) struct AttemptLimits {
    pub(super) max_attempts: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) backoff: Backoff,
}

impl AttemptLimits {
    pub(super) fn of(process: &Process, claimed: &Claimed, policy: Policy) -> Self {
        let kinds = &process.fairlane.settings().kinds;
        let listener = claimed.kind.split('@').next().unwrap_or_default();
        let changed = kinds.get(&claimed.kind).or_else(|| kinds.get(listener)).cloned().unwrap_or_default();
        let options = &process.options;
        Self::resolve(claimed, policy, changed, options.tries, options.timeout, &options.backoff)
    }

    pub(crate) fn resolve(
        claimed: &Claimed,
        policy: Policy,
        changed: PolicyOverride,
        tries: u32,
        timeout: Duration,
        backoff: &Backoff,
    ) -> Self {
        let timeout = claimed.timeout.or(changed.timeout).or(policy.timeout).unwrap_or(timeout);
        Self {
            max_attempts: claimed.max_attempts.or(changed.attempts).or(policy.attempts).unwrap_or(tries),
            timeout: (!timeout.is_zero()).then_some(timeout),
            backoff: match (changed.backoff, policy.backoff) {
                (Some(waits), _) if !waits.is_empty() => Backoff::List(waits),
                (_, Some(waits)) => Backoff::List(waits.to_vec()),
                _ => backoff.clone(),
            },
        }
    }
}
