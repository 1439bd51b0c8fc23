//! Two tenants with the same codes.

use fairlane::backend_test;
use fairlane_workers::erp::jobs::RecalculateInventoryValuation;
use fairlane_workers::erp::services::valuation::NewRun;
use fairlane_workers::erp::valuation::Scope;

use super::warehouse::{Warehouse, all_figures, dec, lines};

backend_test!(migrations: lines;
    async fn a_valuation_is_about_its_own_tenant(t: TestDb) {
        let acme = Warehouse::new(&t).await;
        let mut tx = t.fairlane.begin().await.unwrap();
        fairlane::store::tenants::add(&mut tx.conn(), "beta", "Beta").await.unwrap();
        tx.commit().await.unwrap();
        let beta = Warehouse::of(&t, "beta").await;
        let (ours, theirs) = (acme.product("L", "fifo").await, beta.product("L", "average").await);
        let secret = beta.product("SECRET", "fifo").await;
        acme.receive(ours, "10", "1", 1).await;
        for product in [theirs, secret] {
            beta.receive(product, "10", "7", 1).await;
        }
        let run = acme.value(&NewRun::default()).await;
        assert_eq!((run.products, run.new_value), (1, dec("10")));
        assert!(all_figures(&t, beta.id).await.is_empty());
        assert_eq!(beta.value(&NewRun::default()).await.new_value, dec("140"));
        assert_eq!(acme.worth(Scope::Product, ours).await, Some((dec("10"), dec("10"))));
        assert_eq!(acme.worth(Scope::Product, secret).await, None);
        // A payload that names the other's product names nothing.
        let before = all_figures(&t, beta.id).await;
        let job = RecalculateInventoryValuation { product: Some("SECRET".into()), ..Default::default() };
        let job = acme.tenant.dispatch(job).await.unwrap();
        acme.work().await;
        let mut tx = t.db.begin().await.unwrap();
        let failed = fairlane::db::query(fairlane::sql!("select code, error from fairlane_failed_jobs where id = $1"))
            .bind(job.id)
            .fetch_one(&mut tx.conn())
            .await
            .unwrap();
        assert_eq!(failed.get::<String>("code").unwrap(), "not_found");
        assert!(failed.get::<String>("error").unwrap().contains("product \"SECRET\" does not exist"));
        drop(tx);
        assert_eq!(all_figures(&t, beta.id).await, before);
    }
);
