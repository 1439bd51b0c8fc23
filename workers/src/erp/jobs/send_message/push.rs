//! Push messages: to each device of the user by itself, so that one that is gone costs the others nothing.

use fairlane::JobResult;
use fairlane::db::Conn;

use super::settle::Request;
use super::{Said, Sending, Unsent};
use crate::erp::notifications::Severity;
use crate::erp::outbound::outcome::{Decision, SendError};
use crate::erp::push::PushNote;
use crate::erp::store::deliveries::Status;
use crate::erp::store::devices::Device;
use crate::erp::store::{attempts, devices};

/// The devices that have not taken a message yet, and the message.
pub(super) struct Round {
    note: PushNote,
    devices: Vec<Device>,
    /// How many have it from an attempt before.
    taken: usize,
}

fn target(device: &Device) -> String {
    format!("device:{}", device.id)
}

impl Sending {
    pub(super) async fn round(&self, conn: &mut Conn<'_>, said: &Said) -> Result<Round, Unsent> {
        let (tenant, user) = (self.tenant(), said.user()?);
        let taken = attempts::taken_by(conn, tenant, self.delivery.id).await?;
        let mut devices = devices::of_user(conn, tenant, user.id).await?;
        devices.retain(|device| !taken.contains(&target(device)));
        if devices.is_empty() && taken.is_empty() {
            let why = "the user has no device any more that takes push messages".to_owned();
            return Err(Unsent::Unwanted(Status::Skipped, "no_device", why));
        }
        let note = said.note()?;
        let note = PushNote {
            tag: PushNote::tag_of(&said.message.key),
            kind: said.message.kind.clone(),
            urgent: note.severity == Severity::Critical,
            title: note.title,
            message: note.message,
            target: note.action.map(|action| action.target),
        };
        Ok(Round { note, devices, taken: taken.len() })
    }

    pub(super) async fn send_push(&self, round: &Round) -> JobResult {
        let (mut taken, mut again, mut refused) = (round.taken, None::<SendError>, None::<SendError>);
        for device in &round.devices {
            match self.push_to(device, &round.note).await? {
                Ok(()) => taken += 1,
                Err(error) if error.decision == Decision::Retry => {
                    // Whoever wants the longest wait decides when all are asked again.
                    let longer = again.as_ref().is_none_or(|known| known.after <= error.after);
                    again = if longer { Some(error) } else { again };
                }
                Err(error) if error.decision == Decision::Fail => refused = Some(error),
                // It was forgotten: nothing more to do about it.
                Err(_) => {}
            }
        }
        self.end_of_round(taken, again, refused).await
    }

    /// What the devices' answers make of the delivery: some of them having it is enough, once none can be asked again.
    async fn end_of_round(
        &self,
        taken: usize,
        again: Option<SendError>,
        refused: Option<SendError>,
    ) -> JobResult {
        let tx = self.ctx.begin().await?;
        match (again, refused) {
            (Some(error), _) if taken == 0 || self.may_try_again(&error) => {
                self.refused(tx, None, &error).await
            }
            (_, Some(error)) if taken == 0 => self.refused(tx, None, &error).await,
            _ if taken == 0 => {
                let why = "no device takes push messages any more";
                self.leave(tx, Status::Suppressed, "devices_gone", why).await
            }
            _ => self.taken(tx, &format!("taken by {taken}")).await,
        }
    }

    /// One device, with its row: what it has taken is not sent there again, whatever becomes of this worker.
    async fn push_to(
        &self,
        device: &Device,
        note: &PushNote,
    ) -> Result<Result<(), SendError>, fairlane::JobError> {
        let request = Request::to(target(device));
        let came = self.ctx.state.push.send(device, note).await;
        let mut tx = self.ctx.begin().await?;
        let conn = &mut tx.conn();
        let said = came.as_ref().map(|pushed| (pushed.http_status, pushed.reply.as_str()));
        self.note(conn, &request, said).await?;
        if came.as_ref().is_err_and(|error| error.decision == Decision::Suppress) {
            devices::remove(conn, self.tenant(), device.id).await?;
        }
        tx.commit().await?;
        Ok(came.map(|_| ()))
    }
}
