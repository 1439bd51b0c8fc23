//! Mails: composing them so that nobody can smuggle anything in, and the ways to send them.
//!
//! [`Mailer`] is what handlers see; [`SmtpMailer`], [`FolderMailer`] and [`MemoryMailer`] are its three kinds. What a mail
//! says comes from [`templates`], which tenants may replace.

mod content;
mod folder;
mod memory;
mod message;
mod mjml;
mod mould;
mod smtp;
pub mod templates;

use std::fmt;

use futures::future::BoxFuture;

pub use content::{Content, TemplateError, render};
pub use folder::FolderMailer;
pub use lettre::message::Mailbox;
pub use memory::MemoryMailer;
pub use message::{Mail, Stop, check_address, message_id, message_id_of, plain_text};
pub use mould::Mould;
pub use smtp::SmtpMailer;

use super::settings::MailTransport;

/// A way to send mails, one mail to one recipient at a time.
///
/// In two steps, because the first can be repeated and the second cannot: between them the sender writes down that the
/// message is about to leave.
pub trait Mailer: fmt::Debug + Send + Sync {
    /// Talks to the other side until it waits for the message; nothing of it has left then. Returns within half a minute,
    /// whatever the other side does.
    fn prepare<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Box<dyn Handover<'a> + 'a>, MailError>>;

    /// Whether the same mail sent twice is one mail: then nobody needs to know whether it was sent before.
    fn forgives_repeats(&self) -> bool {
        false
    }

    /// Both steps.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Receipt, MailError>> {
        Box::pin(async move { self.prepare(mail).await?.hand_over().await })
    }
}

/// The other side waits for the message.
pub trait Handover<'a>: Send {
    /// Hands the message over and waits for the answer, for about half a minute.
    fn hand_over(self: Box<Self>) -> BoxFuture<'a, Result<Receipt, MailError>>;
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
    #[error("there is no mail address")]
    AddressMissing,
    /// The address is none.
    #[error("the address was refused: {0}")]
    AddressInvalid(String),
    /// The mail server will never take a mail for this address.
    #[error("the address was refused: {0}")]
    AddressRefused(String),
    /// The address was refused before: nothing is sent there.
    #[error("the address is suppressed: {0}")]
    Suppressed(String),
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
            Self::AddressInvalid(_) | Self::AddressRefused(_) => "mail_address_refused",
            Self::Suppressed(_) => "mail_suppressed",
            Self::MessageRefused(_) => "mail_message_refused",
            Self::ServerRefused(_) => "mail_server_refused",
            Self::Unavailable(_) => "mail_unavailable",
            Self::Uncertain(_) => "mail_uncertain",
        }
    }

    /// Whether trying again is in vain until somebody changes something about this mail.
    pub fn is_permanent(&self) -> bool {
        self.is_about_the_address() || matches!(self, Self::MessageRefused(_))
    }

    /// Whether another address would help.
    pub fn is_about_the_address(&self) -> bool {
        use MailError::{AddressInvalid, AddressMissing, AddressRefused, Suppressed};
        matches!(self, AddressMissing | AddressInvalid(_) | AddressRefused(_) | Suppressed(_))
    }
}

/// The mailer that the settings describe.
pub fn mailer(transport: &MailTransport) -> std::sync::Arc<dyn Mailer> {
    match transport {
        MailTransport::Folder(folder) => std::sync::Arc::new(FolderMailer::new(folder.clone())),
        MailTransport::Smtp(settings) => std::sync::Arc::new(SmtpMailer::new(settings.clone())),
    }
}
