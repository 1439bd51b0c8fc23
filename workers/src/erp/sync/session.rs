//! One run's requests: through the gate that all workers share, with a token that all workers share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::{Context, Error, JobError, Transaction};
use secrecy::{ExposeSecret, SecretString};

use super::auth::sign;
use super::connection::{Auth, Connection};
use super::dialects::DialectError;
use super::http::{Answer, Endpoint, HttpError, Outgoing};
use super::pages::PagingError;
use super::runtime::{SyncRuntime, token_place};
use super::token::{self, Turn};
use crate::erp::Erp;
use crate::erp::store::now;
use crate::erp::store::sync::gates;

/// Why a run does not go on now.
#[derive(Debug)]
pub enum Stop {
    /// It has to wait; nothing is wrong with it.
    Wait(Duration),
    /// Something that may heal: by code and in words.
    Retry(&'static str, String),
    /// For good: by code and in words.
    GiveUp(&'static str, String),
    /// The queue's own database.
    Database(Error),
    /// The worker stops; another goes on.
    Interrupted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            // Somebody has to change something first: a key, a connection.
            Error::Refused { .. } | Error::Invalid { .. } => {
                Self::GiveUp("connection_unusable", error.to_string())
            }
            error => Self::Database(error),
        }
    }
}

impl From<HttpError> for Stop {
    fn from(error: HttpError) -> Self {
        let text = error.to_string();
        match error {
            HttpError::Forbidden { .. } => Self::GiveUp("forbidden_address", text),
            HttpError::TooLarge { .. } => Self::GiveUp("answer_too_large", text),
            HttpError::Timeout(_) => Self::Retry("remote_timeout", text),
            HttpError::Unreachable(..) => Self::Retry("remote_unreachable", text),
        }
    }
}

impl From<DialectError> for Stop {
    fn from(error: DialectError) -> Self {
        match error {
            DialectError::Http(error) => error.into(),
            DialectError::Unreadable(_) => Self::Retry("answer_unreadable", error.to_string()),
            DialectError::Remote(_) => Self::GiveUp("remote_refused", error.to_string()),
            DialectError::Unauthorized(_) => Self::GiveUp("unauthorized", error.to_string()),
        }
    }
}

impl From<PagingError> for Stop {
    fn from(error: PagingError) -> Self {
        match error {
            PagingError::Http(error) => error.into(),
            PagingError::Loop(_) => Self::GiveUp("list_in_circles", error.to_string()),
            PagingError::TooMany(_) => Self::GiveUp("too_many_pages", error.to_string()),
        }
    }
}

impl Stop {
    /// What becomes of the job. Failures in a row count as attempts; one after progress does not.
    pub(super) fn decide(self, progressed: bool, wait: Duration) -> JobError {
        match self {
            Self::Wait(wait) => JobError::snooze(wait),
            Self::Retry(..) if progressed => JobError::snooze(wait),
            Self::Retry(code, why) => JobError::retry(why).code(code),
            Self::GiveUp(code, why) => JobError::discard(why).code(code),
            Self::Database(error) => error.into(),
            Self::Interrupted => JobError::snooze(Duration::ZERO),
        }
    }
}

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

