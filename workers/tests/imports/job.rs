//! What an import promises: modes, duplicates, checkpoints, bad rows, limits, cancel. Seed 1-06 to 1-09.

use std::fmt::Write;
use std::time::Duration;

use fairlane::db::Dialect;
use fairlane::testing::TestDb;
use fairlane::worker::StopReason;
use fairlane::{backend_test, sql};
use fairlane_workers::erp::jobs::process_bulk_import::counts::Checkpoint;
use fairlane_workers::erp::jobs::process_bulk_import::dry_run;
use fairlane_workers::erp::jobs::process_bulk_import::import_type::Scope;
use fairlane_workers::erp::jobs::process_bulk_import::log;
use fairlane_workers::erp::jobs::process_bulk_import::options::{ImportOptions, MaxFailed, Mode};
use fairlane_workers::erp::jobs::process_bulk_import::products::Products;
use fairlane_workers::erp::jobs::process_bulk_import::run::ImportRun;
use fairlane_workers::erp::jobs::process_bulk_import::submit::{Submission, inspect};
use fairlane_workers::erp::services::users;

use crate::shop::{Shop, lines, plain, summary};

/// Good rows, bad rows, blank lines, repeats near and far, variants without title.
fn messy(rows: usize) -> String {
    let mut text = "SKU;Handle;Option1;Name;Price;Reorder level\n".to_owned();
    for row in 0..rows {
        let _ = match row % 11 {
            3 => writeln!(text, "S{row};;;;1,50;"),
            5 => writeln!(text, ";shirt-{row};S;Shirt {row};20,00;\n;shirt-{row};M;;21,50;"),
            7 => writeln!(text, "S{row};;;Name {row};so so;4"),
            8 => writeln!(text, "S{};;;\"Name\nagain {row}\";9,99;4\n", row / 2),
            9 => writeln!(text, "S{row};;;Too;1,00;2;3"),
            _ => writeln!(text, "S{row};;;Name {row};{},25;{}", row % 90, row % 7),
        };
    }
    text
}

backend_test!(migrations: lines;
    async fn who_hands_a_file_in_is_told_what_came_of_it_and_when_it_failed(t: TestDb) {
        let shop = Shop::new(&t);
        let mut tx = shop.acme.begin().await.unwrap();
        let user = users::ensure(&mut tx, &shop.acme, "Ana", "ana@example.com", &["sales.view"]).await.unwrap();
        tx.commit().await.unwrap();
        let file = shop.file("products.csv", "SKU,Name,Price\nT-1,Tiles,33.50\nT-2,Glue,x\n");
        shop.import(&Submission { user_id: Some(user), ..plain(&file) }).await;
        assert_eq!(
            shop.texts(sql!("select notification_key as t from notification_deliveries where channel = 'in_app'")).await,
            ["import:1"]
        );
        let options = ImportOptions { max_failed: Some(MaxFailed::Rows(1)), ..ImportOptions::default() };
        let file = shop.file("broken.csv", "SKU,Name,Price\nT-3,Grout,x\nT-4,Saw,y\n");
        let log = shop.import(&Submission { user_id: Some(user), options, ..plain(&file) }).await;
        assert_eq!(log.result.as_deref(), Some("failed"));
        let told = sql!(
            "select notification_key as t from notification_deliveries where channel = 'in_app' order by notification_key"
        );
        assert_eq!(shop.texts(told).await, ["import:1", "import:2:failed"]);
    }
);

