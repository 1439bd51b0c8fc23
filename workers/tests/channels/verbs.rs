//! The verbs, as a person types them.

use fairlane::backend_test;
use serde_json::Value;

use crate::KEY;
use crate::support::processes::Site;
use crate::support::shop::{lines, shop};

fn json(site: &Site, line: &str) -> Value {
    let mut args: Vec<&str> = line.split(' ').collect();
    args.extend(["-t", "acme", "-o", "json"]);
    serde_json::from_str(&site.run(&args)).unwrap()
}

fn configure(site: &Site) {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(KEY);
    let settings = format!("[outbound]\nsecret_key = \"{key}\"\n[sms]\ncountry = \"49\"\n");
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
}

backend_test!(migrations: lines;
    async fn phones_devices_and_endpoints_are_set_up_by_hand(t: TestDb) {
        let site = Site::new(t).await;
        shop(&site.t).await;
        site.run(&["erp", "user", "add", "ana@example.com", "--name", "Ana", "-t", "acme"]);
        let refused = site.fairlane(&["erp", "webhook", "add", "https://hooks.example.com/x", "-t", "acme"]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("openssl rand -base64 32"), "{said}");
        configure(&site);
        site.run(&["erp", "user", "phone", "set", "ana@example.com", "0151 12345678", "-t", "acme"]);
        assert_eq!(site.count("select count(*) as n from users where phone = '+4915112345678'").await, 1);
        let device = json(&site, "erp user device add ana@example.com --fcm t0ken --label Phone");
        assert!(!device.to_string().contains("t0ken"), "tokens are nobody's to read: {device}");
        assert_eq!(json(&site, "erp user device list ana@example.com")["data"][0]["platform"], "fcm");
        json(&site, &format!("erp user device remove {}", device["id"]));
        assert_eq!(json(&site, "erp user device list ana@example.com")["data"].as_array().unwrap().len(), 0);
        let added = json(&site, "erp webhook add https://hooks.example.com/x --type AlertNotification");
        assert!(added["secret"].as_str().unwrap().starts_with("whsec_"), "{added}");
        let id = added["id"].to_string();
        let shown = json(&site, &format!("erp webhook show {id}"));
        assert_eq!((&shown["url"], shown.get("secret")), (&"https://hooks.example.com/x".into(), None));
        assert_ne!(json(&site, &format!("erp webhook rotate {id}"))["secret"], added["secret"]);
        json(&site, &format!("erp webhook test {id}"));
        json(&site, &format!("erp webhook disable {id} --reason moved"));
        assert_eq!(json(&site, "erp webhook list")["data"][0]["disabled_reason"], "moved");
        json(&site, &format!("erp webhook enable {id}"));
        assert_eq!(json(&site, &format!("erp webhook replay --failed {id}"))["replayed"], 0);
        let removed = json(&site, &format!("erp webhook remove {id}"));
        assert_eq!((&removed["removed"], &removed["skipped"]), (&true.into(), &1.into()), "its test was on its way");
        assert_eq!(json(&site, "erp webhook list")["data"].as_array().unwrap().len(), 0);
        let gone = site.fairlane(&["erp", "webhook", "remove", &id, "-t", "acme"]).output().unwrap();
        assert_eq!(gone.status.code(), Some(3), "there is none any more");
        json(&site, "erp profile set --sms-from warning");
        std::fs::write(site.folder.path().join("bounce.json"), "{\"address\": \"ana@example.com\", \"kind\": \"hard\"}").unwrap();
        std::fs::write(site.folder.path().join("form"), "MessageSid=SM1&MessageStatus=delivered\n").unwrap();
        assert_eq!(json(&site, "erp callback bounce --file bounce.json")["delivery"], Value::Null);
        assert_eq!(json(&site, "erp callback twilio --file form")["delivery"], Value::Null);
        assert_eq!(json(&site, "erp user suppressions list")["data"][0]["address"], "ana@example.com");
        let forged = site
            .fairlane(&["erp", "callback", "twilio", "--file", "form", "--url", "https://x.example.com", "--signature", "AAAA", "-t", "acme"])
            .output()
            .unwrap();
        assert!(!forged.status.success());
    }
);
