//! Text messages.

use fairlane::JobResult;
use fairlane::db::Conn;

use super::settle::Request;
use super::{Said, Sending, Unsent};
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::sms::{Taken, Text, fit};
use crate::erp::store::deliveries::{self, Status};
use crate::erp::store::{attempts, phones, preferences};

impl Sending {
    /// The message to the number of this moment.
    pub(super) async fn text(&self, conn: &mut Conn<'_>, said: &Said) -> Result<Text, Unsent> {
        let (tenant, user) = (self.tenant(), said.user()?);
        let Some(to) = phones::of_user(conn, tenant, user.id).await? else {
            let why = "the user has no phone number any more".to_owned();
            return Err(Unsent::Unwanted(Status::Skipped, "no_phone", why));
        };
        let known = preferences::suppressed(conn, tenant, std::slice::from_ref(&to)).await?;
        if let Some(refusal) = known.get(&to) {
            let why = format!(
                "{to} takes no messages since {}: {}",
                refusal.created_at.date_naive(),
                refusal.reason
            );
            return Err(Unsent::Unwanted(Status::Suppressed, "sms_suppressed", why));
        }
        deliveries::set_recipient(conn, tenant, self.delivery.id, Some(&to)).await?;
        self.ctx.state.sms.ready()?;
        let note = said.note()?;
        let body = fit(&format!("{}: {}", note.title, note.message), self.ctx.state.sms_segments);
        let (delivery_id, key) = (self.delivery.id, self.message_id());
        Ok(Text { to, body, tenant: self.ctx.job().tenant.clone(), delivery_id, key })
    }

    pub(super) async fn send_text(&self, text: &Text) -> JobResult {
        self.mark_sending().await?;
        let request = Request::to("sms");
        match self.ctx.state.sms.send(text).await {
            Ok(taken) => self.text_taken(&request, &taken).await,
            Err(error) => self.text_refused(&request, text, &error).await,
        }
    }

    async fn text_taken(&self, request: &Request, taken: &Taken) -> JobResult {
        let mut tx = self.ctx.begin().await?;
        let conn = &mut tx.conn();
        self.note(conn, request, Ok((taken.http_status, taken.reply.as_str()))).await?;
        if let Some(id) = &taken.id {
            attempts::set_message_id(conn, self.tenant(), self.delivery.id, id).await?;
        }
        self.taken(tx, &taken.reply).await
    }

    async fn text_refused(&self, request: &Request, text: &Text, error: &SendError) -> JobResult {
        let mut tx = self.ctx.begin().await?;
        if error.decision == Decision::Suppress {
            let (conn, id) = (&mut tx.conn(), self.delivery.id);
            preferences::suppress(conn, self.tenant(), &text.to, &error.why, id).await?;
        }
        self.refused(tx, Some(request), error).await
    }
}