backend_test!(migrations: lines;
    async fn upsert_creates_then_changes_only_what_differs_and_says_what_changed(t: TestDb) {
        let shop = Shop::new(&t);
        let log = shop.import_text("sku,name,price\nA,Bolt,1.50\nB,Nut,2\n", Mode::Upsert).await;
        assert_eq!(summary(&log), "completed total 2 created 2 updated 0 unchanged 0 skipped 0 failed 0 blank 0");
        let log = shop.import_text("sku,name,price\nA,Bolt,1.50\nB,Nut M4,2.00\nC,Washer,\n", Mode::Upsert).await;
        assert_eq!(summary(&log), "completed total 3 created 1 updated 1 unchanged 1 skipped 0 failed 0 blank 0");
        assert_eq!(shop.products().await, ["A|Bolt|1.5|1", "B|Nut M4|2|2", "C|Washer||1"]);
        let events = shop.events().await;
        assert_eq!(events.len(), 4);
        let updated = events.iter().find(|event| event.starts_with("catalog.product.updated")).unwrap();
        assert!(updated.contains(r#""changes":{"name":{"new":"Nut M4","old":"Nut"}}"#), "{updated}");
    }
);

backend_test!(migrations: lines;
    async fn an_empty_cell_changes_nothing(t: TestDb) {
        let shop = Shop::new(&t);
        shop.import_text("sku,name,price\nA,Bolt,1.50\n", Mode::Upsert).await;
        let log = shop.import_text("sku,name,price\nA,,\n", Mode::Upsert).await;
        assert_eq!(log.counts.unchanged, 1);
        assert_eq!(shop.products().await, ["A|Bolt|1.5|1"]);
    }
);

backend_test!(migrations: lines;
    async fn mode_create_refuses_what_exists_and_mode_update_leaves_out_what_does_not(t: TestDb) {
        let shop = Shop::new(&t);
        let log = shop.import_text("sku,name\nA,Bolt\nA,Bolt again\nB,Nut\n", Mode::Create).await;
        let expected = "completed_with_errors total 3 created 2 updated 0 unchanged 0 skipped 0 failed 1 blank 0";
        assert_eq!(summary(&log), expected);
        let refusal = &shop.refusals(log.id).await[0];
        assert_eq!((refusal.record, refusal.line, refusal.code.as_str()), (2, 3, "duplicate_key"));
        let log = shop.import_text("sku,name\nB,Nut M4\nC,Washer\n", Mode::Update).await;
        assert_eq!(summary(&log), "completed total 2 created 0 updated 1 unchanged 0 skipped 1 failed 0 blank 0");
        assert_eq!(shop.refusals(log.id).await[0].code, "not_found");
        assert_eq!(shop.products().await, ["A|Bolt||1", "B|Nut M4||2"]);
    }
);

backend_test!(migrations: lines;
    async fn of_rows_with_the_same_key_the_last_one_wins_within_a_chunk_and_across_chunks(t: TestDb) {
        let text = "sku,name,price\nA,Bolt,1\nA,Bolt,1\nA,Screw,1\nB,Nut,1\nA,Bolt,3\n";
        for chunk in [1, 2, 500] {
            let shop = Shop::new(&t).chunks_of(chunk);
            shop.clear().await;
            let log = shop.import_text(text, Mode::Upsert).await;
            assert_eq!(summary(&log), "completed total 5 created 2 updated 2 unchanged 1 skipped 0 failed 0 blank 0");
            assert_eq!(shop.products().await, ["A|Bolt|3|3", "B|Nut|1|1"], "chunks of {chunk}");
            let events = shop.events().await;
            assert_eq!(events.len(), 4, "{events:?}");
            assert!(events[0].contains(r#""price":"1""#) && events[0].contains(r#""name":"Bolt""#), "{events:?}");
        }
    }
);

backend_test!(migrations: lines;
    async fn a_product_is_found_by_sku_else_by_barcode_else_by_handle_and_options(t: TestDb) {
        let shop = Shop::new(&t);
        shop.import_text("sku,barcode,handle,option1,name\n,401,,,Bar\n,,shirt,S,Shirt\nX,402,,,Ex\n", Mode::Upsert).await;
        let text = "sku,barcode,handle,option1,name\nNEW,401,,,Bar with code\n,,shirt,S,Shirt 2\nY,402,,,Thief\n,,,,Nobody\n";
        let log = shop.import_text(text, Mode::Upsert).await;
        assert_eq!(log.counts.updated, 2);
        let codes: Vec<String> = shop.refusals(log.id).await.into_iter().map(|refusal| refusal.code).collect();
        assert_eq!(codes, ["duplicate_key", "missing_key"]);
        assert_eq!(shop.products().await, ["NEW|Bar with code||2", "X|Ex||1", "shirt|S|||Shirt 2||2"]);
    }
);

backend_test!(migrations: lines;
    async fn an_import_resumed_at_any_chunk_ends_as_an_undisturbed_one(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(7);
        let path = shop.file("messy.csv", &messy(90));
        let whole = shop.import(&Submission { again: true, ..plain(&path) }).await;
        let (products, events, counts) = (shop.products().await, shop.events().await, whole.counts);
        assert!(counts.failed > 10 && counts.updated > 3 && counts.add_up(), "{counts:?}");
        let submission = plain(&path);
        let plan = inspect::<Products>(&shop.settings, &submission).unwrap().plan(&shop.settings, Mode::Upsert);
        let scope = Scope { tenant_id: shop.acme.id().await.unwrap(), import_id: whole.id, user_id: None };
        let open = |from| ImportRun::<Products>::open(shop.acme.clone(), scope, &path, &plan, from).unwrap();
        for stop in 0..=(counts.total / 7 + 1) {
            shop.clear().await;
            t.execute("delete from import_errors").await;
            let (mut run, mut chunks) = (open(None), 0);
            let mut saved: Option<String> = None;
            while let Some(chunk) = run.read_chunk().unwrap() {
                let mut tx = shop.acme.begin().await.unwrap();
                let written = run.write(&mut tx, &chunk, false).await.unwrap();
                if chunks == stop {
                    // The worker dies with the transaction open: it leaves nothing.
                    tx.rollback().await.unwrap();
                    let checkpoint = saved.take().map(|json| serde_json::from_str::<Checkpoint<_>>(&json).unwrap());
                    run = open(checkpoint);
                } else {
                    tx.commit().await.unwrap();
                    saved = Some(serde_json::to_string(&written.checkpoint).unwrap());
                    run.accept(written);
                }
                chunks += 1;
            }
            assert_eq!(*run.counts(), counts, "stopped in chunk {stop}");
            assert_eq!(shop.products().await, products, "stopped in chunk {stop}");
            assert_eq!(shop.events().await, events, "stopped in chunk {stop}");
        }
    }
);

backend_test!(migrations: lines;
    async fn an_import_whose_worker_stops_is_finished_by_the_next(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(2);
        let path = shop.file("messy.csv", &messy(900));
        let submitted = shop.submit(&plain(&path)).await.unwrap();
        let worker = shop.worker();
        let control = worker.control();
        let stopping = async {
            while shop.log(submitted.import_id).await.counts.total < 20 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            control.stop(StopReason::Interrupted);
        };
        let (reason, ()) = tokio::join!(worker.run_until(std::future::pending()), stopping);
        assert_eq!(reason.unwrap(), StopReason::Interrupted);
        shop.work().await;
        let log = shop.log(submitted.import_id).await;
        assert!(log.counts.add_up() && log.result.as_deref() == Some("completed_with_errors"), "{log:?}");
        let refusals = shop.refusals(log.id).await.len() as u64;
        assert_eq!(refusals, log.counts.failed + log.counts.skipped);
        let events = shop.events().await.len() as u64;
        assert_eq!(events, log.counts.created + log.counts.updated);
    }
);

backend_test!(migrations: lines;
    async fn a_row_the_database_refuses_is_found_and_the_rest_is_stored(t: TestDb) {
        refuse_poison(&t).await;
        let shop = Shop::new(&t);
        let mut text = "sku,name\n".to_owned();
        for row in 0..120 {
            let name = if row == 17 || row == 18 || row == 119 { "poison" } else { "fine" };
            let _ = writeln!(text, "S{row:03},{name}");
        }
        let log = shop.import_text(&text, Mode::Upsert).await;
        let expected = "completed_with_errors total 120 created 117 updated 0 unchanged 0 skipped 0 failed 3 blank 0";
        assert_eq!(summary(&log), expected);
        let refusals = shop.refusals(log.id).await;
        assert_eq!(refusals.iter().map(|refusal| refusal.record).collect::<Vec<_>>(), [18, 19, 120]);
        assert!(refusals.iter().all(|refusal| refusal.code == "database" && refusal.message.contains("no_poison")));
        assert_eq!(shop.events().await.len(), 117);
    }
);

async fn refuse_poison(t: &TestDb) {
    match t.db.dialect() {
        Dialect::Postgres => {
            t.execute("alter table products add constraint no_poison check (name <> 'poison')").await
        }
        Dialect::Sqlite => {
            t.execute(
                "create trigger no_poison before insert on products when new.name = 'poison'
                 begin select raise(abort, 'no_poison'); end",
            )
            .await
        }
    };
}

backend_test!(migrations: lines;
    async fn a_dry_run_counts_as_the_import_does_and_stores_nothing(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(7);
        shop.import_text("sku,name,price\nS1,Old name,1\nS2,Name 2,2.25\n", Mode::Upsert).await;
        let before = (shop.products().await, shop.events().await, shop.count("select count(*) as n from import_logs").await);
        let path = shop.file("messy.csv", &messy(90));
        let submission = plain(&path);
        for mode in [Mode::Upsert, Mode::Create] {
            let plan = inspect::<Products>(&shop.settings, &submission).unwrap().plan(&shop.settings, mode);
            let dry = dry_run::run::<Products>(&shop.acme, &path, &plan, None).await.unwrap();
            assert!(dry.counts.add_up());
            let after = (shop.products().await, shop.events().await, shop.count("select count(*) as n from import_logs").await);
            assert_eq!(after, before);
            assert_eq!(shop.count("select count(*) as n from import_errors").await, 0);
            if mode == Mode::Create {
                let log = shop.import(&Submission { mode, ..submission.clone() }).await;
                assert_eq!(dry.counts, log.counts);
                let refused = shop.refusals(log.id).await;
                let records = |rows: &[_]| rows.iter().map(|row: &fairlane_workers::erp::jobs::process_bulk_import::row_errors::StoredRefusal| row.record).collect::<Vec<_>>();
                assert_eq!(records(&dry.refusals), records(&refused[..dry.refusals.len()]));
            }
        }
    }
);

backend_test!(migrations: lines;
    async fn a_cancelled_import_keeps_what_was_done_and_one_that_waits_never_begins(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(2);
        let path = shop.file("messy.csv", &messy(50));
        let id = shop.acme.id().await.unwrap();
        let cancel = async |import: i64| {
            let mut tx = shop.acme.begin().await.unwrap();
            let asked = log::request_cancel(&mut tx.conn(), id, import).await.unwrap();
            tx.commit().await.unwrap();
            asked
        };
        let waiting = shop.submit(&plain(&path)).await.unwrap();
        assert!(cancel(waiting.import_id).await);
        assert!(!cancel(waiting.import_id).await, "twice is told");
        shop.work().await;
        let log = shop.log(waiting.import_id).await;
        assert_eq!((log.result.as_deref(), log.counts.total), (Some("cancelled"), 0));
        let running = shop.submit(&plain(&path)).await.unwrap();
        t.execute("update import_logs set cancel_requested_at = updated_at where status = 'pending'").await;
        shop.settings.folder.exists().then_some(()).unwrap();
        shop.work().await;
        let log = shop.log(running.import_id).await;
        assert_eq!((log.status.as_str(), log.result.as_deref()), ("failed", Some("cancelled")));
        assert!(log.counts.add_up());
    }
);

backend_test!(migrations: lines;
    async fn limits_end_an_import_with_a_clear_reason(t: TestDb) {
        let mut shop = Shop::new(&t).chunks_of(10);
        let path = shop.file("messy.csv", &messy(60));
        let options = ImportOptions { max_failed: Some(MaxFailed::Rows(3)), ..ImportOptions::default() };
        let log = shop.import(&Submission { options, again: true, ..plain(&path) }).await;
        assert_eq!((log.result.as_deref(), log.failure_code.as_deref()), (Some("failed"), Some("too_many_failures")));
        assert!(log.counts.created > 0 && log.counts.add_up(), "{:?}", log.counts);
        shop.settings.max_rows = 25;
        let log = shop.import(&Submission { again: true, ..plain(&path) }).await;
        assert_eq!((log.counts.total, log.failure_code.as_deref()), (20, Some("too_many_rows")));
        shop.settings.max_bytes = 100;
        assert_eq!(shop.submit(&Submission { again: true, ..plain(&path) }).await.unwrap_err().code(), "too_many_bytes");
    }
);

backend_test!(migrations: lines;
    async fn imports_of_a_tenant_and_type_take_turns(t: TestDb) {
        let shop = Shop::new(&t);
        let path = shop.file("products.csv", "sku,name\nA,Bolt\n");
        let first = shop.submit(&plain(&path)).await.unwrap();
        let second = shop.submit(&Submission { again: true, ..plain(&path) }).await.unwrap();
        // The first one's worker is at it, as far as the log knows; its job is alive.
        t.execute("update import_logs set status = 'processing' where id = (select min(id) from import_logs)").await;
        t.execute("update fairlane_jobs set queue = 'elsewhere' where id = (select job_id from import_logs order by id limit 1)").await;
        shop.work().await;
        assert_eq!(shop.log(second.import_id).await.status, "pending");
        t.execute("delete from fairlane_jobs where queue = 'elsewhere'").await;
        t.db.shift_clock(chrono::Duration::seconds(5));
        shop.work().await;
        assert_eq!(shop.log(second.import_id).await.status, "completed");
        assert_eq!(shop.log(first.import_id).await.failure_code.as_deref(), Some("job_gone"));
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_products_of_a_tenant_that_statistics_do_not_know_are_found_by_their_codes() {
    let Some(t) = TestDb::postgres("imports::job::statistics", lines).await.unwrap() else { return };
    t.execute("insert into fairlane_tenants (slug, name) values ('beta', 'Beta')").await;
    t.execute(
        "insert into products (tenant_id, sku, name) select id, 'B-' || n, 'Bolt' from fairlane_tenants,
             generate_series(1, 3000) n where slug = 'beta'",
    )
    .await;
    t.execute("analyze products").await;
    let shop = Shop::new(&t).chunks_of(500);
    let rows: String = (1..=3000).map(|row| format!("A-{row},Nut,1\n")).collect();
    shop.import_text(&format!("sku,name,price\n{rows}"), Mode::Upsert).await;
    let stored = "select n_tup_ins as n from pg_stat_user_tables where relname = 'products'";
    while shop.count(stored).await < 6000 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let read = "select sum(idx_tup_read)::bigint as n from pg_stat_user_indexes where relname = 'products'";
    let read = shop.count(read).await;
    assert!(read < 60_000, "{read} entries of indexes were read for 3000 products");
}
