//! What the ERP's handlers need beside their payloads.

use std::path::PathBuf;
use std::sync::Arc;

use fairlane::config::{Config, ConfigError};

use super::campaigns::settings::CampaignSettings;
use super::mail::{Mailbox, Mailer, MemoryMailer, mailer};
use super::outbound::seal::Sealer;
use super::outbound::{Outbound, OutboundSettings};
use super::push::Pushers;
use super::reports::ReportSettings;
use super::settings::{self, ImportSettings, MailSettings, PushSettings, SmsSettings};
use super::sms::{MemorySms, SmsProvider, provider};
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
    /// Sends requests out of the house.
    pub outbound: Outbound,
    /// Opens secrets of the database.
    pub sealer: Sealer,
    /// Sends text messages.
    pub sms: Arc<dyn SmsProvider>,
    /// Most parts of a text message.
    pub sms_segments: usize,
    /// Sends push messages.
    pub push: Pushers,
    /// The settings of campaigns.
    pub campaigns: CampaignSettings,
    /// The settings of reports.
    pub reports: Arc<ReportSettings>,
    /// What exchanging with other systems needs.
    pub sync: Arc<SyncRuntime>,
}

impl Erp {
    /// The state the configuration describes; nothing is connected or written yet.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let mail = MailSettings::read(config)?;
        let outbound = Outbound::new(settings::outbound(config)?);
        let sms = SmsSettings::read(config)?;
        Ok(Self {
            mailer: mailer(&mail.transport),
            from: mail.from,
            app_url: mail.app_url,
            unsubscribe_url: mail.unsubscribe_url,
            mail_purchase_orders: mail.purchase_orders,
            import: Arc::new(ImportSettings::read(config)?),
            sealer: settings::sealer(config)?,
            sms: provider(&sms, &outbound),
            sms_segments: sms.max_segments,
            push: Pushers::new(&PushSettings::read(config)?, &outbound),
            outbound,
            campaigns: CampaignSettings::read(config)?,
            reports: Arc::new(ReportSettings::read(config)?),
            sync: Arc::new(SyncRuntime::read(config)?),
        })
    }

    /// A state for tests: mails and text messages stay in memory.
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
        let outbound = Outbound::new(OutboundSettings::default());
        Self {
            mailer: Arc::new(MemoryMailer::default()),
            from,
            app_url: String::new(),
            unsubscribe_url: String::new(),
            mail_purchase_orders: false,
            import: Arc::new(import),
            sealer: Sealer::without_key(),
            sms: Arc::new(MemorySms::default()),
            sms_segments: 3,
            push: Pushers::new(&PushSettings::none(), &outbound),
            outbound,
            campaigns: CampaignSettings::default(),
            reports: Arc::new(ReportSettings::in_folder(".fairlane/reports")),
            sync: Arc::new(SyncRuntime::fake()),
        }
    }

    /// The same with another way to send mails.
    pub fn with_mailer(mut self, mailer: impl Mailer + 'static) -> Self {
        self.mailer = Arc::new(mailer);
        self
    }
}
