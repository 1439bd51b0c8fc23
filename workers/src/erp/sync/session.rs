//! One run's requests: through the gate that all workers share, with a token that all workers share.

mod access;
mod stop;

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::{Context, Error};
use secrecy::{ExposeSecret, SecretString};

use super::auth::sign;
use super::connection::{Auth, Connection};
use super::http::{Answer, Endpoint, HttpError, Outgoing};
use super::runtime::SyncRuntime;
use crate::erp::Erp;
use crate::erp::store::now;
use crate::erp::store::sync::gates;
pub use stop::Stop;

/// One run's requests.
#[derive(Debug)]
pub struct Session<'a> {
    ctx: &'a Context<Erp>,
    runtime: &'a SyncRuntime,
    /// With whom.
    pub connection: &'a Connection,
    /// Where.
    pub endpoint: Endpoint,
    /// The connection's secret.
    pub secret: SecretString,
    /// Requests that no log has counted yet.
    pub requests: i64,
    /// Whether the gate has to hear of an answer that could be understood.
    was_ailing: bool,
}

impl<'a> Session<'a> {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// When the connection cannot be used.
    pub fn open(ctx: &'a Context<Erp>, connection: &'a Connection) -> Result<Self, Stop> {
        let runtime = &*ctx.state.sync;
        let endpoint = runtime.endpoint(connection, &connection.base_url)?;
        let secret = runtime.secret(ctx.job().tenant_id, connection)?;
        Ok(Self { ctx, runtime, connection, endpoint, secret, requests: 0, was_ailing: false })
    }

    fn tenant(&self) -> i64 {
        self.ctx.job().tenant_id
    }

    /// Sends a request; returns its answer when that is 2xx, 304, or an error about this request alone (4xx). Who can read
    /// a good one says so: see [`Self::understood`].
    ///
    /// # Errors
    /// Everything else: the gate is closed, the answer wants to be asked later, the other system is ill.
    pub async fn ask(&mut self, request: &Outgoing) -> Result<Answer, Stop> {
        let mut refused_before = false;
        loop {
            let access = self.admit().await?;
            let mut signed = request.clone();
            sign(&mut signed, self.connection, &access.secret, access.now)?;
            self.requests += 1;
            let answer = match self.endpoint.send(signed).await {
                Ok(answer) => answer,
                Err(error @ (HttpError::Forbidden { .. } | HttpError::TooLarge { .. })) => {
                    return Err(error.into());
                }
                Err(error) => return Err(self.failed(error.into()).await),
            };
            if !matches!(answer.status, 200..=299 | 408 | 425 | 429 | 500..) {
                // Whatever it says, it is there and knows what it was asked.
                self.understood().await?;
            }
            match answer.status {
                200..=299 => return Ok(answer),
                401 => {
                    let Some(generation) = access.generation.filter(|_| !refused_before) else {
                        return Err(unauthorized(&answer));
                    };
                    refused_before = true;
                    self.forget_token(generation).await?;
                }
                403 => return Err(Stop::GiveUp("not_permitted", self.told(&answer))),
                408 | 425 | 429 | 503 => return Err(self.put_off(&answer).await),
                status if status >= 500 => {
                    let told = self.told(&answer);
                    return Err(self.failed(Stop::Retry("remote_error", told)).await);
                }
                _ => return Ok(answer),
            }
        }
    }

    /// The other system has given an answer that makes sense: it is well.
    ///
    /// # Errors
    /// When the gate cannot be written.
    pub async fn understood(&mut self) -> Result<(), Stop> {
        if std::mem::take(&mut self.was_ailing) {
            self.gate(|gate, _, _| gate.succeeded()).await?;
        }
        Ok(())
    }

    /// What an answer says, for people.
    pub(super) fn told(&self, answer: &Answer) -> String {
        // Of an access token nothing is known here any more: what is said about it stays out.
        match self.connection.auth {
            Auth::Oauth2 => format!("the other system answers {}", answer.status),
            _ => status_text(answer, &self.secret),
        }
    }

    /// The other system could not be understood: that counts as a failure of its own.
    pub async fn failed(&mut self, stop: Stop) -> Stop {
        let (Stop::Retry(_, why) | Stop::GiveUp(_, why)) = &stop else { return stop };
        let noted = self
            .gate(|gate, now, terms| {
                gate.failed(now, terms, why);
            })
            .await;
        match noted {
            Ok(()) => stop,
            Err(error) => error.into(),
        }
    }

    /// It wants the same again: in time, another time, not so early, not so often (RFC 9110, RFC 8470).
    async fn put_off(&mut self, answer: &Answer) -> Stop {
        let Some(wait) = wait_of(answer, self.runtime.wait) else {
            let told = self.told(answer);
            return self.failed(Stop::Retry("remote_error", told)).await;
        };
        match self.gate(|gate, now, _| gate.asked_to_wait(now, wait)).await {
            Ok(()) => Stop::Wait(wait),
            Err(error) => error.into(),
        }
    }

    /// Changes the gate in a transaction of its own, together with the number of requests.
    async fn gate(
        &mut self,
        change: impl FnOnce(&mut super::gate::Gate, DateTime<Utc>, &super::breaker::Terms) + Send,
    ) -> Result<(), Error> {
        let mut tx = self.ctx.begin().await?;
        let (tenant, connection) = (self.tenant(), self.connection.id);
        let mut gate = gates::lock(&mut tx.conn(), tenant, connection).await?;
        let now = now(&mut tx.conn()).await?;
        change(&mut gate, now, &self.runtime.terms);
        gates::save(&mut tx.conn(), tenant, connection, &gate).await?;
        tx.commit().await
    }
}

fn unauthorized(answer: &Answer) -> Stop {
    let hint = "enter the secret anew: fairlane erp sync connection set NAME --secret-file FILE";
    Stop::GiveUp("unauthorized", format!("the other system answers {}; {hint}", answer.status))
}

/// How long an answer asks to wait; a date counts from the answer's own, whatever our clock says.
fn asked_wait(answer: &Answer) -> Option<Duration> {
    answer.retry_after(answer.date().unwrap_or_else(Utc::now))
}

/// How long an answer that puts a request off wants to be left alone: as it says; where it says nothing, who is asked too often
/// for a while, and others not at all.
fn wait_of(answer: &Answer, otherwise: Duration) -> Option<Duration> {
    asked_wait(answer).or((answer.status == 429).then_some(otherwise))
}

/// The status, and the beginning of what was said about it; a secret in it is a star.
pub(super) fn status_text(answer: &Answer, secret: &SecretString) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text = match secret.expose_secret() {
        "" => text.into_owned(),
        secret => text.replace(secret, "*"),
    };
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    match words.is_empty() {
        true => format!("the other system answers {}", answer.status),
        false => format!("the other system answers {}: {words}", answer.status),
    }
}
