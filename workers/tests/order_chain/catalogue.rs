//! Products: created, changed with what changed, deleted while nothing refers to them. Seed 1-02.

use fairlane::backend_test;
use fairlane::{Error, Result};
use fairlane_workers::erp::events::{Change, ProductCreated, ProductDeleted, ProductUpdated};
use fairlane_workers::erp::services::locations;
use fairlane_workers::erp::services::products::{self, CatalogueProduct, ProductChange};
use fairlane_workers::erp::services::purchase_orders::{self, NewOrder, NewPurchaseLine};
use fairlane_workers::erp::services::stock::{self, NamedLot};
use fairlane_workers::erp::services::vendors::{self, NewVendor};
use fairlane_workers::erp::store::orders;

use super::support::shop::{approve, count, lines};
use super::warehouse::{Warehouse, at, dec, warehouse};
use super::work::stored;

fn named(name: &str) -> ProductChange {
    ProductChange { name: Some(name.into()), ..ProductChange::default() }
}

async fn create(here: &Warehouse, sku: &str, change: &ProductChange) -> Result<CatalogueProduct> {
    let mut tx = here.tenant.begin().await?;
    let product = products::create(&mut tx, &here.tenant, sku, change, None).await?;
    tx.commit().await?;
    Ok(product)
}

async fn update(
    here: &Warehouse,
    sku: &str,
    version: Option<i64>,
    change: &ProductChange,
) -> Result<CatalogueProduct> {
    let mut tx = here.tenant.begin().await?;
    let product = products::update(&mut tx, &here.tenant, sku, version, change, None).await?;
    tx.commit().await?;
    Ok(product)
}

async fn delete(here: &Warehouse, sku: &str) -> Result<CatalogueProduct> {
    let mut tx = here.tenant.begin().await?;
    let product = products::delete(&mut tx, &here.tenant, sku, None, None).await?;
    tx.commit().await?;
    Ok(product)
}

backend_test!(migrations: lines;
    async fn a_change_of_a_product_tells_what_it_was_and_what_it_is(t: TestDb) {
        let here = warehouse(&t).await;
        let price = |text: &str| Some(Some(dec(text)));
        let first = create(&here, "T-1", &ProductChange { price: price("10.50"), ..named("Tiles") }).await.unwrap();
        assert_eq!((first.version, first.details.price), (1, Some(dec("10.5"))));
        let created: Vec<ProductCreated> = stored(&t).await;
        assert_eq!((created[0].sku.as_str(), &created[0].fields["price"]), ("T-1", &"10.5".into()));
        let change = ProductChange { price: price("12"), active: Some(true), ..named("Blue tiles") };
        let second = update(&here, "T-1", Some(1), &change).await.unwrap();
        assert_eq!(second.version, 2);
        let told: Vec<ProductUpdated> = stored(&t).await;
        let changes: Vec<_> = told[0].changes.iter().map(|(field, change)| (field.as_str(), change.clone())).collect();
        let name = Change { old: "Tiles".into(), new: "Blue tiles".into() };
        assert_eq!(changes, [("name", name), ("price", Change { old: "10.5".into(), new: "12".into() })]);
        // Nothing changes, nothing is told; whoever has not seen the last change changes nothing.
        assert_eq!(update(&here, "T-1", None, &change).await.unwrap().version, 2);
        let error = update(&here, "T-1", Some(1), &named("Red tiles")).await.unwrap_err().to_string();
        assert!(error.contains("it has version 2 by now, not 1"), "{error}");
        assert_eq!(stored::<ProductUpdated>(&t).await.len(), 1);
    }
);

backend_test!(migrations: lines;
    async fn codes_and_barcodes_are_taken_once_and_foreign_products_are_missing(t: TestDb) {
        let here = warehouse(&t).await;
        let barcode = |text: &str| ProductChange { barcode: Some(Some(text.into())), ..named("Tiles") };
        create(&here, "T-1", &barcode("401")).await.unwrap();
        create(&here, "T-2", &barcode("402")).await.unwrap();
        assert!(create(&here, "T-1", &named("X")).await.unwrap_err().to_string().contains("is taken"));
        assert!(create(&here, "T-3", &barcode("401")).await.unwrap_err().to_string().contains("is taken"));
        let error = update(&here, "T-2", None, &barcode("401")).await.unwrap_err().to_string();
        assert!(error.contains("barcode 401 is another product's"), "{error}");
        let mut tx = t.fairlane.begin().await.unwrap();
        fairlane::store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = at(t.fairlane.tenant("beta")).await;
        assert!(matches!(update(&beta, "T-1", None, &named("Eve")).await.unwrap_err(), Error::NotFound { .. }));
        assert!(matches!(delete(&beta, "T-1").await.unwrap_err(), Error::NotFound { .. }));
        assert!(create(&beta, "T-1", &barcode("401")).await.is_ok());
    }
);

