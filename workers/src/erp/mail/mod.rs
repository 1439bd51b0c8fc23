//! Mails: composing them so that nobody can smuggle anything in, and the ways to send them.
//!
//! [`Mailer`] is what handlers see; [`SmtpMailer`], [`FolderMailer`] and [`MemoryMailer`] are its three kinds.

mod content;
mod folder;
mod memory;
mod message;
mod smtp;

use std::fmt;

use futures::future::BoxFuture;

pub use content::{Content, invoice};
pub use folder::FolderMailer;
pub use lettre::message::Mailbox;
pub use memory::MemoryMailer;
pub use message::{Mail, check_address, message_id, plain_text};
pub use smtp::SmtpMailer;

use super::settings::MailTransport;

/// A way to send mails.
pub trait Mailer: fmt::Debug + Send + Sync {
    /// Sends one mail to one recipient. It returns within a minute, whatever the other side does.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Receipt, MailError>>;
}

/// What the other side said when it took the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its words, or the file's name.
    pub reply: String,
}

/// Why a mail is not out, or may not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The recipient has no address.
    #[error("the customer has no mail address")]
    AddressMissing,
    /// The address is none, or the mail server will never take it.
    #[error("the address was refused: {0}")]
    AddressRefused(String),
    /// The mail server will never take this message.
    #[error("the mail server refused the message for good: {0}")]
    MessageRefused(String),
    /// The mail server does not take anything from us: a matter of its or our settings.
    #[error("the mail server refused to serve us: {0}")]
    ServerRefused(String),
    /// The mail server cannot be reached or asks to come back later.
    #[error("the mail could not be handed over: {0}")]
    Unavailable(String),
    /// The message was handed over, but no answer came: it may be out.
    #[error("no answer came after the message was handed over, it may be out: {0}")]
    Uncertain(String),
}

impl MailError {
    /// The stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AddressMissing => "mail_address_missing",
            Self::AddressRefused(_) => "mail_address_refused",
            Self::MessageRefused(_) => "mail_message_refused",
            Self::ServerRefused(_) => "mail_server_refused",
            Self::Unavailable(_) => "mail_unavailable",
            Self::Uncertain(_) => "mail_uncertain",
        }
    }

    /// Whether trying again is in vain until somebody changes something about this mail.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::AddressMissing | Self::AddressRefused(_) | Self::MessageRefused(_))
    }
}

/// The mailer that the settings describe.
pub fn mailer(transport: &MailTransport) -> std::sync::Arc<dyn Mailer> {
    match transport {
        MailTransport::Folder(folder) => std::sync::Arc::new(FolderMailer::new(folder.clone())),
        MailTransport::Smtp(settings) => std::sync::Arc::new(SmtpMailer::new(settings.clone())),
    }
}
