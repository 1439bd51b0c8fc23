//! Devices that take push messages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairlane::{Error, Result, Tenant, Transaction};

use super::one_line;
use crate::erp::outbound::Outbound;
use crate::erp::store::devices::{self, Device, NewDevice, Platform};
use crate::erp::store::people;
use crate::erp::store::preferences::{self, ANY_TYPE};

/// Most devices of a user: all of them are asked for each message.
const MOST: usize = 20;

/// How a device is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscription<'a> {
    /// An app, by the token that FCM has given it.
    Fcm {
        /// The registration token.
        token: &'a str,
    },
    /// A browser, by what `PushSubscription.toJSON()` says.
    Webpush {
        /// The address at its push service.
        endpoint: &'a str,
        /// Its public key, in base64url.
        p256dh: &'a str,
        /// Its secret, in base64url.
        auth: &'a str,
    },
}

/// Adds a device of a user, or hands a known one over to them. With the first one push messages are on, unless the user has
/// said otherwise.
pub async fn add(
    tx: &mut Transaction,
    tenant: &Tenant,
    outbound: &Outbound,
    who: &str,
    subscription: Subscription<'_>,
    label: Option<&str>,
) -> Result<Device> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    let user = people::named(conn, id, who).await?;
    let (platform, token, keys) = checked(outbound, subscription)?;
    let label = label.map(|label| one_line("the device's label", label, 100)).transpose()?;
    let new = NewDevice { user: user.id, platform, token, keys, label: label.as_deref() };
    let known = devices::of_user(conn, id, user.id).await?;
    if known.len() >= MOST && !known.iter().any(|device| device.token == token) {
        return Err(Error::Refused {
            what: format!("adding a device of user {}", user.label()),
            why: format!("there are {MOST} already; remove one first"),
        });
    }
    let device = devices::add(conn, id, &new).await?;
    let choices = preferences::of_user(conn, id, user.id).await?;
    if !choices.iter().any(|choice| choice.kind == ANY_TYPE && choice.channel == "push") {
        preferences::set(conn, id, user.id, ANY_TYPE, "push", true).await?;
    }
    let missing = || Error::NotFound { what: "device", name: device.to_string() };
    devices::of_user(conn, id, user.id).await?.into_iter().find(|one| one.id == device).ok_or_else(missing)
}

type Checked<'a> = (Platform, &'a str, Option<(&'a str, &'a str)>);

fn checked<'a>(outbound: &Outbound, subscription: Subscription<'a>) -> Result<Checked<'a>> {
    let invalid = |what: &str, why: String| Err(Error::Invalid { what: what.to_owned(), why });
    match subscription {
        Subscription::Fcm { token } => {
            let token = token.trim();
            if token.is_empty() || token.len() > 4096 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return invalid(
                    "the registration token",
                    "it must be one word of at most 4096 characters".into(),
                );
            }
            Ok((Platform::Fcm, token, None))
        }
        Subscription::Webpush { endpoint, p256dh, auth } => {
            let (endpoint, p256dh, auth) = (endpoint.trim(), p256dh.trim(), auth.trim());
            if let Err(why) = outbound.check_url(endpoint) {
                return invalid("the subscription's endpoint", why.to_string());
            }
            let length =
                |key: &str| URL_SAFE_NO_PAD.decode(key.trim_end_matches('=')).map(|bytes| bytes.len());
            if length(p256dh) != Ok(65) || length(auth) != Ok(16) {
                let why = "p256dh must be 65 bytes and auth 16, in base64url";
                return invalid("the subscription's keys", why.into());
            }
            Ok((Platform::Webpush, endpoint, Some((p256dh, auth))))
        }
    }
}

/// Forgets a device.
pub async fn remove(tx: &mut Transaction, tenant: &Tenant, device: i64) -> Result<()> {
    match devices::remove(&mut tx.conn(), tenant.id().await?, device).await? {
        true => Ok(()),
        false => Err(Error::NotFound { what: "device", name: device.to_string() }),
    }
}
