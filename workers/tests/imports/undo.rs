//! Undoing imports: what comes back, what goes, what stays.

use fairlane::db::{Dialect, Sql};
use fairlane::testing::TestDb;
use fairlane::{backend_test, sql};
use fairlane_workers::erp::jobs::RecomputeCustomerStatistics;
use fairlane_workers::erp::jobs::process_bulk_import::customers::Customers;
use fairlane_workers::erp::jobs::process_bulk_import::import_type::RecordType;
use fairlane_workers::erp::jobs::process_bulk_import::inventory::Inventory;
use fairlane_workers::erp::jobs::process_bulk_import::log::ImportLog;
use fairlane_workers::erp::jobs::process_bulk_import::options::Mode;
use fairlane_workers::erp::jobs::process_bulk_import::products::Products;
use fairlane_workers::erp::jobs::process_bulk_import::undo::{self, UndoError};
use fairlane_workers::erp::jobs::process_bulk_import::vendors::Vendors;

use crate::shop::{Shop, lines, summary};

/// Everything of the products but what goes on: version and time of change.
const PRODUCTS: Sql = Sql {
    postgres: "select (to_jsonb(p) - 'version' - 'updated_at')::text as t from products p order by id",
    sqlite: "select json_array(id, tenant_id, sku, barcode, external_handle, handle_key, name, category, unit, price,
        standard_cost, reorder_level, reorder_quantity, active, valuation, track_batches, created_at) as t
        from products order by id",
};
const BEFORE: &str = "sku,barcode,name,category,price,reorder_level,active\nA,401,Bolt,Iron,1.50,3,yes\nB,402,Nut,,0.2500,,no\nC,403,Cap,,,,\n";

/// An order line names the product E.
async fn order(t: &TestDb) {
    t.execute("insert into customers (tenant_id, code, name) select id, 'C-1', 'Ada' from fairlane_tenants")
        .await;
    t.execute(
        "insert into sales_orders (tenant_id, number, customer_id, currency, decimals, net, tax, total)
         select tenant_id, 'SO-1', id, 'EUR', 2, '0', '0', '0' from customers",
    )
    .await;
    t.execute(
        "insert into sales_order_lines (tenant_id, order_id, line_no, product_id, description, quantity, unit_price)
         select o.tenant_id, o.id, 1, p.id, 'x', '1', '1' from sales_orders o
         join products p on p.tenant_id = o.tenant_id where p.sku = 'E'",
    )
    .await;
}

