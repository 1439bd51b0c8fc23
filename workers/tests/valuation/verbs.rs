//! `fairlane erp valuation ...`: the shipped binary, for people and for programs.

use fairlane::backend_test;
use serde_json::Value;

use super::support::processes::Site;
use super::warehouse::{Warehouse, lines};

fn json(site: &Site, args: &[&str]) -> Value {
    let all = [args, &["-t", "acme", "-o", "json"]].concat();
    serde_json::from_str(&site.run(&all)).unwrap()
}

backend_test!(migrations: lines;
    async fn verbs_value_list_show_and_tell_ages(t: TestDb) {
        let site = Site::new(t).await;
        let here = Warehouse::new(&site.t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "10", "10", 1).await;
        here.receive(product, "10", "20", 2).await;
        here.sell(product, "15", 3).await;
        let worker = site.worker(&["--queue", "low"]);
        let run = json(&site, &["erp", "valuation", "run", "--product", "L", "--follow"]);
        assert_eq!((&run["status"], &run["new_value"], &run["scope"]), (&"completed".into(), &"100".into(), &"product".into()));
        let id = run["id"].to_string();
        let said = site.run(&["erp", "valuation", "run", "--scope", "location", "--follow", "-t", "acme"]);
        assert!(said.contains("is completed: 1 of 1 products, 3 movements; worth 100"), "{said}");
        let as_of = json(&site, &["erp", "valuation", "run", "--as-of", "2026-10-02", "--method", "average", "--follow"]);
        assert_eq!((&as_of["new_value"], &as_of["method"], &as_of["as_of"]),
            (&"300".into(), &"average".into(), &"2026-10-02".into()));
        assert!(worker.terminate().0.success());
        let list = json(&site, &["erp", "valuation", "list"]);
        assert_eq!(list["data"].as_array().unwrap().len(), 3);
        assert_eq!(list["data"][2]["id"].to_string(), id);
        let shown = json(&site, &["erp", "valuation", "show", &id]);
        assert_eq!((&shown["results"][0]["sku"], &shown["results"][0]["average_cost"]), (&"L".into(), &"20".into()));
        let of = json(&site, &["erp", "valuation", "of", "L"]);
        assert_eq!((&of["quantity"], &of["value"], &of["average_cost"]), (&"5".into(), &"100".into(), &"20".into()));
        assert_eq!((&of["layers"][0]["came"], &of["layers"][0]["quantity"]), (&"10".into(), &"5".into()));
        let said = site.run(&["erp", "valuation", "of", "L", "--scope", "location", "-t", "acme"]);
        assert!(said.contains("pool at MAIN: 5 worth 100") && said.contains("as of movement 3 of 3"), "{said}");
        let ages = json(&site, &["erp", "valuation", "age"]);
        let aged = ages["data"][0]["ages"].as_array().unwrap();
        assert_eq!(aged.iter().map(|age| age["days"].as_str().unwrap()).collect::<Vec<_>>(), ["0-30", "31-60", "61-90", ">90"]);
        let pieces: i64 = aged.iter().map(|age| age["quantity"].as_str().unwrap().parse::<i64>().unwrap()).sum();
        assert_eq!((pieces, &ages["data"][0]["value"]), (5, &"100".into()));
        let output = site.fairlane(&["erp", "valuation", "show", "999", "-t", "acme"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && said.contains("no valuation 999"), "{said}");
        let set = json(&site, &["erp", "profile", "set", "--books-closed-until", "2026-10-31"]);
        assert_eq!(set["books_closed_until"], "2026-10-31");
        assert_eq!(json(&site, &["erp", "profile", "set", "--books-closed-until", "none"])["books_closed_until"], Value::Null);
    }
);

backend_test!(migrations: lines;
    async fn a_run_whose_job_is_gone_is_over(t: TestDb) {
        let site = Site::new(t).await;
        let here = Warehouse::new(&site.t).await;
        let product = here.product("L", "fifo").await;
        here.receive(product, "10", "10", 1).await;
        let queued = json(&site, &["erp", "valuation", "run"]);
        site.run(&["cancel", queued["job_id"].as_str().unwrap(), "-t", "acme", "--yes"]);
        let shown = json(&site, &["erp", "valuation", "show", &queued["run_id"].to_string()]);
        assert_eq!((&shown["run"]["status"], &shown["run"]["error"]), (&"cancelled".into(), &"its job is gone".into()));
    }
);
