//! The services of phones, devices, webhooks and reports of providers, call by call.

use fairlane_workers::erp::notifications::Severity;
use fairlane_workers::erp::outbound::{Outbound, OutboundSettings};
use fairlane_workers::erp::services::callbacks::{Bounce, BounceKind};
use fairlane_workers::erp::services::devices::Subscription;
use fairlane_workers::erp::services::webhooks::Keeper;
use fairlane_workers::erp::services::{callbacks, devices, profiles, users, webhooks};
use fairlane_workers::erp::sms::TwilioStatus;

use super::calls::{Call, call};
use super::world::sealer;

pub(crate) const CHANNEL_CALLS: &[Call] = &[
    call!("users::set_phone", "user", Missing, |tx, of, own, given| users::set_phone(
        tx,
        of,
        &given.email,
        Some("+4915112345678"),
        None
    )),
    call!("devices::add", "user", Missing, |tx, of, own, given| async {
        let outbound = Outbound::new(OutboundSettings::default());
        devices::add(tx, of, &outbound, &given.email, Subscription::Fcm { token: "new" }, None).await
    }),
    call!("devices::remove", "device", Missing, |tx, of, own, given| devices::remove(
        tx,
        of,
        given.device_id
    )),
    call!("profiles::set_sms_from", "-", All, |tx, of, own, given| profiles::set_sms_from(
        tx,
        of,
        Severity::Warning
    )),
    call!("webhooks::add", "user", Missing, |tx, of, own, given| async {
        let (sealer, outbound) = (sealer(), Outbound::new(OutboundSettings::default()));
        let keeper = Keeper { sealer: &sealer, outbound: &outbound };
        webhooks::add(tx, of, keeper, "https://hooks.example.com/", &[], Some(&given.email)).await
    }),
    call!("webhooks::rotate", "endpoint", Missing, |tx, of, own, given| async {
        webhooks::rotate(tx, of, &sealer(), given.endpoint_id, std::time::Duration::ZERO).await
    }),
    call!("webhooks::disable", "endpoint", Missing, |tx, of, own, given| webhooks::disable(
        tx,
        of,
        given.endpoint_id,
        "moved"
    )),
    call!("webhooks::enable", "endpoint", Missing, |tx, of, own, given| webhooks::enable(
        tx,
        of,
        given.endpoint_id
    )),
    call!("webhooks::remove", "endpoint", Missing, |tx, of, own, given| webhooks::remove(
        tx,
        of,
        given.endpoint_id
    )),
    call!("webhooks::test", "endpoint", Missing, |tx, of, own, given| webhooks::test(
        tx,
        of,
        given.endpoint_id
    )),
    call!("webhooks::replay", "delivery", Missing, |tx, of, own, given| webhooks::replay(
        tx,
        of,
        given.hook_delivery_id
    )),
    call!("webhooks::replay_failed", "endpoint", Missing, |tx, of, own, given| webhooks::replay_failed(
        tx,
        of,
        given.endpoint_id
    )),
    call!("callbacks::twilio_status", "delivery", Nothing, |tx, of, own, given| async {
        let (sid, status) = ("SM1".into(), "delivered".into());
        let report =
            TwilioStatus { sid, status, error_code: None, delivery_id: Some(given.hook_delivery_id) };
        callbacks::twilio_status(tx, of, &report).await
    }),
    call!("callbacks::mail_bounce", "address", Makes, |tx, of, own, given| async {
        let (address, kind) = (given.suppressed.clone(), BounceKind::Hard);
        let bounce = Bounce { address, kind, reason: String::new(), message_id: None };
        callbacks::mail_bounce(tx, of, &bounce).await
    }),
];
