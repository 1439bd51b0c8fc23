//! Push messages to apps and browsers. Seed 0-23.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::Erp;
use fairlane_workers::erp::notifications::Severity::{Critical, Warning};
use fairlane_workers::erp::push::Pushers;
use fairlane_workers::erp::services::devices::{self, Subscription};
use fairlane_workers::erp::settings::PushSettings;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use crate::fake::{Answer, Asked, Fake};
use crate::support::shop::{count, lines, shop};
use crate::{FAILED, WAITING, beta, erp, later, open, stands, tell, work};

/// The key of a service account, made for one run of these tests: none is kept with the sources.
static ACCOUNT_KEY: LazyLock<String> = LazyLock::new(|| {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl makes a key");
    String::from_utf8(made.stdout).expect("a key in PEM")
});
/// The pair of keys in the example of RFC 8291.
const VAPID_PUBLIC: &str =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const VAPID_PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const DEVICES: &str = "select count(*) as n from user_devices";

/// A state that pushes to a fake; the folder holds the account's file.
pub(crate) fn pushing(fake: &Fake) -> (Erp, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("account.json");
    let account = json!({
        "project_id": "acme-1", "client_email": "push@acme-1.example.com", "private_key": ACCOUNT_KEY.as_str(),
        "token_uri": fake.url("/token"),
    });
    std::fs::write(&file, account.to_string()).unwrap();
    fake.answer("/token", Answer::new(200, json!({ "access_token": "ya29.x", "expires_in": 3600 })));
    let settings = PushSettings {
        fcm_account_file: Some(file),
        fcm_url: fake.url(""),
        vapid_public_key: VAPID_PUBLIC.into(),
        vapid_private_key: VAPID_PRIVATE.into(),
        vapid_subject: "mailto:ops@example.com".into(),
        ttl: Duration::from_secs(3600),
    };
    (Erp { push: Pushers::new(&settings, &open()), ..erp(fake) }, folder)
}

