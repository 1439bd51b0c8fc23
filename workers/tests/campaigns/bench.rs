//! `fairlane bench room`, tiny: it runs, shows what it says it shows, and leaves nothing behind.

use fairlane::backend_test;
use serde_json::Value;

use crate::support::processes::Site;
use crate::support::shop::lines;

backend_test!(migrations: lines;
    async fn the_bench_of_room_measures_beside_more_heavy_jobs_than_slots_and_leaves_nothing_behind(t: TestDb) {
        let site = Site::new(t).await;
        let database = site.t.observer_url();
        let args = ["bench", "room", "--invoices", "3", "--users", "1500", "--slots", "4", "--think", "400"];
        let args = [&args[..], &["-d", &database, "-o", "json"]].concat();
        // The observer is an administrator; the worker of the bench is none.
        let output = site.fairlane(&args).env("FAIRLANE_DATABASE_ALLOW_BYPASS_RLS", "true").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
        for phase in ["alone", "beside"] {
            assert_eq!(measured[phase]["count"], 3);
            assert!(measured[phase]["max_ms"].as_f64().unwrap() > 0.0, "{measured}");
        }
        assert!(measured["heavy_jobs_left"].as_i64().unwrap() > 4, "{measured}");
        assert_eq!(site.count("select count(*) as n from invoices").await, 0);
    }
);
