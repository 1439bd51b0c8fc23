//! `fairlane bench valuation`, tiny: it runs, checks what it measures, and leaves nothing behind.

use fairlane::backend_test;
use serde_json::Value;

use super::support::processes::Site;
use super::warehouse::lines;

backend_test!(migrations: lines;
    async fn the_bench_values_by_a_process_and_leaves_nothing_behind(t: TestDb) {
        let site = Site::new(t).await;
        let database = site.t.observer_url();
        let args = ["bench", "valuation", "--movements", "300", "--products", "3", "-d", &database, "-o", "json"];
        // The observer is an administrator; the worker of the bench is none.
        let output = site.fairlane(&args).env("FAIRLANE_DATABASE_ALLOW_BYPASS_RLS", "true").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&measured["movements"], &measured["products"]), (&300.into(), &3.into()));
        assert!(measured["movements_per_second"].as_f64().unwrap() > 0.0, "{measured}");
        if cfg!(target_os = "linux") {
            assert!(measured["peak_rss_bytes"].as_u64().unwrap() > 1_000_000, "{measured}");
        }
        assert_eq!(site.count("select count(*) as n from stock_movements").await, 0);
    }
);
