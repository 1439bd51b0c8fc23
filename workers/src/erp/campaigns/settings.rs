//! The section `campaigns` of the configuration.

use std::time::Duration;

use fairlane::config::{Config, ConfigError, Kind, Setting};

use crate::erp::store::channel_rates::Rate;

/// The settings of campaigns.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "campaigns.chunk_users",
        Kind::Integer { min: 1, max: 2000 },
        "500",
        "Users of a campaign that one job tells.",
    ),
    Setting::new(
        "campaigns.mail_connections",
        Kind::Integer { min: 1, max: 50 },
        "4",
        "Mails that such a job hands over at the same time; if its worker is killed, so many at most are uncertain.",
    ),
    Setting::new(
        "campaigns.mail_rate",
        Kind::Rate,
        "0",
        "Mails of one tenant's campaigns that go out in a time: 100/s, 5000/h (0 = no limit).",
    ),
    Setting::new(
        "campaigns.sms_rate",
        Kind::Rate,
        "0",
        "Text messages of one tenant's campaigns that go out in a time (0 = no limit).",
    ),
    Setting::new(
        "campaigns.push_rate",
        Kind::Rate,
        "0",
        "Push messages of one tenant's campaigns that go out in a time, one for each user (0 = no limit).",
    ),
    Setting::new(
        "campaigns.webhook_rate",
        Kind::Rate,
        "0",
        "Webhooks of one tenant's campaigns that go out in a time (0 = no limit).",
    ),
    Setting::new(
        "campaigns.outage_wait",
        Kind::Duration,
        "5s",
        "How long a job waits when the mail server takes nothing; doubled each time, up to ten minutes.",
    ),
];

/// The section `campaigns`.
#[derive(Debug, Clone, Copy)]
pub struct CampaignSettings {
    /// Users of one chunk.
    pub chunk_users: i64,
    /// Mails handed over at the same time.
    pub mail_connections: usize,
    /// Mails of one tenant's campaigns in a time.
    pub mail_rate: Option<Rate>,
    /// Text messages of them.
    pub sms_rate: Option<Rate>,
    /// Push messages of them, one for each user.
    pub push_rate: Option<Rate>,
    /// Webhooks of them.
    pub webhook_rate: Option<Rate>,
    /// The first wait when the mail server takes nothing.
    pub outage_wait: Duration,
}

impl Default for CampaignSettings {
    fn default() -> Self {
        Self {
            chunk_users: 500,
            mail_connections: 4,
            mail_rate: None,
            sms_rate: None,
            push_rate: None,
            webhook_rate: None,
            outage_wait: Duration::from_secs(5),
        }
    }
}

impl CampaignSettings {
    /// Reads the section `campaigns`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            chunk_users: config.number("campaigns.chunk_users")?,
            mail_connections: config.number("campaigns.mail_connections")?,
            mail_rate: config.rate("campaigns.mail_rate")?,
            sms_rate: config.rate("campaigns.sms_rate")?,
            push_rate: config.rate("campaigns.push_rate")?,
            webhook_rate: config.rate("campaigns.webhook_rate")?,
            outage_wait: config.duration("campaigns.outage_wait")?,
        })
    }

    /// How many messages of one tenant's campaigns may go out by a channel in a time, where the tenant has set nothing.
    pub fn rate(&self, channel: &str) -> Option<Rate> {
        match channel {
            "mail" => self.mail_rate,
            "sms" => self.sms_rate,
            "push" => self.push_rate,
            "webhook" => self.webhook_rate,
            _ => None,
        }
    }
}
