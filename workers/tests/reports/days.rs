//! Days are those of a zone, whatever the clocks do, and what is counted by them adds up.

use fairlane::backend_test;
use fairlane::db::query;
use fairlane::sql;
use fairlane_workers::erp::reports::{Grouping, Period, Relative, ReportRequest, ReportType};
use fairlane_workers::erp::services::orders::{self, Taken};
use fairlane_workers::erp::services::products::{self, ProductChange};
use rust_decimal::Decimal;

use crate::desk::{Desk, column, day, dec, line, sales, time};
use crate::support::processes::seeded;
use crate::support::shop::lines;

backend_test!(migrations: lines;
    async fn orders_around_the_change_of_the_clocks_count_on_the_days_of_the_zone(t: TestDb) {
        let desk = Desk::new(t, "Europe/Berlin").await;
        desk.customer("C-1", "Ana").await;
        // The day of 25 hours, its last second, the next; the day of 23 hours from its first to its last second.
        for (at, amount) in [
            ("2025-10-25T21:59:59Z", "1"), ("2025-10-25T22:00:00Z", "2"), ("2025-10-26T22:59:59.999Z", "4"),
            ("2025-10-26T23:00:00Z", "8"), ("2026-03-28T22:59:59Z", "16"), ("2026-03-28T23:00:00Z", "32"),
            ("2026-03-29T21:59:59Z", "64"), ("2026-03-29T22:00:00Z", "128"),
        ] {
            desk.sell("C-1", at, None, &[line(None, "1", amount)]).await;
        }
        let of = async |date: &str, zone: Option<&str>| {
            let request = ReportRequest { zone: zone.map(Into::into), ..sales(date, date, Grouping::Day) };
            desk.json(&request).await["totals"]["net"].as_str().unwrap().to_owned()
        };
        assert_eq!(of("2025-10-25", None).await, "1.00");
        assert_eq!(of("2025-10-26", None).await, "6.00");
        assert_eq!(of("2025-10-27", None).await, "8.00");
        assert_eq!(of("2026-03-28", None).await, "16.00");
        assert_eq!(of("2026-03-29", None).await, "96.00");
        assert_eq!(of("2026-03-30", None).await, "128.00");
        assert_eq!(of("2025-10-25", Some("UTC")).await, "3.00");
        let year = desk.json(&sales("2025-10-01", "2026-03-31", Grouping::Day)).await;
        assert_eq!(year["totals"]["net"], "255.00");
        assert_eq!(column(&year, "day", "net")["2025-10-26"], "6.00");
        let weeks = desk.json(&sales("2025-10-01", "2026-03-31", Grouping::Week)).await;
        assert_eq!(column(&weeks, "week", "net").into_iter().collect::<Vec<_>>(), [
            ("2025-W43".into(), "7.00".to_owned()), ("2025-W44".into(), "8.00".into()),
            ("2026-W13".into(), "112.00".into()), ("2026-W14".into(), "128.00".into()),
        ]);
    }
);

