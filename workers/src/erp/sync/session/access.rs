//! With what a request goes out: the place of one request, and an access token that all workers share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fairlane::Error;
use secrecy::SecretString;

use super::super::breaker::Breaker;
use super::super::connection::Auth;
use super::super::runtime::token_place;
use super::super::token::{self, Turn};
use super::{Session, Stop, wait_of};
use crate::erp::store::now;
use crate::erp::store::sync::gates;

/// The access that a request was let in with.
pub(super) struct Access {
    pub(super) secret: SecretString,
    pub(super) generation: Option<i64>,
    pub(super) now: DateTime<Utc>,
}

impl Session<'_> {
    /// Takes the place of one request, and an access token where one is needed.
    pub(super) async fn admit(&mut self) -> Result<Access, Stop> {
        loop {
            let mut tx = self.ctx.begin().await?;
            let (tenant, connection) = (self.tenant(), self.connection.id);
            let mut gate = gates::lock(&mut tx.conn(), tenant, connection).await?;
            let now = now(&mut tx.conn()).await?;
            if let Err(wait) = gate.admit(now, self.connection.rate(), &self.runtime.terms) {
                tracing::debug!(connection, ?wait, "no request goes out now");
                return Err(Stop::Wait(wait.time()));
            }
            self.was_ailing = gate.breaker != Breaker::default();
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
        // The gate first, as whoever takes a request's place has it.
        let mut gate = gates::lock(&mut tx.conn(), tenant, connection).await?;
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
                match &stop {
                    // A server of tokens that is ill counts like the system behind it, and its waits are everybody's.
                    Stop::Retry(_, why) => drop(gate.failed(now, &self.runtime.terms, why)),
                    Stop::Wait(wait) => gate.leave_alone(now, *wait),
                    _ => {}
                }
                Err(stop)
            }
        };
        gates::save_token(&mut tx.conn(), tenant, connection, &token).await?;
        gates::save(&mut tx.conn(), tenant, connection, &gate).await?;
        tx.commit().await?;
        outcome
    }

    async fn token_from_its_server(&self) -> Result<(SecretString, Option<Duration>), Stop> {
        let endpoint = token::endpoint(self.connection, self.runtime)?;
        let answer = endpoint.send(token::request(self.connection, &self.secret)?).await?;
        // Nothing of what it says: it was given the secret.
        let told = || format!("the server of tokens answers {}", answer.status);
        match answer.status {
            200..=299 => token::read(&answer)
                .ok_or_else(|| Stop::Retry("answer_unreadable", "the server of tokens has sent none".into())),
            408 | 425 | 429 | 503 => Err(match wait_of(&answer, self.runtime.wait) {
                Some(wait) => Stop::Wait(wait),
                None => Stop::Retry("remote_error", told()),
            }),
            status if status >= 500 => Err(Stop::Retry("remote_error", told())),
            _ => Err(Stop::GiveUp("unauthorized", told())),
        }
    }

    pub(super) async fn forget_token(&self, generation: i64) -> Result<(), Error> {
        let mut tx = self.ctx.begin().await?;
        let (tenant, connection) = (self.tenant(), self.connection.id);
        let mut token = gates::lock_token(&mut tx.conn(), tenant, connection).await?;
        token.refused(generation);
        gates::save_token(&mut tx.conn(), tenant, connection, &token).await?;
        tx.commit().await
    }
}