/// The access that a request was let in with.
struct Access {
    secret: SecretString,
    generation: Option<i64>,
    now: DateTime<Utc>,
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
            if !matches!(answer.status, 200..=299 | 429 | 500..) {
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
                429 | 503 => return Err(self.throttled(&answer).await),
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

    async fn throttled(&mut self, answer: &Answer) -> Stop {
        let asked = asked_wait(answer);
        if answer.status == 503 && asked.is_none() {
            let told = self.told(answer);
            return self.failed(Stop::Retry("remote_error", told)).await;
        }
        let wait = asked.unwrap_or(self.runtime.wait);
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

    /// Takes the place of one request, and an access token where one is needed.
    async fn admit(&mut self) -> Result<Access, Stop> {
        loop {
            let mut tx = self.ctx.begin().await?;
            let (tenant, connection) = (self.tenant(), self.connection.id);
            let mut gate = gates::lock(&mut tx.conn(), tenant, connection).await?;
            let now = now(&mut tx.conn()).await?;
            if let Err(wait) = gate.admit(now, self.connection.rate(), &self.runtime.terms) {
                tracing::debug!(connection, ?wait, "no request goes out now");
                return Err(Stop::Wait(wait.time()));
            }
            self.was_ailing = gate.breaker != super::breaker::Breaker::default();
            if self.connection.auth != Auth::Oauth2 {
                gates::save(&mut tx.conn(), tenant, connection, &gate).await?;
                tx.commit().await?;
                return Ok(Access { secret: self.secret.clone(), generation: None, now });
            }
            let mut token = gates::lock_token(&mut tx.conn(), tenant, connection).await?;
            match token.turn(now) {
                Turn::Use(sealed) => {
                    gates::save(&mut tx.conn(), tenant, connection, &gate).await?;
                    tx.commit().await?;
                    let secret = self.runtime.vault.open(&sealed, token_place(tenant, connection))?;
                    return Ok(Access { secret, generation: Some(token.generation), now });
                }
                // The gate is as it was: nothing goes out.
                Turn::Wait(wait) => return Err(Stop::Wait(wait)),
                Turn::Fetch => {
                    gates::save_token(&mut tx.conn(), tenant, connection, &token).await?;
                    tx.commit().await?;
                    self.fetch_token().await?;
                }
            }
        }
    }

    async fn fetch_token(&mut self) -> Result<(), Stop> {
        self.requests += 1;
        let fetched = self.token_from_its_server().await;
        let mut tx = self.ctx.begin().await?;
        let (tenant, connection) = (self.tenant(), self.connection.id);
        let mut token = gates::lock_token(&mut tx.conn(), tenant, connection).await?;
        let now = now(&mut tx.conn()).await?;
        let outcome = match fetched {
            Ok((secret, lifetime)) => {
                let sealed = self.runtime.vault.seal(&secret, token_place(tenant, connection))?;
                token.fetched(sealed, lifetime, now);
                Ok(())
            }
            Err(stop) => {
                token.not_fetched();
                Err(stop)
            }
        };
        gates::save_token(&mut tx.conn(), tenant, connection, &token).await?;
        self.note_token_failure(&mut tx, now, outcome.as_ref().err()).await?;
        tx.commit().await?;
        outcome
    }

    /// A server of tokens that is ill counts like the system behind it.
    async fn note_token_failure(
        &self,
        tx: &mut Transaction,
        now: DateTime<Utc>,
        stop: Option<&Stop>,
    ) -> Result<(), Error> {
        let Some(Stop::Retry(_, why)) = stop else { return Ok(()) };
        let (tenant, connection) = (self.tenant(), self.connection.id);
        let mut gate = gates::lock(&mut tx.conn(), tenant, connection).await?;
        gate.failed(now, &self.runtime.terms, why);
        gates::save(&mut tx.conn(), tenant, connection, &gate).await
    }

    async fn token_from_its_server(&self) -> Result<(SecretString, Option<Duration>), Stop> {
        let endpoint = token::endpoint(self.connection, self.runtime)?;
        let answer = endpoint.send(token::request(self.connection, &self.secret)?).await?;
        // Nothing of what it says: it was given the secret.
        let told = || format!("the server of tokens answers {}", answer.status);
        match answer.status {
            200..=299 => token::read(&answer)
                .ok_or_else(|| Stop::Retry("answer_unreadable", "the server of tokens has sent none".into())),
            429 | 503 => Err(Stop::Wait(asked_wait(&answer).unwrap_or(self.runtime.wait))),
            status if status >= 500 => Err(Stop::Retry("remote_error", told())),
            _ => Err(Stop::GiveUp("unauthorized", told())),
        }
    }

    async fn forget_token(&self, generation: i64) -> Result<(), Error> {
        let mut tx = self.ctx.begin().await?;
        let (tenant, connection) = (self.tenant(), self.connection.id);
        let mut token = gates::lock_token(&mut tx.conn(), tenant, connection).await?;
        token.refused(generation);
        gates::save_token(&mut tx.conn(), tenant, connection, &token).await?;
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
