//! What the ERP's handlers need beside their payloads.

use std::path::PathBuf;
use std::sync::Arc;

use fairlane::config::{Config, ConfigError};

use super::mail::{Mailbox, Mailer, MemoryMailer, mailer};
use super::settings::{ImportSettings, MailSettings};
use super::sync::SyncRuntime;

/// The ERP's state: cloned for every run, so everything in it is cheap to clone.
#[derive(Debug, Clone)]
pub struct Erp {
    /// Sends mails.
    pub mailer: Arc<dyn Mailer>,
    /// The sender of every mail.
    pub from: Mailbox,
    /// What links in mails to users begin with; empty = there are none.
    pub app_url: String,
    /// Where one click stops bulk mails; empty = by mail alone.
    pub unsubscribe_url: String,
    /// Whether vendors get their purchase orders by mail.
    pub mail_purchase_orders: bool,
    /// The settings of imports.
    pub import: Arc<ImportSettings>,
    /// What exchanging with other systems needs.
    pub sync: Arc<SyncRuntime>,
}

impl Erp {
    /// The state the configuration describes; nothing is connected or written yet.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let mail = MailSettings::read(config)?;
        Ok(Self {
            mailer: mailer(&mail.transport),
            from: mail.from,
            app_url: mail.app_url,
            unsubscribe_url: mail.unsubscribe_url,
            mail_purchase_orders: mail.purchase_orders,
            import: Arc::new(ImportSettings::read(config)?),
            sync: Arc::new(SyncRuntime::read(config)?),
        })
    }

    /// A state for tests: mails stay in memory.
    pub fn fake() -> Self {
        let from =
            Mailbox::new(Some("Fairlane".into()), lettre::Address::new_dangerous("no-reply", "localhost"));
        let import = ImportSettings {
            folder: PathBuf::from(".fairlane/files"),
            max_bytes: 100_000_000,
            max_rows: 1_000_000,
            chunk_rows: 500,
            max_unpacked: 1_000_000_000,
            undo_days: 30,
        };
        Self {
            mailer: Arc::new(MemoryMailer::default()),
            from,
            app_url: String::new(),
            unsubscribe_url: String::new(),
            mail_purchase_orders: false,
            import: Arc::new(import),
            sync: Arc::new(SyncRuntime::fake()),
        }
    }

    /// The same with another way to send mails.
    pub fn with_mailer(mut self, mailer: impl Mailer + 'static) -> Self {
        self.mailer = Arc::new(mailer);
        self
    }
}
