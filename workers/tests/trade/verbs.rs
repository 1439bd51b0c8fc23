//! The verbs tried by hand: the shipped binary, on both databases.

use fairlane::backend_test;
use serde_json::Value;

use crate::shop::catalogue;
use crate::support::processes::Site;
use crate::support::shop::lines;

fn json(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&site.run(&[args, &["-t", "acme", "-o", "json"]].concat())).unwrap()
}

fn refused(site: &Site, args: &[&str]) -> (i32, String) {
    let output = site.fairlane(&[args, &["-t", "acme"]].concat()).output().unwrap();
    assert!(!output.status.success(), "fairlane {args:?} succeeded");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

backend_test!(migrations: lines;
    async fn an_order_is_paid_and_the_customers_figures_follow(t: TestDb) {
        let site = Site::new(t).await;
        json(&site, &["erp", "customer", "add", "C-1", "--name", "Ana", "--email", "ana@example.com"]);
        let create = ["erp", "order", "create", "--customer", "C-1", "--line", "Tiles=3@33.335", "--tax", "19", "--approve"];
        json(&site, &create);
        site.run(&["work", "--stop-when-empty"]);
        let invoice = json(&site, &["erp", "invoice", "list"])["data"][0]["number"].as_str().unwrap().to_owned();
        let pay = |amount: &str, reference: &str| json(&site, &["erp", "payment", "receive", &invoice, amount, "--reference", reference]);
        let first = pay("100", "B-1");
        assert_eq!((&first["before"], &first["outstanding"], &first["status"]), (&false.into(), &"19.01".into(), &"open".into()));
        assert_eq!(pay("100", "B-1")["before"], true);
        assert_eq!(pay("-10.01", "R-1")["outstanding"], "29.02");
        let (code, why) = refused(&site, &["erp", "payment", "receive", &invoice, "29.03", "--reference", "B-2"]);
        assert!(code == 4 && why.contains("only 29.02 EUR is open"), "{code} {why}");
        let listed = json(&site, &["erp", "payment", "list", "--invoice", &invoice]);
        assert_eq!(listed["data"].as_array().unwrap().len(), 2);
        site.run(&["work", "--stop-when-empty"]);
        let stats = json(&site, &["erp", "customer", "stats", "C-1"]);
        assert_eq!((&stats["total_orders"], &stats["total_spent"], &stats["outstanding_balance"]), (&1.into(), &"89.99".into(), &"29.02".into()));
        let shown = json(&site, &["erp", "customer", "show", "C-1"]);
        assert_eq!((&shown["code"], &shown["stats"]), (&"C-1".into(), &stats));
        assert_eq!(json(&site, &["erp", "customer", "update", "C-1", "--terms", "7", "--if-version", "1"])["version"], 2);
        let (code, why) = refused(&site, &["erp", "customer", "update", "C-1", "--active", "false", "--if-version", "1"]);
        assert!(code == 4 && why.contains("it has version 2, not 1"), "{code} {why}");
    }
);

backend_test!(migrations: lines;
    async fn a_purchase_is_made_from_the_vendor_to_the_goods(t: TestDb) {
        catalogue(&t).await;
        let site = Site::new(t).await;
        json(&site, &["erp", "vendor", "add", "V-1", "--name", "Vera", "--lead-time", "10"]);
        let order = json(&site, &["erp", "po", "create", "--vendor", "V-1", "--line", "T-1=40@2.35", "--line", "G-1=3@1.1", "--submit"]);
        let number = order["number"].as_str().unwrap();
        assert_eq!((&order["status"], &order["total"]), (&"pending".into(), &"97.30".into()));
        let (code, why) = refused(&site, &["erp", "goods", "receive", number, "--all"]);
        assert!(code == 4 && why.contains("approve it: fairlane erp po approve"), "{code} {why}");
        assert_eq!(json(&site, &["erp", "po", "approve", number])["status"], "approved");
        let (code, why) = refused(&site, &["erp", "goods", "receive", number, "--line", "T-1=41"]);
        assert!(code == 4 && why.contains("40 are open"), "{code} {why}");
        let taken = json(&site, &["erp", "goods", "receive", number, "--line", "T-1=40", "--line", "G-1=3@L-7@2030-01-31"]);
        assert_eq!(taken["status"], "received");
        let shown = json(&site, &["erp", "po", "show", number]);
        assert_eq!((&shown["lines"][1]["received"], &shown["receipts"][0]["number"]), (&"3".into(), &taken["number"]));
        site.run(&["work", "--stop-when-empty"]);
        let in_stock = "select count(*) as n from stock_movements where source_type = 'goods_receipt' and kind = 'receipt'";
        assert_eq!(site.count(in_stock).await, 2);
        assert!(!json(&site, &["erp", "po", "show", number])["receipts"][0]["posted_at"].is_null());
        assert_eq!(json(&site, &["erp", "po", "list", "--status", "received"])["data"][0]["number"], number);
        assert_eq!(json(&site, &["erp", "vendor", "list"])["data"][0]["code"], "V-1");
        let (code, why) = refused(&site, &["erp", "po", "create", "--vendor", "V-1", "--line", "T-1"]);
        assert!(code == 2 && why.contains("SKU=QUANTITY@COST"), "{code} {why}");
    }
);

backend_test!(migrations: lines;
    async fn leads_are_converted_scanners_switched_and_events_listed_with_who_listens(t: TestDb) {
        let site = Site::new(t).await;
        let lead = json(&site, &["erp", "lead", "create", "Nora", "--email", "nora@example.com"])["id"].to_string();
        json(&site, &["erp", "lead", "convert", &lead]);
        site.run(&["work", "--stop-when-empty"]);
        let customers = json(&site, &["erp", "customer", "list"]);
        assert_eq!(customers["data"][0]["name"], "Nora");
        assert_eq!(json(&site, &["erp", "lead", "list", "--status", "converted"])["data"][0]["customer_id"], customers["data"][0]["id"]);
        let (code, why) = refused(&site, &["erp", "lead", "convert", &lead]);
        assert!(code == 4 && why.contains("it is converted already"), "{code} {why}");
        json(&site, &["erp", "profile", "set", "--timezone", "Europe/Berlin"]);
        let scanners = json(&site, &["erp", "scanners", "off", "scan-expiring-stock"]);
        assert_eq!((&scanners["data"][0]["state"], &scanners["data"][1]["state"]), (&"on".into(), &"off".into()));
        assert_eq!(scanners["data"][0]["timezone"], "Europe/Berlin");
        json(&site, &["erp", "scanners", "run", "scan-overdue-invoices"]);
        site.run(&["work", "--stop-when-empty"]);
        let ran = "select count(*) as n from fairlane_job_history where kind = 'erp.scan_overdue_invoices'";
        assert_eq!(site.count(ran).await, 1);
        let events: Value = serde_json::from_str(&site.run(&["erp", "events", "-o", "json"])).unwrap();
        let events = events["data"].as_array().unwrap();
        assert_eq!(events.len(), 16);
        let converted = events.iter().find(|event| event["alias"] == "LeadConverted").unwrap();
        assert_eq!(converted["listeners"], serde_json::json!(["erp.create_customer_from_lead"]));
    }
);

backend_test!(migrations: lines;
    async fn who_does_what_is_shown_and_taken_away_and_orders_show_their_lines(t: TestDb) {
        catalogue(&t).await;
        let site = Site::new(t).await;
        json(&site, &["erp", "customer", "add", "C-1", "--name", "Ana"]);
        let add = ["erp", "user", "add", "bo@example.com", "--name", "Bo", "--permission"];
        json(&site, &[&add[..], &["sales.view"]].concat());
        let user = json(&site, &[&add[..], &["inventory.alerts", "--at", "MAIN"]].concat());
        assert_eq!(user["may"], serde_json::json!([{ "permission": "inventory.alerts", "at": "MAIN" }, { "permission": "sales.view", "at": null }]));
        let (code, why) = refused(&site, &["erp", "user", "revoke", "bo@example.com", "--permission", "inventory.alerts"]);
        assert!(code == 4 && why.contains("does not have it there"), "{code} {why}");
        json(&site, &["erp", "user", "revoke", "bo@example.com", "--permission", "inventory.alerts", "--at", "MAIN"]);
        json(&site, &["erp", "user", "deactivate", "bo@example.com"]);
        let said = site.run(&["erp", "user", "show", "bo@example.com", "-t", "acme"]);
        assert!(said.contains("may do: sales.view.") && said.contains("is inactive"), "{said}");
        json(&site, &["erp", "user", "activate", "bo@example.com"]);

        let create = ["erp", "order", "create", "--customer", "C-1", "--line", "T-1=2", "--line", "T-l=1@5", "--from", "MAIN", "--user", "bo@example.com", "-t", "acme"];
        let output = site.fairlane(&create).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("T-l: no product of the catalogue, billed as text"), "{said}");
        let number = json(&site, &["erp", "order", "list"])["data"][0]["number"].as_str().unwrap().to_owned();
        let shown = json(&site, &["erp", "order", "show", &number]);
        assert_eq!((&shown["status"], &shown["lines"][0]["from"], &shown["lines"][1]["sku"]), (&"draft".into(), &"MAIN".into(), &Value::Null));
        let text = site.run(&["erp", "order", "show", &number, "-t", "acme"]);
        assert!(text.contains("T-1 Blue tiles  2 at 33.5 EUR, from MAIN"), "{text}");
        json(&site, &["erp", "order", "cancel", &number, "--user", "bo@example.com"]);
        assert_eq!(site.count("select count(*) as n from fairlane_audit where action = 'order.cancel'").await, 1);

        std::fs::write(site.folder.path().join("new.csv"), "sku,name\nN-1,Nails\n").unwrap();
        json(&site, &["import", "new.csv", "--as", "products", "--user", "bo@example.com"]);
        assert_eq!(site.count("select count(*) as n from import_logs l join users u on u.id = l.user_id where u.name = 'Bo'").await, 1);
        let listed = site.run(&["imports", "list", "-t", "acme"]);
        assert!(listed.contains(" ago") || listed.contains("now"), "{listed}");

        assert_eq!(json(&site, &["erp", "profile", "set", "--currency", "JPY"])["decimals"], 0);
        assert_eq!(json(&site, &["erp", "profile", "set", "--currency", "JPY", "--decimals", "2"])["decimals"], 2);
        let (code, why) = refused(&site, &["erp", "template", "set", "notification", "--text", "nofile"]);
        assert!(code == 2 && why.contains("nofile"), "{code} {why}");
        let output = site.fairlane(&["erp", "product", "list", "--after", "ZZZZ", "-t", "acme"]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("No products behind ZZZZ"));
    }
);
