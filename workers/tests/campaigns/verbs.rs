//! `fairlane notifications campaign` and the verbs around it, as people type them.

use fairlane::backend_test;
use serde_json::Value;

use crate::crowd::{address, configure, crowd};
use crate::support::processes::Site;
use crate::support::shop::lines;
use crate::support::smtp::{Answer, SmtpServer};

fn json(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&site.run(&[args, &["-t", "acme", "-o", "json"]].concat())).unwrap()
}

fn refused(site: &Site, args: &[&str]) -> (i32, String) {
    let output = site.fairlane(args).output().unwrap();
    assert!(!output.status.success(), "fairlane {args:?} succeeded");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const CREATE: [&str; 8] = [
    "notifications",
    "campaign",
    "create",
    "announcement",
    "--title",
    "Closed on Monday",
    "--message",
    "We move.",
];

backend_test!(migrations: lines;
    async fn a_campaign_is_written_tried_out_told_and_followed_from_the_command_line(t: TestDb) {
        let site = Site::new(t).await;
        let server = SmtpServer::start().await;
        configure(&site, &server, 10);
        crowd(&site.t, 25).await;
        server.answer(&address(7), Answer::Recipient("550 5.1.1 no such user"));
        let both = ["--channel", "mail", "--channel", "in_app", "--key", "monday"];
        let written = json(&site, &[&CREATE[..], &both].concat());
        assert_eq!((&written["status"], &written["reaches_all"]), (&"draft".into(), &true.into()));
        let (code, why) = refused(&site, &[&CREATE[..], &both, &["-t", "acme"]].concat());
        assert!(code == 4 && why.contains("campaign 1 is the same"), "{code} {why}");
        let tried = json(&site, &["notifications", "campaign", "test", "1", "--user", &address(3)]);
        let file = tried["file"].as_str().unwrap().trim_start_matches("written to ").to_owned();
        let mail = std::fs::read_to_string(site.folder.path().join(file)).unwrap();
        assert!(mail.contains("Subject: Closed on Monday") && mail.contains("User 3,"), "{mail}");
        assert!(server.received().is_empty());
        let worker = site.worker(&["--concurrency", "4"]);
        let output = site
            .fairlane(&["notifications", "campaign", "send", "1", "--follow", "-t", "acme", "-o", "json"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(5), "one address was refused: {output:?}");
        let followed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&followed["status"], &followed["ended"], &followed["expected"]), (&"done".into(), &50.into(), &50.into()));
        assert_eq!(server.received().len(), 24);
        assert!(worker.terminate().0.success());
        let shown = site.run(&["notifications", "campaign", "show", "1", "-t", "acme"]);
        assert!(shown.contains("mail sent: 24") && shown.contains("mail suppressed (mail_address_refused): 1"), "{shown}");
        let listed = json(&site, &["notifications", "campaign", "list"]);
        assert_eq!(listed["data"][0]["audience"], 25);
        let (code, why) = refused(&site, &["notifications", "campaign", "pause", "1", "-t", "acme"]);
        assert!(code == 4 && why.contains("it is done"), "{code} {why}");
        let (code, why) = refused(&site, &["notifications", "campaign", "show", "99", "-t", "acme"]);
        assert!(code == 3 && why.contains("campaign \"99\" does not exist"), "{code} {why}");
        let told = json(&site, &["notifications", "why", "campaign:1", "--user", &address(7)]);
        assert!(told.to_string().contains("mail_address_refused"), "{told}");
    }
);

backend_test!(migrations: lines;
    async fn quiet_hours_digests_and_rates_are_set_and_cleared(t: TestDb) {
        let site = Site::new(t).await;
        crowd(&site.t, 1).await;
        let user = address(1);
        let set = ["erp", "user", "quiet-hours", "set", &user, "22:00", "07:00", "--timezone", "Europe/Berlin"];
        json(&site, &set);
        const HOURS: &str = "select from_minute * 10000 + until_minute as n from notification_quiet_hours";
        assert_eq!(site.count(HOURS).await, 13_200_420);
        let (_, why) = refused(&site, &["erp", "user", "quiet-hours", "set", &user, "25:00", "07:00", "-t", "acme"]);
        assert!(why.contains("such as 22:00"), "{why}");
        let (_, why) = refused(&site, &["erp", "user", "quiet-hours", "set", &user, "07:00", "07:00", "-t", "acme"]);
        assert!(why.contains("whole day"), "{why}");
        json(&site, &["erp", "user", "quiet-hours", "clear", &user]);
        json(&site, &["erp", "user", "digest", "set", &user, "weekly", "--type", "ReminderNotification"]);
        assert_eq!(site.count("select count(*) as n from notification_digests where every = 'weekly'").await, 1);
        json(&site, &["erp", "user", "digest", "clear", &user, "--type", "ReminderNotification"]);
        json(&site, &["notifications", "campaign", "rate", "600/min"]);
        assert_eq!(site.count("select count * 1000000 + period_ms as n from channel_rates").await, 600_060_000);
        json(&site, &["notifications", "campaign", "rate", "default"]);
        for channel in ["sms", "push", "webhook"] {
            let said = json(&site, &["notifications", "campaign", "rate", "5/min", "--channel", channel]);
            assert_eq!((&said["channel"], &said["rate"]), (&channel.into(), &"5/min".into()));
        }
        assert_eq!(site.count("select count(*) as n from channel_rates where count = 5 and period_ms = 60000").await, 3);
        let (code, why) = refused(&site, &["notifications", "campaign", "rate", "5/min", "--channel", "in_app", "-t", "acme"]);
        assert!(code == 2 && why.contains("possible values: mail, sms, push, webhook"), "{code} {why}");
        for channel in ["sms", "push", "webhook"] {
            json(&site, &["notifications", "campaign", "rate", "default", "--channel", channel]);
        }
        let left = "select (select count(*) from notification_quiet_hours) + (select count(*) from notification_digests)
            + (select count(count) from channel_rates) as n";
        assert_eq!(site.count(left).await, 0);
    }
);

backend_test!(migrations: lines;
    async fn the_bench_tells_a_campaign_and_leaves_nothing_behind(t: TestDb) {
        let site = Site::new(t).await;
        let database = site.t.observer_url();
        let args = ["bench", "campaign", "--users", "200", "--failing", "2", "-d", &database, "-o", "json"];
        let output =
            site.fairlane(&args).env("FAIRLANE_DATABASE_ALLOW_BYPASS_RLS", "true").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&measured["deliveries"], &measured["refused"]), (&400.into(), &4.into()), "{measured}");
        assert!(measured["mails_per_second"].as_f64().unwrap() > 0.0);
        let left = "select (select count(*) from users) + (select count(*) from notification_campaigns)
            + (select count(*) from fairlane_tenants where slug like 'bench-%') as n";
        assert_eq!(site.count(left).await, 0);
    }
);