backend_test!(migrations: lines;
    async fn a_product_is_deleted_only_while_nothing_refers_to_it(t: TestDb) {
        let here = warehouse(&t).await;
        for sku in ["FREE", "SOLD", "MOVED"] {
            let change = ProductChange { price: Some(Some(dec("1"))), ..named(sku) };
            create(&here, sku, &change).await.unwrap();
        }
        here.order(&[("SOLD", "1")]).await;
        let moved = count(&t, "select id as n from products where sku = 'MOVED'").await;
        here.receive(moved, "1").await;
        let free = count(&t, "select id as n from products where sku = 'FREE'").await;
        let mut tx = here.tenant.begin().await.unwrap();
        let lot = NamedLot { product_id: free, lot: "L".into(), expires_on: None };
        stock::batches(&mut tx, &here.tenant, &[lot]).await.unwrap();
        tx.commit().await.unwrap();
        // Valued at nothing: that nobody minds.
        t.execute(
            "insert into stock_valuations (tenant_id, scope, method, product_id, quantity, value, as_of_seq)
             select tenant_id, 'product', 'fifo', id, '0', '0', 0 from products where sku = 'FREE'",
        ).await;
        for (sku, why) in [("SOLD", "orders refer to it"), ("MOVED", "stock movements refer to it")] {
            let error = delete(&here, sku).await.unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("deactivate it"), "{error}");
        }
        delete(&here, "FREE").await.unwrap();
        assert!(matches!(delete(&here, "FREE").await.unwrap_err(), Error::NotFound { .. }));
        let told: Vec<ProductDeleted> = stored(&t).await;
        assert_eq!((told.len(), told[0].sku.as_str()), (1, "FREE"));
        assert_eq!(count(&t, "select count(*) as n from products").await, 2);
    }
);

backend_test!(migrations: lines;
    async fn locations_have_codes_of_their_own_and_closed_ones_take_nothing_in(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        here.receive(tiles, "5").await;
        let mut tx = here.tenant.begin().await.unwrap();
        let shelf = locations::create(&mut tx, &here.tenant, "A-1", "Shelf", "internal", Some("MAIN")).await.unwrap();
        assert_eq!(shelf.parent_id, Some(here.main));
        let taken = locations::create(&mut tx, &here.tenant, "A-1", "Shelf", "internal", None).await.unwrap_err();
        assert!(taken.to_string().contains("is taken"), "{taken}");
        let odd = locations::create(&mut tx, &here.tenant, "A-2", "Shelf", "heaven", None).await.unwrap_err();
        assert!(odd.to_string().contains("internal, transit"), "{odd}");
        locations::set_active(&mut tx, &here.tenant, "MAIN", false).await.unwrap();
        tx.commit().await.unwrap();
        let receipt = here.moving(stock::MovementKind::Receipt, tiles, "1");
        let error = here.record(receipt).await.unwrap_err().to_string();
        assert!(error.contains("the location is not active"), "{error}");
        assert!(here.record(here.moving(stock::MovementKind::Sale, tiles, "5")).await.is_ok());
    }
);

backend_test!(migrations: lines;
    async fn a_product_without_a_sku_is_sold_and_bought_by_the_code_that_lists_show(t: TestDb) {
        let here = warehouse(&t).await;
        let code = "zipped-jacket|Default Title||";
        let jacket = here.product("GONE", &[("handle_key", "'zipped-jacket|Default Title||'")]).await;
        t.execute("update products set sku = null where sku = 'GONE'").await;
        let order = here.order(&[(code, "2")]).await;
        approve(&here.tenant, order.id).await.unwrap();
        let mut tx = here.tenant.begin().await.unwrap();
        let lines = orders::lines(&mut tx.conn(), here.id, order.id).await.unwrap();
        assert_eq!((lines[0].product_id, lines[0].sku.as_deref()), (Some(jacket), Some(code)));
        vendors::create(&mut tx, &here.tenant, NewVendor { code: "V-1".into(), name: "Vera".into(), ..NewVendor::default() })
            .await
            .unwrap();
        let line = NewPurchaseLine { sku: code.into(), quantity: dec("4"), unit_cost: dec("2") };
        let new = NewOrder { vendor: "V-1".into(), lines: vec![line], ..NewOrder::default() };
        let bought = purchase_orders::create(&mut tx, &here.tenant, new).await.unwrap();
        assert_eq!(bought.total, dec("8"));
        tx.commit().await.unwrap();
        assert_eq!(here.level(jacket, here.main).await, (dec("0"), dec("2")));
    }
);
