//! What an import does when the database refuses something half-way (a checkpoint, a single row), or holds a damaged row.
//! Seed 1-07.

use fairlane::backend_test;
use fairlane::db::Dialect;
use fairlane::testing::TestDb;
use fairlane_workers::erp::jobs::process_bulk_import::log;
use fairlane_workers::erp::jobs::process_bulk_import::options::Mode;
use fairlane_workers::erp::jobs::process_bulk_import::submit::Submission;

use crate::shop::{Shop, lines, plain, summary};

const SIX: &str = "SKU,Name\nA,One\nB,Two\nC,Three\nD,Four\nE,Five\nF,Six\n";

/// Makes the database refuse the first attempt's checkpoint behind its fourth row.
async fn refuse_the_second_checkpoint(t: &TestDb) {
    match t.db.dialect() {
        Dialect::Sqlite => {
            t.execute(
                "create trigger fault before update of checkpoint on fairlane_jobs
                 when new.progress_done = 4 and new.checkpoint is not old.checkpoint and new.attempt = 1
                 begin select raise(abort, 'no room for the checkpoint'); end",
            )
            .await;
        }
        Dialect::Postgres => {
            t.execute(
                "create function fault() returns trigger language plpgsql as
                 $$ begin raise exception 'no room for the checkpoint'; end $$",
            )
            .await;
            t.execute(
                "create trigger fault before update of checkpoint on fairlane_jobs for each row
                 when (new.progress_done = 4 and new.checkpoint is distinct from old.checkpoint and new.attempt = 1)
                 execute function fault()",
            )
            .await;
        }
    }
}

backend_test!(migrations: lines;
    async fn a_chunk_and_its_checkpoint_are_one_commit(t: TestDb) {
        refuse_the_second_checkpoint(&t).await;
        let shop = Shop::new(&t).chunks_of(2);
        let first = shop.import_text(SIX, Mode::Upsert).await;
        while shop.count("select count(*) as n from fairlane_jobs").await > 0 {
            shop.work().await;
        }
        let log = shop.log(first.id).await;
        assert_eq!(shop.count("select count(*) as n from fairlane_attempts").await, 1, "the fault was met");
        // Had the chunk been committed without its checkpoint, the second attempt would have found its rows unchanged.
        assert_eq!(summary(&log), "completed total 6 created 6 updated 0 unchanged 0 skipped 0 failed 0 blank 0");
        assert_eq!(shop.events().await.len(), 6);
    }
);

/// Makes the database refuse a product for a reason that the import cannot know.
async fn refuse_product_c(t: &TestDb) {
    match t.db.dialect() {
        Dialect::Sqlite => {
            t.execute(
                "create trigger refusal before insert on products when new.sku = 'C'
                 begin select raise(abort, 'C is not sold here'); end",
            )
            .await;
        }
        Dialect::Postgres => {
            t.execute(
                "create function refusal() returns trigger language plpgsql as
                 $$ begin raise exception 'C is not sold here'; end $$",
            )
            .await;
            t.execute(
                "create trigger refusal before insert on products for each row when (new.sku = 'C')
                 execute function refusal()",
            )
            .await;
        }
    }
}

backend_test!(migrations: lines;
    async fn a_row_that_the_database_refuses_fails_alone(t: TestDb) {
        refuse_product_c(&t).await;
        let shop = Shop::new(&t).chunks_of(100);
        let log = shop.import_text(SIX, Mode::Upsert).await;
        let expected = "completed_with_errors total 6 created 5 updated 0 unchanged 0 skipped 0 failed 1 blank 0";
        assert_eq!(summary(&log), expected);
        let refusals = shop.refusals(log.id).await;
        assert_eq!(refusals.iter().map(|it| (it.record, it.code.as_str())).collect::<Vec<_>>(), [(3, "database")]);
        assert_eq!(shop.events().await.len(), 5);
    }
);

backend_test!(migrations: lines;
    async fn every_row_is_counted_as_exactly_what_it_became(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(2);
        shop.import_text("SKU,Name\nA,One\nB,Two\n", Mode::Upsert).await;
        let log = shop.import_text("SKU,Name\nA,One\nB,Zwei\n,\nC,Three\nD\n", Mode::Upsert).await;
        let expected = "completed_with_errors total 4 created 1 updated 1 unchanged 1 skipped 0 failed 1 blank 1";
        assert_eq!(summary(&log), expected);
    }
);

backend_test!(migrations: lines;
    async fn a_damaged_stored_product_costs_the_rows_that_mean_it_and_no_others(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(4);
        shop.import_text("sku,barcode,name\nA,401,One\nB,402,Two\n", Mode::Upsert).await;
        t.execute("update products set price = 'NaN' where sku = 'A'").await;
        let again = "sku,barcode,name\nA,401,Uno\nB,402,Due\nC,,Tre\n,401,Uno\n,404,Quattro\n";
        let log = shop.import_text(again, Mode::Upsert).await;
        assert_eq!(
            summary(&log),
            "completed_with_errors total 5 created 2 updated 1 unchanged 0 skipped 0 failed 2 blank 0"
        );
        let refusals = shop.refusals(log.id).await;
        let codes: Vec<_> = refusals.iter().map(|refusal| (refusal.record, refusal.code.as_str())).collect();
        assert_eq!(codes, [(1, "damaged_record"), (4, "damaged_record")]);
        let message = &refusals[0].message;
        assert!(message.contains("`A`") && message.contains("column price"), "{message}");
        assert_eq!(shop.count("select count(*) as n from products where name = 'One'").await, 1, "left as it is");
    }
);

backend_test!(migrations: lines;
    async fn a_damaged_log_is_named_and_hides_no_other_and_its_file_can_be_imported_again(t: TestDb) {
        let shop = Shop::new(&t);
        let path = shop.file("products.csv", "sku,name\nA,Bolt\n");
        let first = shop.import(&plain(&path)).await;
        let second = shop.import(&Submission { again: true, ..plain(&path) }).await;
        t.execute("update import_logs set mapping = '[7]' where id = (select min(id) from import_logs)").await;
        let observer = t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let listing = log::list(&mut tx.conn(), shop.acme.id().await.unwrap(), None, 50).await.unwrap();
        drop(tx);
        assert_eq!(listing.rows.iter().map(|log| log.id).collect::<Vec<_>>(), [second.id]);
        assert_eq!(listing.damaged[0].id, first.id.to_string());
        assert!(listing.damaged[0].why.contains("import_logs.mapping"), "{:?}", listing.damaged);
        assert_eq!(shop.submit(&plain(&path)).await.unwrap_err().code(), "imported_before");
        t.execute("update import_logs set mapping = '[7]'").await;
        shop.submit(&plain(&path)).await.expect("nothing that can be read speaks against it");
    }
);
