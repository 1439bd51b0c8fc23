//! Mails that stay in memory, for tests.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;

use super::{Handover, Mail, MailError, Mailer, Receipt};

/// Keeps what it is given; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryMailer {
    sent: Arc<Mutex<Vec<Mail>>>,
    refusals: Arc<Mutex<Vec<MailError>>>,
}

impl MemoryMailer {
    /// What was sent so far.
    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Lets the next attempt end with this error; several wait in line.
    pub fn refuse_next(&self, error: MailError) {
        self.refusals.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(error);
    }
}

impl Mailer for MemoryMailer {
    fn prepare<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Box<dyn Handover<'a> + 'a>, MailError>> {
        let ready: Box<dyn Handover<'a> + 'a> = Box::new(Ready { mailer: self, mail });
        Box::pin(std::future::ready(Ok(ready)))
    }
}

/// A mail that is to be kept.
struct Ready<'a> {
    mailer: &'a MemoryMailer,
    mail: &'a Mail,
}

impl<'a> Handover<'a> for Ready<'a> {
    fn hand_over(self: Box<Self>) -> BoxFuture<'a, Result<Receipt, MailError>> {
        let MemoryMailer { sent, refusals } = self.mailer;
        Box::pin(async move {
            let mut refusals = refusals.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if !refusals.is_empty() {
                return Err(refusals.remove(0));
            }
            sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(self.mail.clone());
            Ok(Receipt { reply: "kept in memory".into() })
        })
    }
}
