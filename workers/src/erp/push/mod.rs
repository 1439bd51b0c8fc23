//! Push messages: to apps by Firebase Cloud Messaging ([`fcm`]), to browsers by Web Push ([`webpush`]).
//!
//! The same message may come twice when an answer is lost; the second replaces the first on the screen, for both carry the
//! same tag. So nothing is ever uncertain here, and each device is asked by itself.

pub mod fcm;
pub mod jwt;
pub mod note;
pub mod webpush;

use super::outbound::Outbound;
use super::outbound::outcome::{Decision, SendError};
use super::settings::PushSettings;
use super::store::devices::{Device, Platform};
use fcm::Fcm;
pub use note::PushNote;
use webpush::WebPush;

/// What a push service said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Its words.
    pub reply: String,
    /// The status of HTTP.
    pub http_status: u16,
}

/// Those who bring messages to devices; clones share their tokens.
#[derive(Debug, Clone)]
pub struct Pushers {
    fcm: Fcm,
    webpush: WebPush,
}

impl Pushers {
    /// The services that the settings describe; nothing is read or connected yet.
    pub fn new(settings: &PushSettings, outbound: &Outbound) -> Self {
        Self { fcm: Fcm::new(settings, outbound.clone()), webpush: WebPush::new(settings, outbound.clone()) }
    }

    /// Sends a note to one device. [`Decision::Suppress`] says that the device is gone.
    pub async fn send(&self, device: &Device, note: &PushNote) -> Result<Pushed, SendError> {
        match device.platform {
            Platform::Fcm => self.fcm.send(&device.token, note).await,
            Platform::Webpush => self.webpush.send(device, note).await,
        }
    }
}

fn settings_error(why: impl Into<String>) -> SendError {
    SendError::new(Decision::Retry, "push_settings", why)
}