backend_test!(migrations: lines;
    async fn drafts_cancelled_orders_and_other_currencies_do_not_count(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        desk.sell("C-1", "2026-03-01T12:00:00Z", None, &[line(None, "1", "10")]).await;
        let cancelled = desk.sell("C-1", "2026-03-01T12:00:00Z", None, &[line(None, "1", "20")]).await;
        let mut tx = desk.acme.begin().await.unwrap();
        orders::cancel(&mut tx, &desk.acme, cancelled).await.unwrap();
        let taken = Taken { at: Some(time("2026-03-01T12:00:00Z")), country: None, user: None };
        orders::create_taken(&mut tx, &desk.acme, "C-1", &[line(None, "1", "40")], &taken).await.unwrap();
        tx.commit().await.unwrap();
        desk.sell("C-1", "2026-03-01T12:00:00Z", None, &[line(None, "1", "80")]).await;
        desk.t.execute("update sales_orders set currency = 'USD' where net = '80' or net = '80.00'").await;
        let report = desk.json(&sales("2026-03-01", "2026-03-01", Grouping::Day)).await;
        assert_eq!((report["totals"]["net"].as_str(), &report["totals"]["orders"]), (Some("10.00"), &1.into()));
        assert!(report["notes"].to_string().contains("1 orders in other currencies than EUR are left out"), "{report}");
        let future = time("2100-01-01T00:00:00Z");
        let mut tx = desk.acme.begin().await.unwrap();
        let taken = Taken { at: Some(future), country: None, user: None };
        let error = orders::create_taken(&mut tx, &desk.acme, "C-1", &[line(None, "1", "1")], &taken).await.unwrap_err();
        assert!(error.to_string().contains("in the future"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn however_sales_are_grouped_the_rows_add_up_to_the_same(t: TestDb) {
        let mut rng = seeded("however_sales_are_grouped");
        let desk = Desk::new(t, "Pacific/Auckland").await;
        for code in ["C-1", "C-2", "C-3"] {
            desk.customer(code, code).await;
        }
        let mut tx = desk.acme.begin().await.unwrap();
        for (sku, category) in [("P-1", Some("Tiles")), ("P-2", Some("Glue")), ("P-3", None)] {
            let change = ProductChange {
                name: Some(sku.into()), category: Some(category.map(Into::into)), ..ProductChange::default()
            };
            products::create(&mut tx, &desk.acme, sku, &change, None).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut random = |returned: bool| {
            let at = time("2025-09-20T00:00:00Z") + chrono::Duration::seconds(rng.i64(0..20 * 86_400));
            let lines: Vec<_> = (0..rng.usize(1..4)).map(|_| {
                let sku = [Some("P-1"), Some("P-2"), Some("P-3"), None][rng.usize(0..4)];
                let mut line = line(sku, "1", "1");
                line.quantity = Decimal::new(rng.i64(1..100_000), 3);
                line.unit_price = Decimal::new(rng.i64(1..1_000_000), 4);
                line.discount = if returned { Decimal::ZERO } else { Decimal::new(rng.i64(0..9), 4).min((line.quantity * line.unit_price).trunc()) };
                line.tax_rate = Decimal::new(rng.i64(0..2500), 2);
                line
            }).collect();
            let customer = ["C-1", "C-2", "C-3"][rng.usize(0..3)];
            (customer, at.to_rfc3339(), lines)
        };
        for at in 0..30 {
            let (customer, when, lines) = random(at % 5 == 0);
            match at % 5 {
                0 => desk.give_back(customer, &when, lines).await,
                _ => { desk.sell(customer, &when, [None, Some("NZ"), Some("AU")][at % 3], &lines).await; }
            }
        }
        let all = ReportType::Sales.groupings();
        let mut seen: Vec<(Grouping, Vec<Decimal>)> = Vec::new();
        for by in all {
            let report = desk.json(&sales("2025-09-15", "2025-10-15", *by)).await;
            let mut sums = Vec::new();
            for name in ["units", "gross", "discounts", "returns", "net", "tax", "total"] {
                let number = |row: &serde_json::Value| dec(row[name].as_str().unwrap());
                let rows: Decimal = report["rows"].as_array().unwrap().iter().map(number).sum();
                assert_eq!(number(&report["totals"]), rows, "{by:?} {name}");
                sums.push(rows.normalize());
            }
            assert_eq!(sums[4], (sums[1] + sums[2] + sums[3]).normalize(), "net = gross + discounts + returns");
            seen.push((*by, sums));
        }
        for (by, sums) in &seen {
            assert_eq!(sums, &seen[0].1, "{by:?}");
        }
        // A day after the other comes to the same as all days.
        let mut days = Decimal::ZERO;
        let mut date = day("2025-09-15");
        while date <= day("2025-10-15") {
            let report = desk.json(&sales(&date.to_string(), &date.to_string(), Grouping::Line)).await;
            days += dec(report["totals"]["net"].as_str().unwrap());
            date = date.succ_opt().unwrap();
        }
        assert_eq!(days.normalize(), seen[0].1[4]);
    }
);

backend_test!(migrations: lines;
    async fn a_snapshot_reads_one_state_whatever_is_committed_meanwhile(t: TestDb) {
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        let id = desk.acme.id().await.unwrap();
        let mut snapshot = desk.t.db.snapshot_for(id).await.unwrap();
        let count = sql!("select count(*) as n from customers where tenant_id = $1");
        let before: i64 = query(count).bind(id).fetch_one(&mut snapshot.conn()).await.unwrap().get("n").unwrap();
        desk.customer("C-2", "Bo").await;
        let after: i64 = query(count).bind(id).fetch_one(&mut snapshot.conn()).await.unwrap().get("n").unwrap();
        assert_eq!((before, after), (1, 1));
        let write = query(sql!("delete from customers where tenant_id = $1")).bind(id).execute(&mut snapshot.conn()).await;
        assert!(write.is_err(), "a snapshot is for reading");
        drop(snapshot);
        let mut snapshot = desk.t.db.snapshot_for(id).await.unwrap();
        let now: i64 = query(count).bind(id).fetch_one(&mut snapshot.conn()).await.unwrap().get("n").unwrap();
        assert_eq!(now, 2);
    }
);

#[test]
fn what_a_request_says_is_what_is_stored_of_it() {
    let request = ReportRequest {
        period: Period::Relative(Relative::LastWeek),
        ..ReportRequest::new(ReportType::Financial, day("2026-01-01"), day("2026-01-31"))
    };
    let json = serde_json::to_value(&request).unwrap();
    assert_eq!(json, serde_json::json!({ "report": "financial", "period": "last-week", "format": "html" }));
    assert_eq!(serde_json::from_value::<ReportRequest>(json).unwrap(), request);
    let days = ReportRequest::new(ReportType::Sales, day("2026-01-01"), day("2026-01-31"));
    let back: ReportRequest = serde_json::from_value(serde_json::to_value(&days).unwrap()).unwrap();
    assert_eq!(back, days);
    let wrong = ReportRequest { by: Some(Grouping::Product), ..request };
    let error = wrong.resolve(chrono_tz::UTC, |_| day("2026-01-01")).unwrap_err().to_string();
    assert!(error.contains("it can be by month, week, day"), "{error}");
    let zone = ReportRequest { zone: Some("Mars/Olympus".into()), ..days };
    assert!(zone.resolve(chrono_tz::UTC, |_| day("2026-01-01")).unwrap_err().to_string().contains("IANA"));
}