async fn person(tenant: &Tenant, name: &str) {
    let mut tx = tenant.begin().await.unwrap();
    let email = format!("{name}@example.com");
    fairlane_workers::erp::services::users::ensure(&mut tx, tenant, name, &email, &["sales.view"])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn app(tenant: &Tenant, name: &str, token: &str) -> i64 {
    let mut tx = tenant.begin().await.unwrap();
    let who = format!("{name}@example.com");
    let device =
        devices::add(&mut tx, tenant, &open(), &who, Subscription::Fcm { token }, None).await.unwrap();
    tx.commit().await.unwrap();
    device.id
}

/// A browser, with the key that reads what is sent to it.
struct Browser {
    key: EphemeralPrivateKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

impl Browser {
    fn new() -> Self {
        let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        Self { public: key.compute_public_key().unwrap().as_ref().to_vec(), key, auth: [9; 16] }
    }

    async fn subscribe(&self, tenant: &Tenant, name: &str, endpoint: &str) {
        let (p256dh, auth) = (URL_SAFE_NO_PAD.encode(&self.public), URL_SAFE_NO_PAD.encode(self.auth));
        let subscription = Subscription::Webpush { endpoint, p256dh: &p256dh, auth: &auth };
        let mut tx = tenant.begin().await.unwrap();
        let who = format!("{name}@example.com");
        devices::add(&mut tx, tenant, &open(), &who, subscription, Some("Laptop")).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What a browser does with a message, written from the RFC and not from the code under test.
    fn read(self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        assert_eq!((&rest[..4], rest[4]), (&4096_u32.to_be_bytes()[..], 65));
        let (theirs, record) = rest[5..].split_at(65);
        let shared = UnparsedPublicKey::new(&ECDH_P256, theirs);
        let (public, auth) = (self.public, self.auth);
        let (key, nonce) = agree_ephemeral(self.key, &shared, |secret| {
            let ikm: [u8; 32] = hkdf(&auth, secret, &[b"WebPush: info\0", &public, theirs]);
            let key: [u8; 16] = hkdf(salt, &ikm, &[b"Content-Encoding: aes128gcm\0"]);
            let nonce: [u8; 12] = hkdf(salt, &ikm, &[b"Content-Encoding: nonce\0"]);
            (key, nonce)
        })
        .unwrap();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let mut record = record.to_vec();
        let plain =
            cipher.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record).unwrap();
        let (last, text) = plain.split_last().unwrap();
        assert_eq!(*last, 2, "the record is the last");
        serde_json::from_slice(text).unwrap()
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn hkdf<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(info, Length(N)).unwrap().fill(&mut out).unwrap();
    out
}

fn fcm(code: &str, status: &str) -> Value {
    let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
    json!({ "error": { "status": status, "message": "no", "details": [{ "@type": kind, "errorCode": code }] } })
}

fn to(asked: &[Asked], token: &str) -> usize {
    asked.iter().filter(|asked| asked.text().contains(&format!("\"{token}\""))).count()
}

backend_test!(migrations: lines;
    async fn a_message_reaches_each_device_and_one_that_is_gone_is_forgotten(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (erp, _folder) = pushing(&fake);
        person(&acme, "ana").await;
        person(&acme, "bob").await;
        app(&acme, "ana", "phone-1").await;
        app(&acme, "ana", "phone-gone").await;
        let browser = Browser::new();
        browser.subscribe(&acme, "ana", &fake.url("/push/browser-1")).await;
        fake.answer("phone-gone", Answer::new(404, fcm("UNREGISTERED", "NOT_FOUND")));
        fake.answer("/push/", Answer::new(201, ""));
        tell(&acme, "a:1", Critical).await;
        work(&t, &erp).await;
        assert_eq!(stands(&acme, "a:1", "push").await, ["ana sent -"], "bob has never asked for it");
        assert_eq!((count(&t, DEVICES).await, count(&t, FAILED).await), (2, 0));
        let sent = fake.asked_at("/v1/projects/acme-1/messages:send");
        assert_eq!((sent.len(), sent[0].header("authorization")), (2, "Bearer ya29.x"));
        let message = &sent.iter().find(|asked| asked.text().contains("phone-1")).unwrap().json()["message"];
        assert_eq!((&message["notification"]["title"], &message["android"]["priority"]), (&json!("Cold store"), &json!("HIGH")));
        let pushed = fake.asked_at("/push/browser-1").remove(0);
        assert_eq!((pushed.header("ttl"), pushed.header("urgency"), pushed.header("content-encoding")), ("3600", "high", "aes128gcm"));
        assert!(pushed.header("authorization").starts_with("vapid t=ey") && pushed.header("authorization").contains(VAPID_PUBLIC));
        let read = browser.read(&pushed.body);
        assert_eq!((&read["title"], &read["body"]), (&json!("Cold store"), &json!("It has 9 degrees.")));
        assert_eq!(read["tag"], message["android"]["notification"]["tag"], "the same message has the same tag everywhere");
        assert_eq!(pushed.header("topic"), read["tag"].as_str().unwrap());
    }
);

backend_test!(migrations: lines;
    async fn many_messages_at_once_fetch_one_token(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (erp, _folder) = pushing(&fake);
        for name in ["ana", "bob", "cid", "dan", "eve"] {
            person(&acme, name).await;
            app(&acme, name, &format!("phone-{name}")).await;
        }
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        assert_eq!((fake.asked_at("messages:send").len(), fake.asked_at("/token").len()), (5, 1));
        let form = fake.asked_at("/token").remove(0).text();
        assert!(form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"), "{form}");
        // One that is refused is fetched anew, once.
        fake.answer("messages:send", Answer::new(401, json!({ "error": { "status": "UNAUTHENTICATED" } })));
        tell(&acme, "a:2", Warning).await;
        work(&t, &erp).await;
        assert_eq!(stands(&acme, "a:2", "push").await[0], "ana pending push_settings");
    }
);

backend_test!(migrations: lines;
    async fn each_documented_error_decides_about_its_device_alone(t: TestDb) {
        let (fake, acme) = (Fake::start().await, shop(&t).await);
        let (erp, _folder) = pushing(&fake);
        person(&acme, "ana").await;
        app(&acme, "ana", "phone-1").await;
        app(&acme, "ana", "phone-busy").await;
        Browser::new().subscribe(&acme, "ana", &fake.url("/push/gone")).await;
        fake.answer("phone-busy", Answer::new(429, fcm("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED")).header("retry-after", "120"));
        fake.answer("/push/gone", Answer::new(410, ""));
        tell(&acme, "a:1", Warning).await;
        work(&t, &erp).await;
        assert_eq!(stands(&acme, "a:1", "push").await, ["ana pending push_quota"]);
        assert_eq!(count(&t, DEVICES).await, 2, "the browser has unsubscribed");
        later(&t, &erp, 100).await;
        assert_eq!(to(&fake.asked(), "phone-busy"), 1, "it wants to be left alone for 120 seconds");
        fake.answer("phone-busy", Answer::new(200, "{}"));
        later(&t, &erp, 30).await;
        assert_eq!(stands(&acme, "a:1", "push").await, ["ana sent -"]);
        assert_eq!((to(&fake.asked(), "phone-1"), to(&fake.asked(), "phone-busy")), (1, 2), "who has it is not asked again");
        // A payload that is refused says nothing about the device; a token that is none does.
        let bad = json!({ "error": { "status": "INVALID_ARGUMENT", "details": [{ "@type": "google.rpc.BadRequest" }] } });
        fake.answer("phone-", Answer::new(400, bad));
        tell(&acme, "a:2", Warning).await;
        work(&t, &erp).await;
        assert_eq!((stands(&acme, "a:2", "push").await.remove(0).as_str(), count(&t, DEVICES).await), ("ana failed push_refused", 2));
        fake.answer("phone-", Answer::new(400, fcm("INVALID_ARGUMENT", "INVALID_ARGUMENT")));
        tell(&acme, "a:3", Warning).await;
        work(&t, &erp).await;
        assert_eq!((stands(&acme, "a:3", "push").await.remove(0).as_str(), count(&t, DEVICES).await), ("ana suppressed devices_gone", 0));
        tell(&acme, "a:4", Warning).await;
        assert_eq!(stands(&acme, "a:4", "push").await, ["ana skipped no_device"]);
        assert_eq!((count(&t, WAITING).await, count(&t, FAILED).await), (0, 1));
    }
);

backend_test!(migrations: lines;
    async fn a_device_is_whose_it_was_added_for_last_and_no_other_tenants(t: TestDb) {
        let acme = shop(&t).await;
        let beta = beta(&t).await;
        for name in ["ana", "bob"] {
            person(&acme, name).await;
        }
        person(&beta, "ana").await;
        let device = app(&acme, "ana", "phone-1").await;
        assert_eq!(app(&acme, "bob", "phone-1").await, device, "somebody else has logged in on it");
        assert_ne!(app(&beta, "ana", "phone-1").await, device);
        let mut tx = beta.begin().await.unwrap();
        let error = devices::remove(&mut tx, &beta, device).await.unwrap_err().to_string();
        assert_eq!(error, format!("device \"{device}\" does not exist"));
        drop(tx);
        let strict = fairlane_workers::erp::outbound::Outbound::new(Default::default());
        let mut tx = acme.begin().await.unwrap();
        let inside = Subscription::Webpush { endpoint: "https://169.254.169.254/x", p256dh: VAPID_PUBLIC, auth: "BTBZMqHH6r4Tts7J_aSIgg" };
        let error = devices::add(&mut tx, &acme, &strict, "ana@example.com", inside, None).await.unwrap_err();
        assert!(error.to_string().contains("no public address"), "{error}");
        let short = Subscription::Webpush { endpoint: "https://push.example.com/x", p256dh: "AAAA", auth: "AAAA" };
        assert!(devices::add(&mut tx, &acme, &strict, "ana@example.com", short, None).await.is_err());
    }
);