backend_test!(migrations: lines;
    async fn undoing_brings_every_column_back_takes_new_ones_away_and_lists_what_stays(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(2);
        shop.import_text(BEFORE, Mode::Upsert).await;
        t.execute("update products set valuation = 'fifo', category = 'Steel' where sku = 'A'").await;
        let before = shop.texts(PRODUCTS).await;
        let changed = "sku,barcode,name,category,price,reorder_level,active\nA,499,Bolt M4,New,9,9,no\nB,402,Nut M4,,1,,yes\nC,404,Lid,,7,,\nA,499,Bolt M5,,10,,\nD,405,Dot,,,,\nE,406,Eye,,,,\nF,407,Fin,,,,\n";
        let log = shop.import_text(changed, Mode::Upsert).await;
        assert_eq!(summary(&log), "completed total 7 created 3 updated 4 unchanged 0 skipped 0 failed 0 blank 0");
        t.execute("update products set price = '5', version = version + 1 where sku = 'B'").await;
        t.execute("update products set name = 'Fine', version = version + 1 where sku = 'F'").await;
        order(&t).await;
        let now = shop.texts(PRODUCTS).await;
        let trial = undo::try_out::<Products>(&shop.acme, &shop.settings, &log).await.unwrap();
        assert_eq!((trial.deleted, trial.restored, trial.conflicts), (1, 2, 3));
        assert_eq!(shop.texts(PRODUCTS).await, now, "a trial stores nothing");
        let log = shop.undo(&log).await;
        let undone = log.undo.as_ref().unwrap();
        assert_eq!((undone.status.as_str(), undone.undone, undone.conflicts), ("completed", 3, 3));
        let mut conflicts = shop.conflicts(log.id).await;
        conflicts.sort();
        assert_eq!(conflicts, ["B changed_since", "E referred_to", "F changed_since"]);
        let after = shop.texts(PRODUCTS).await;
        assert_eq!(after.len(), 5, "D is gone");
        assert_eq!((&after[0], &after[2]), (&before[0], &before[2]), "A and C are as they were");
        assert_eq!(after[1], now[1], "B is left alone");
        let told = sql!("select name || ' ' || cast(payload ->> 'sku' as text) || ' ' || cast(payload ->> 'version' as text) as t
            from fairlane_events where name <> 'catalog.product.created' order by id");
        let told = shop.texts(told).await;
        assert!(told.contains(&"catalog.product.deleted D 1".to_owned()), "{told:?}");
        assert!(told.contains(&"catalog.product.updated A 4".to_owned()), "{told:?}");
        // What was in the way is out of it: the rest is undone now, and then there is nothing left.
        t.execute("delete from sales_order_lines").await;
        t.execute("update products set version = version - 1 where sku in ('B', 'F')").await;
        let log = shop.undo(&log).await;
        assert_eq!(log.undo.as_ref().map(|undo| (undo.undone, undo.conflicts)), Some((6, 0)));
        assert_eq!(shop.texts(PRODUCTS).await, before);
        let error = undo::request(&shop.acme, &shop.settings, &log).await.unwrap_err();
        assert_eq!(error.code(), "undone_already");
    }
);

backend_test!(migrations: lines;
    async fn imports_are_undone_one_after_the_other_back_to_the_first(t: TestDb) {
        let shop = Shop::new(&t);
        let first = shop.import_text("sku,name\nA,One\n", Mode::Upsert).await;
        let second = shop.import_text("sku,name\nA,Two\n", Mode::Upsert).await;
        let third = shop.import_text("sku,name\nA,Three\n", Mode::Upsert).await;
        shop.undo(&third).await;
        assert_eq!(shop.products().await, ["A|Two||4"]);
        shop.undo(&second).await;
        assert_eq!(shop.products().await, ["A|One||5"]);
        let first = shop.undo(&first).await;
        assert_eq!(shop.products().await, [""; 0]);
        assert_eq!(first.undo.map(|undo| undo.conflicts), Some(0));
    }
);

backend_test!(migrations: lines;
    async fn an_import_that_was_undone_too_early_is_undone_when_the_later_one_is(t: TestDb) {
        let shop = Shop::new(&t);
        let first = shop.import_text("sku,name\nA,One\n", Mode::Upsert).await;
        let second = shop.import_text("sku,name\nA,Two\n", Mode::Upsert).await;
        let first = shop.undo(&first).await;
        assert_eq!(shop.conflicts(first.id).await, ["A changed_since"]);
        shop.undo(&second).await;
        assert_eq!(shop.products().await, ["A|One||3"]);
        let first = shop.undo(&first).await;
        assert_eq!(shop.conflicts(first.id).await, [""; 0]);
        assert_eq!(shop.products().await, [""; 0]);
    }
);

backend_test!(migrations: lines;
    async fn keys_that_changed_hands_come_back_in_whatever_order(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(1);
        shop.import_text("sku,barcode,name\nA,1,One\nB,2,Two\nC,3,Three\n", Mode::Upsert).await;
        let before = shop.texts(PRODUCTS).await;
        let log = shop.import_text("sku,barcode,name\nA,9,One\nB,1,Two\nC,2,Three\n", Mode::Upsert).await;
        assert_eq!(log.counts.failed, 0);
        let now = shop.texts(PRODUCTS).await;
        let trial = undo::try_out::<Products>(&shop.acme, &shop.settings, &log).await.unwrap();
        assert_eq!((trial.restored, trial.conflicts), (3, 0), "the trial finds no more than the undoing");
        assert_eq!(shop.texts(PRODUCTS).await, now, "a trial stores nothing");
        let log = shop.undo(&log).await;
        assert_eq!(shop.conflicts(log.id).await, [""; 0]);
        assert_eq!(log.undo.map(|undo| (undo.undone, undo.conflicts)), Some((3, 0)));
        assert_eq!(shop.texts(PRODUCTS).await, before);
    }
);

backend_test!(migrations: lines;
    async fn a_key_that_another_record_has_by_now_is_told_in_words_for_people(t: TestDb) {
        let shop = Shop::new(&t);
        shop.import_text("sku,barcode,name\nA,1,One\n", Mode::Upsert).await;
        let log = shop.import_text("sku,barcode,name\nA,9,One\n", Mode::Upsert).await;
        shop.import_text("sku,barcode,name\nB,1,Two\n", Mode::Upsert).await;
        let trial = undo::try_out::<Products>(&shop.acme, &shop.settings, &log).await.unwrap();
        assert_eq!((trial.restored, trial.conflicts), (0, 1));
        let told = trial.first_conflicts[0].message.as_deref();
        assert_eq!(told, Some("its barcode belongs to another record by now"));
        let log = shop.undo(&log).await;
        assert_eq!(shop.conflicts(log.id).await, ["A refused"]);
    }
);

backend_test!(migrations: lines;
    async fn statistics_of_a_customer_that_is_gone_are_no_failed_job(t: TestDb) {
        let shop = Shop::new(&t);
        let log = shop.text_as::<Customers>("code,name\nC-2,Bob\n", Mode::Upsert).await;
        let gone = shop.count("select max(id) as n from customers").await;
        shop.undo(&log).await;
        assert_eq!(shop.count("select count(*) as n from customers").await, 0);
        let job = RecomputeCustomerStatistics { customer_id: gone };
        shop.acme.dispatch(job).queue("low").await.unwrap();
        shop.work().await;
        assert_eq!(shop.count("select count(*) as n from fairlane_jobs where queue = 'low'").await, 0);
        assert_eq!(shop.count("select count(*) as n from fairlane_failed_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_new_customer_goes_with_its_statistics_unless_it_has_ordered(t: TestDb) {
        let shop = Shop::new(&t);
        let log = shop.text_as::<Customers>("code,name\nC-2,Bob\nC-3,Eve\n", Mode::Upsert).await;
        t.execute("delete from customer_statistics").await;
        t.execute(
            "insert into customer_statistics (tenant_id, customer_id, total_orders, total_spent, outstanding_balance)
             select tenant_id, id, 0, '0', '0' from customers",
        )
        .await;
        t.execute(
            "insert into sales_orders (tenant_id, number, customer_id, currency, decimals, net, tax, total)
             select tenant_id, 'SO-1', id, 'EUR', 2, '0', '0', '0' from customers where code = 'C-3'",
        )
        .await;
        let log = shop.undo(&log).await;
        assert_eq!(shop.conflicts(log.id).await, ["C-3 referred_to"]);
        assert_eq!(shop.count("select count(*) as n from customers").await, 1);
        assert_eq!(shop.count("select count(*) as n from customer_statistics").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn an_inventory_is_undone_by_movements_that_take_it_back_unless_it_was_counted_since(t: TestDb) {
        let shop = Shop::new(&t);
        shop.import_text("sku,name\nA,Bolt\nB,Nut\n", Mode::Upsert).await;
        shop.location("MAIN").await;
        shop.text_as::<Inventory>("sku,quantity\nA,10\n", Mode::Count).await;
        let log = shop.text_as::<Inventory>("sku,quantity\nA,4\nB,3\n", Mode::Count).await;
        shop.text_as::<Inventory>("sku,quantity\nB,2\n", Mode::Count).await;
        let movements = shop.count("select count(*) as n from stock_movements").await;
        let log = shop.undo(&log).await;
        assert_eq!(shop.conflicts(log.id).await, ["B at MAIN counted_since"]);
        assert_eq!(shop.count("select count(*) as n from stock_movements").await, movements + 1);
        let levels = sql!("select cast(cast(on_hand as integer) as text) as t from stock_levels order by id");
        assert_eq!(shop.texts(levels).await, ["10", "2"]);
    }
);

backend_test!(migrations: lines;
    async fn what_cannot_be_undone_is_refused_with_the_reason(t: TestDb) {
        let shop = Shop::new(&t);
        let ask = async |log: &ImportLog| undo::request(&shop.acme, &shop.settings, log).await.map_err(|error: UndoError| error.code());
        let path = shop.file("rows.csv", "sku,name\nA,One\n");
        let submitted = shop.submit(&crate::shop::plain(&path)).await.unwrap();
        let pending = shop.log(submitted.import_id).await;
        assert_eq!(ask(&pending).await, Err("import_not_ended"));
        shop.work().await;
        let done = shop.log(submitted.import_id).await;
        let again = shop.import_text("sku,name\nA,One\n", Mode::Upsert).await;
        assert_eq!(ask(&again).await, Err("nothing_to_undo"));
        t.db.shift_clock(chrono::Duration::days(31));
        assert_eq!(ask(&done).await, Err("pre_images_gone"));
        // The end of the next import forgets what can't be undone any more.
        shop.import_text("sku,name\nB,Two\n", Mode::Upsert).await;
        assert_eq!(shop.count("select count(*) as n from import_changes").await, 1);
        t.db.shift_clock(chrono::Duration::zero());
    }
);

/// Columns of a table that undoing does not bring back: its number, its tenant, and what goes on.
const OTHERS: [&str; 4] = ["id", "tenant_id", "version", "updated_at"];

backend_test!(migrations: lines;
    async fn every_column_is_brought_back_whatever_a_table_may_have(t: TestDb) {
        let shop = Shop::new(&t);
        let columns = |table: &'static str| match table {
            "products" => sql!("select name as t from pragma_table_info('products')"),
            "customers" => sql!("select name as t from pragma_table_info('customers')"),
            _ => sql!("select name as t from pragma_table_info('vendors')"),
        };
        if t.db.dialect() == Dialect::Postgres {
            return;
        }
        for (table, known) in [
            ("products", <Products as RecordType>::CHANGES.columns),
            ("customers", <Customers as RecordType>::CHANGES.columns),
            ("vendors", <Vendors as RecordType>::CHANGES.columns),
        ] {
            let mut all = shop.texts(columns(table)).await;
            all.retain(|column| !OTHERS.contains(&column.as_str()));
            all.sort();
            let mut known = known.to_vec();
            known.sort_unstable();
            assert_eq!(all, known, "{table}");
        }
    }
);
