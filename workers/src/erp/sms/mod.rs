//! Text messages: composing them, and the providers that send them.
//!
//! [`SmsProvider`] is what the sender sees; [`Twilio`] and [`HttpGateway`] are its kinds, [`MemorySms`] the one of tests.

mod gateway;
mod memory;
mod phone;
mod segments;
mod twilio;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::outbound::Outbound;
use super::outbound::outcome::{Decision, SendError};
use super::settings::{SmsSettings, SmsTransport};
pub use gateway::HttpGateway;
pub use memory::MemorySms;
pub use phone::normalise;
pub use segments::{Segments, fit, segments};
pub use twilio::{Twilio, TwilioStatus, signature_matches};

/// A text message to one phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The number, in E.164.
    pub to: String,
    /// What it says.
    pub body: String,
    /// The tenant whose message it is.
    pub tenant: String,
    /// The number of its delivery.
    pub delivery_id: i64,
    /// The same for every attempt, and for nothing else.
    pub key: String,
}

/// What a provider said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// By which number it knows the message.
    pub id: Option<String>,
    /// Its words.
    pub reply: String,
    /// The status of HTTP.
    pub http_status: u16,
}

/// Somebody who sends text messages.
pub trait SmsProvider: fmt::Debug + Send + Sync {
    /// Refuses what is missing before anything is sent.
    fn ready(&self) -> Result<(), SendError> {
        Ok(())
    }

    /// Hands one message over.
    fn send<'a>(&'a self, text: &'a Text) -> BoxFuture<'a, Result<Taken, SendError>>;

    /// Whether the same message sent twice is one message: then nobody needs to know whether it was sent before.
    fn forgives_repeats(&self) -> bool {
        false
    }
}

/// Nobody sends text messages.
#[derive(Debug, Clone, Copy)]
pub struct NoSms;

impl SmsProvider for NoSms {
    fn ready(&self) -> Result<(), SendError> {
        let why = "no provider of text messages is set: see sms.provider";
        Err(SendError::new(Decision::Retry, "sms_settings", why))
    }

    fn send<'a>(&'a self, _: &'a Text) -> BoxFuture<'a, Result<Taken, SendError>> {
        Box::pin(std::future::ready(self.ready().and_then(|()| {
            Err(SendError::new(Decision::Retry, "sms_settings", "no provider of text messages is set"))
        })))
    }
}

/// The provider that the settings describe.
pub fn provider(settings: &SmsSettings, outbound: &Outbound) -> Arc<dyn SmsProvider> {
    match &settings.transport {
        SmsTransport::None => Arc::new(NoSms),
        SmsTransport::Twilio(twilio) => Arc::new(Twilio::new(twilio.clone(), outbound.clone())),
        SmsTransport::Http(gateway) => Arc::new(HttpGateway::new(gateway.clone(), outbound.clone())),
    }
}
