//! `erp user phone set|clear`, `erp user device add|list|remove`.

use clap::{Args, Subcommand};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Failure, Page, Record, ago, printable};
use serde_json::json;

use super::people::shown;
use super::reading;
use crate::erp::outbound::Outbound;
use crate::erp::services::devices::{self, Subscription};
use crate::erp::services::users;
use crate::erp::settings::{self, SmsSettings};
use crate::erp::store::devices::{self as store, Device as Row};
use crate::erp::store::people;

#[derive(Debug, Subcommand)]
pub(super) enum Phone {
    /// Change where a user's text messages go
    Set {
        /// An address, or a number
        user: String,
        /// The phone number, such as +4915112345678
        #[arg(allow_hyphen_values = true)]
        phone: String,
    },
    /// Take a user's phone number away
    Clear {
        /// An address, or a number
        user: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Add a device: an app's token, or a browser's subscription
    Add(NewDevice),
    /// List a user's devices
    List {
        /// An address, or a number
        user: String,
    },
    /// Forget a device
    Remove {
        /// Its number
        device: i64,
    },
}

#[derive(Debug, Args)]
pub(super) struct NewDevice {
    /// An address, or a number
    user: String,
    /// The registration token that FCM has given the app
    #[arg(long, value_name = "TOKEN", conflicts_with = "webpush", required_unless_present = "webpush")]
    fcm: Option<String>,
    /// The address of a browser's subscription
    #[arg(long, value_name = "URL", requires_all = ["p256dh", "auth"])]
    webpush: Option<String>,
    /// The subscription's public key
    #[arg(long, requires = "webpush", allow_hyphen_values = true)]
    p256dh: Option<String>,
    /// The subscription's secret
    #[arg(long, requires = "webpush", allow_hyphen_values = true)]
    auth: Option<String>,
    /// What to call it
    #[arg(long)]
    label: Option<String>,
}

impl Record for Row {
    const COLUMNS: &'static [&'static str] = &["ID", "PLATFORM", "LABEL", "SINCE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.platform.as_str().to_owned(),
            self.label.clone().unwrap_or_else(|| "-".into()),
            ago(self.created_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

pub(super) async fn phone(verb: &Phone, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let (user, phone) = match verb {
        Phone::Set { user, phone } => (user, Some(phone.as_str())),
        Phone::Clear { user } => (user, None),
    };
    let country = SmsSettings::read(&env.config)?.country;
    let mut tx = tenant.begin().await?;
    let (user, phone) = users::set_phone(&mut tx, tenant, user, phone, country.as_deref()).await?;
    tx.commit().await?;
    match phone {
        Some(phone) => shown(env, &user, &format!("gets text messages at {phone}, once they ask for them")),
        None => shown(env, &user, "has no phone number"),
    }
}

pub(super) async fn device(verb: &Device, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    match verb {
        Device::Add(new) => add(new, tenant, env).await,
        Device::List { user } => {
            let id = tenant.id().await?;
            let mut tx = reading(tenant).await?;
            let user = people::named(&mut tx.conn(), id, user).await?;
            let rows = store::of_user(&mut tx.conn(), id, user.id).await?;
            Ok(env.output.page(&Page::from(rows), "no devices")?)
        }
        Device::Remove { device } => {
            let mut tx = tenant.begin().await?;
            devices::remove(&mut tx, tenant, *device).await?;
            tx.commit().await?;
            let result = json!({ "id": device, "removed": true });
            let line = format!("Device {device} gets nothing any more.");
            Ok(env.output.result(&result, Some(&device.to_string()), &[line])?)
        }
    }
}

async fn add(new: &NewDevice, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let subscription = match (&new.fcm, &new.webpush, &new.p256dh, &new.auth) {
        (Some(token), None, ..) => Subscription::Fcm { token },
        (None, Some(endpoint), Some(p256dh), Some(auth)) => Subscription::Webpush { endpoint, p256dh, auth },
        _ => {
            return Err(Failure::usage(
                "which device? --fcm TOKEN, or --webpush URL --p256dh KEY --auth KEY",
            )
            .into());
        }
    };
    let outbound = Outbound::new(settings::outbound(&env.config)?);
    let mut tx = tenant.begin().await?;
    let device =
        devices::add(&mut tx, tenant, &outbound, &new.user, subscription, new.label.as_deref()).await?;
    tx.commit().await?;
    let line = printable(&format!("Device {} of user {} gets push messages.", device.id, device.user_id));
    Ok(env.output.result(&device, Some(&device.id.to_string()), &[line])?)
}
