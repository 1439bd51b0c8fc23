//! `fairlane erp report ...`, as people and programs type it.

use fairlane::backend_test;
use fairlane::testing::TestDb;
use serde_json::Value;

use crate::desk::{Desk, line};
use crate::support::processes::Site;
use crate::support::shop::lines;

async fn site(t: TestDb) -> Site {
    let desk = Desk::new(t, "Europe/London").await;
    desk.customer("C-1", "Ana").await;
    desk.sell("C-1", "2026-03-01T12:00:00Z", Some("France"), &[line(None, "2", "5")]).await;
    Site::new(desk.t).await
}

fn run(site: &Site, args: &[&str]) -> String {
    site.run(&[&["erp", "report"], args, &["-t", "acme"]].concat())
}

fn json(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&run(site, &[args, &["-o", "json"]].concat())).unwrap()
}

fn refused(site: &Site, args: &[&str]) -> (Option<i32>, String) {
    let output = site.fairlane(&[&["erp", "report"], args, &["-t", "acme"]].concat()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

backend_test!(migrations: lines;
    async fn a_report_is_asked_for_followed_listed_linked_opened_and_deleted(t: TestDb) {
        let site = site(t).await;
        let worker = site.worker(&["--queue", "low"]);
        let week = ["--from", "2026-02-28", "--to", "2026-03-06"];
        let asked = [&["run", "sales"][..], &week, &["--by", "country", "--format", "csv", "--out", "sales.csv"]].concat();
        let made = json(&site, &asked);
        assert_eq!((&made["status"], &made["zone"], &made["row_count"]), (&"completed".into(), &"Europe/London".into(), &1.into()));
        assert!(made.get("file_key").is_none(), "where it lies is nobody's business");
        let csv = std::fs::read_to_string(site.folder.path().join("sales.csv")).unwrap();
        assert!(csv.starts_with("country,orders,units,gross") && csv.contains("\r\nFrance,1,2,10.00"), "{csv}");
        let (code, error) = refused(&site, &asked);
        assert!(code == Some(6) || error.contains("sales.csv exists"), "{code:?} {error}");
        let (code, error) = refused(&site, &["run", "sales", "--period", "yesterday", "--out", "nowhere/sales.csv"]);
        assert!(code == Some(4) && error.contains("there is no folder nowhere"), "{code:?} {error}");
        let listed = json(&site, &["list"]);
        assert_eq!((listed["data"].as_array().unwrap().len(), &listed["data"][0]["id"]), (1, &made["id"]), "none of them was made");
        let id = made["id"].to_string();
        assert_eq!(json(&site, &["show", &id])["sha256"], made["sha256"]);
        assert!(run(&site, &["show", &id]).contains("kept until"));
        let link = json(&site, &["link", &id])["link"].as_str().unwrap().to_owned();
        run(&site, &["open", &link, "--out", "opened.csv"]);
        assert_eq!(std::fs::read_to_string(site.folder.path().join("opened.csv")).unwrap(), csv);
        let mut parts: Vec<&str> = link.split('.').collect();
        parts[3] = "9999999999";
        let forged = parts.join(".");
        let (code, error) = refused(&site, &["open", &forged]);
        assert!(code != Some(0) && error.contains("not made for this tenant"), "{error}");
        run(&site, &["delete", &id]);
        let (code, error) = refused(&site, &["open", &link]);
        assert!(code == Some(4) || error.contains("has no report"), "{code:?} {error}");
        let (_, error) = refused(&site, &["run", "inventory", "--period", "yesterday", "--by", "day"]);
        assert!(error.contains("leave --by out"), "{error}");
        let (code, error) = refused(&site, &["run", "sales"]);
        assert!(code == Some(2) && error.contains("--from"), "{error}");
        assert!(worker.terminate().0.success());
    }
);

backend_test!(migrations: lines;
    async fn reports_that_are_made_by_themselves_are_schedules_in_the_zone_of_their_days(t: TestDb) {
        let site = site(t).await;
        let listed = json(&site, &["schedule", "add", "weekly-sales", "sales", "--every", "week", "--at", "06:30", "--by", "product"]);
        let one = &listed["data"][0];
        assert_eq!((&one["cron"], &one["timezone"], &one["period"]), (&"30 6 * * 1".into(), &"Europe/London".into(), &"last-week".into()));
        let ran = site.fairlane(&["schedule", "run", "weekly-sales", "-t", "acme"]).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        site.run(&["work", "--queue", "low", "--stop-when-empty"]);
        let made = json(&site, &["list"]);
        assert_eq!((&made["data"][0]["result"], &made["data"][0]["parameters"]["by"]), (&"completed".into(), &"product".into()));
        let (_, error) = refused(&site, &["schedule", "add", "x", "sales", "--every", "day", "--zone", "Mars/Olympus"]);
        assert!(error.contains("IANA"), "{error}");
        let (_, error) = refused(&site, &["schedule", "remove", "scan-overdue-invoices"]);
        assert!(error.contains("does not exist"), "{error}");
        assert_eq!(json(&site, &["schedule", "remove", "weekly-sales"])["data"], serde_json::json!([]));
    }
);
