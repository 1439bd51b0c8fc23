//! The stock tried by hand: the shipped binary's verbs, on both databases.

use fairlane::backend_test;
use serde_json::Value;

use super::support::processes::Site;
use super::support::shop::lines;

fn json(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&site.run(&[args, &["-t", "acme", "-o", "json"]].concat())).unwrap()
}

fn refused(site: &Site, args: &[&str]) -> (i32, String) {
    let output = site.fairlane(&[args, &["-t", "acme"]].concat()).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

backend_test!(migrations: lines;
    async fn from_an_empty_catalogue_to_a_delivered_order_by_hand(t: TestDb) {
        let site = Site::new(t).await;
        let erp = |args: &[&str]| site.run(&[&["erp"], args, &["-t", "acme"]].concat());
        erp(&["location", "add", "MAIN", "--name", "Warehouse"]);
        // A part of MAIN: what lies there counts for MAIN.
        erp(&["location", "add", "SHOP", "--name", "Shop", "--parent", "MAIN"]);
        erp(&["product", "create", "P-1", "--name", "Paint", "--price", "9.90", "--reorder-level", "7", "--track-batches", "true"]);
        erp(&["customer", "add", "C-1", "--name", "Ana"]);
        let lot = ["--at", "MAIN", "--lot", "L1", "--expires", "2097-01-31"];
        let receipt = [&["stock", "move", "receipt", "P-1", "10"], &lot[..], &["--cost", "4.20", "--reference", "D-1"]].concat();
        assert!(erp(&receipt).contains("is recorded; 10 are there now"));
        assert!(erp(&receipt).contains("was recorded before"));
        erp(&["stock", "transfer", "P-1", "2", "--from", "MAIN", "--to", "SHOP", "--lot", "L1"]);
        assert!(erp(&[&["stock", "count", "P-1", "7"], &lot[..]].concat()).contains("7 are there now"));
        let order = erp(&["order", "create", "--customer", "C-1", "--line", "P-1=3", "--from", "MAIN", "--approve", "-o", "id"]);
        erp(&["order", "fulfil", order.trim()]);
        site.run(&["work", "--stop-when-empty", "--queue", "high,default"]);
        let levels = json(&site, &["erp", "stock", "levels", "--at", "MAIN"]);
        let set = |day: &str| erp(&["stock", "lot", "set", "P-1", "L1", "--expires", day]);
        assert!(set("none").contains("is none; it was 2097-01-31"));
        assert!(set("2097-01-31").contains("is 2097-01-31; it was none"));
        let paint = levels["data"].as_array().unwrap().iter().find(|level| level["lot"] == "L1").unwrap();
        assert_eq!((&paint["on_hand"], &paint["expires_on"]), (&"4".into(), &"2097-01-31".into()));
        let moved = json(&site, &["erp", "stock", "movements", "--product", "P-1"]);
        let kinds: Vec<_> = moved["data"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["sale", "count", "transfer_in", "transfer_out", "receipt"]);
        let alerts = json(&site, &["erp", "stock", "alerts"]);
        assert!(alerts["data"].as_array().unwrap().iter().any(|one| one["kind"] == "low" && one["location"] == "MAIN"));
        let sale = moved["data"][0]["id"].to_string();
        assert!(erp(&["stock", "reverse", &sale, "--reason", "came back"]).contains("7 are there now"));
        assert!(erp(&["stock", "rebuild", "--check"]).contains("are what their movements come to"));
        site.t.execute("update stock_levels set on_hand = '1' where batch_id is not null").await;
        let (code, error) = refused(&site, &["erp", "stock", "rebuild", "--check"]);
        assert!(code == 1 && error.contains("2 stock levels are wrong"), "{code}: {error}");
        erp(&["stock", "rebuild"]);
        assert!(erp(&["stock", "rebuild", "--check"]).contains("are what their movements come to"));
        assert!(erp(&["stock", "terms", "--negative", "forbid"]).contains("forbid"));
        let (code, error) = refused(&site, &["erp", "stock", "move", "sale", "P-1", "9", "--at", "MAIN", "--lot", "L1"]);
        assert!(code == 4 && error.contains("only 7 are there"), "{code}: {error}");
        let (code, _) = refused(&site, &["erp", "stock", "move", "sale", "NONE", "9", "--at", "MAIN"]);
        assert_eq!(code, 3);
        erp(&["product", "update", "P-1", "--price", "11", "--version", "1"]);
        let (code, error) = refused(&site, &["erp", "product", "update", "P-1", "--price", "12", "--version", "1"]);
        assert!(code == 4 && error.contains("version 2"), "{code}: {error}");
        let (code, error) = refused(&site, &["erp", "product", "delete", "P-1"]);
        assert!(code == 4 && error.contains("--active false"), "{code}: {error}");
    }
);

backend_test!(migrations: lines;
    async fn what_a_return_says_to_type_gives_the_money_back(t: TestDb) {
        let site = Site::new(t).await;
        let erp = |args: &[&str]| site.run(&[&["erp"], args, &["-t", "acme"]].concat());
        erp(&["location", "add", "MAIN", "--name", "Warehouse"]);
        erp(&["product", "create", "T-1", "--name", "Tiles", "--price", "10"]);
        erp(&["customer", "add", "C-1", "--name", "Ana", "--email", "ana@example.com"]);
        erp(&["stock", "move", "receipt", "T-1", "10", "--at", "MAIN", "--cost", "4", "--reference", "D-1"]);
        let order = erp(&["order", "create", "--customer", "C-1", "--line", "T-1=3", "--approve", "-o", "id"]);
        erp(&["order", "fulfil", order.trim()]);
        site.run(&["work", "--stop-when-empty"]);
        let unpaid = erp(&["order", "return", order.trim(), "--line", "1=1"]);
        assert!(!unpaid.contains("payment receive"), "nothing was paid: {unpaid}");
        let invoices = json(&site, &["erp", "invoice", "list"]);
        let invoice = invoices["data"][0]["number"].as_str().unwrap();
        erp(&["payment", "receive", invoice, "30", "--reference", "B-1"]);
        let said = erp(&["order", "return", order.trim(), "--line", "1=1"]);
        let refund = said.split_once("fairlane ").unwrap().1.trim();
        let refunded = site.run(&refund.split(' ').collect::<Vec<_>>());
        assert!(refunded.contains("Refund"), "{refunded}");
        let payments = json(&site, &["erp", "payment", "list"]);
        assert!(payments["data"][0]["amount"].as_str().unwrap().starts_with("-10"), "{payments}");
    }
);
