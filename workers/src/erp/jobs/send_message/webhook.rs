//! Webhooks.

use fairlane::db::Conn;
use fairlane::{JobResult, Transaction};
use secrecy::SecretString;
use serde_json::json;

use super::settle::Request;
use super::{Said, Sending, Unsent};
use crate::erp::notifications::{AlertNotification, Audience, INTEGRATIONS, notify_audience};
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::outbound::{Post, Reply};
use crate::erp::store::deliveries::Status;
use crate::erp::store::webhooks::{self as store, Endpoint};
use crate::erp::webhooks;

/// One request, before it is signed.
pub(super) struct Call {
    endpoint: Endpoint,
    secrets: Vec<SecretString>,
    body: String,
}

/// What a secret is sealed for.
pub(crate) fn place(tenant: i64, secret: i64) -> String {
    format!("{tenant}/webhook_secrets/{secret}")
}

impl Sending {
    pub(super) async fn call(&self, conn: &mut Conn<'_>, said: &Said) -> Result<Call, Unsent> {
        let tenant = self.tenant();
        let skipped = |code, why: String| Err(Unsent::Unwanted(Status::Skipped, code, why));
        let id = store::endpoint_of(conn, tenant, self.delivery.id).await?.unwrap_or_default();
        let Some(endpoint) = store::find(conn, tenant, id).await? else {
            return skipped("no_endpoint", "its endpoint was taken away".into());
        };
        if let Some(why) = &endpoint.disabled_reason {
            return skipped("endpoint_disabled", format!("endpoint {id} is disabled: {why}"));
        }
        let now = crate::erp::store::now(conn).await?;
        let alone = endpoint.throttled_until.and_then(|until| (until - now).to_std().ok());
        if let Some(time) = alone.filter(|time| !time.is_zero()) {
            return Err(Unsent::Wait(time));
        }
        let mut secrets = Vec::new();
        for sealed in store::secrets(conn, tenant, id).await? {
            let open = self.ctx.state.sealer.open(&sealed.sealed, &place(tenant, sealed.id));
            secrets.push(
                open.map_err(|why| SendError::new(Decision::Retry, "webhook_secret", why.to_string()))?,
            );
        }
        Ok(Call { endpoint, secrets, body: webhooks::body(&said.message, said.user.as_ref()) })
    }

    pub(super) async fn send_webhook(&self, call: Call) -> JobResult {
        let request = Request::to(format!("endpoint:{}", call.endpoint.id));
        let came = self.post(&call).await;
        let mut tx = self.ctx.begin().await?;
        match came {
            Ok(reply) => {
                let (conn, words) = (&mut tx.conn(), reply.words());
                self.note(conn, &request, Ok((reply.status, words.as_str()))).await?;
                store::succeeded(conn, self.tenant(), call.endpoint.id).await?;
                self.taken(tx, &words).await
            }
            Err(error) => {
                let error = self.blame(&mut tx, &call.endpoint, error).await?;
                self.refused(tx, Some(&request), &error).await
            }
        }
    }

    async fn post(&self, call: &Call) -> Result<Reply, SendError> {
        let (id, at) = (self.message_id(), chrono::Utc::now().timestamp());
        let signature = webhooks::sign(&call.secrets, &id, at, &call.body)
            .map_err(|why| SendError::new(Decision::Retry, "webhook_secret", why))?;
        let post = Post::new(&call.endpoint.url, "application/json", call.body.clone().into_bytes())
            .header("webhook-id", id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signature);
        // A receiver knows by its id what it has already: a lost answer is asked for again.
        let reply = self.ctx.state.outbound.post(post).await;
        let reply = reply.map_err(|error| SendError::unanswered(&error, Decision::Retry))?;
        webhooks::understood(&reply).map(|()| reply)
    }

    /// Notes a failure at its endpoint; one that is gone, or has failed for days, is disabled, and somebody is told.
    async fn blame(
        &self,
        tx: &mut Transaction,
        endpoint: &Endpoint,
        error: SendError,
    ) -> fairlane::Result<SendError> {
        let (tenant, id) = (self.tenant(), endpoint.id);
        let throttled = error.code == "endpoint_throttled";
        let alone =
            error.after.filter(|_| throttled).map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let conn = &mut tx.conn();
        store::failed(conn, tenant, id, alone).await?;
        let Some(now) =
            store::lock(conn, tenant, id).await?.filter(|endpoint| endpoint.disabled_at.is_none())
        else {
            return Ok(error);
        };
        let time = crate::erp::store::now(conn).await?;
        let failing = now.failing_since.and_then(|since| (time - since).to_std().ok()).unwrap_or_default();
        let reason = match error.code {
            "endpoint_gone" => "it has answered 410 Gone".to_owned(),
            _ if failing >= webhooks::GIVE_UP_AFTER => {
                format!("it has failed for {} days without a success", failing.as_secs() / 86_400)
            }
            _ => return Ok(error),
        };
        store::disable(conn, tenant, id, &reason).await?;
        self.tell_of_the_end(tx, &now, &reason).await?;
        Ok(SendError { decision: Decision::Fail, ..error })
    }

    async fn tell_of_the_end(
        &self,
        tx: &mut Transaction,
        endpoint: &Endpoint,
        reason: &str,
    ) -> fairlane::Result<()> {
        let (id, slug) = (endpoint.id, &self.ctx.job().tenant);
        let alert = AlertNotification::warning(
            format!("Webhook endpoint {id} is disabled"),
            format!(
                "{} gets nothing any more: {reason}. When it works again: fairlane erp webhook enable {id} -t {slug}",
                endpoint.url
            ),
            json!({ "endpoint_id": id, "url": endpoint.url, "reason": reason }),
        );
        let audience = match endpoint.user_id {
            Some(user) => Audience::user(user),
            None => Audience::holders(INTEGRATIONS),
        };
        let key = format!("webhook:{id}:disabled:{}", self.delivery.id);
        Box::pin(notify_audience(tx, &self.ctx.tenant(), &audience, &alert, &key)).await?;
        Ok(())
    }
}
