//! Closed books: what the stock was worth until then stays, unless somebody may change it and wants to.

use fairlane::backend_test;
use fairlane_workers::erp::services::valuation::{NewRun, RESTATE, request};
use fairlane_workers::erp::services::{profiles, users};
use fairlane_workers::erp::valuation::{Method, Scope};

use super::support::shop::count;
use super::warehouse::{Warehouse, all_figures, assert_as_replayed, dec, lines};

async fn close(here: &Warehouse<'_>, until: Option<&str>) {
    let mut tx = here.tenant.begin().await.unwrap();
    profiles::close_books(&mut tx, &here.tenant, until.map(|day| day.parse().unwrap())).await.unwrap();
    tx.commit().await.unwrap();
}

async fn user(here: &Warehouse<'_>, email: &str, permissions: &[&str]) -> i64 {
    let mut tx = here.tenant.begin().await.unwrap();
    let user = users::ensure(&mut tx, &here.tenant, "Ana", email, permissions).await.unwrap();
    tx.commit().await.unwrap();
    user
}

backend_test!(migrations: lines;
    async fn values_of_closed_books_stay_unless_somebody_may_change_them(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let (closed, free) = (here.product("C", "fifo").await, here.product("F", "fifo").await);
        for product in [closed, free] {
            here.receive(product, "10", "10", 5).await;
            here.sell(product, "4", 10).await;
        }
        here.value(&NewRun::default()).await;
        close(&here, Some("2026-10-15")).await;
        let (may, may_not) = (user(&here, "ana@example.com", &[RESTATE]).await, user(&here, "bo@example.com", &[]).await);
        let before = all_figures(&t, here.id).await;
        // A cheaper receipt that was forgotten: the sale of closed books would cost less.
        here.receive(closed, "5", "1", 3).await;
        here.receive(free, "5", "1", 20).await;
        let run = here.value(&NewRun::default()).await;
        assert_eq!((run.status.as_str(), run.done, run.refused), ("completed", 2, 1));
        let refused = here.results(run.id).await.into_iter().find(|result| result.outcome == "refused").unwrap();
        let why = refused.error.unwrap();
        assert!(refused.sku == "C" && why.contains("closed until 2026-10-15"), "{why}");
        assert!(why.contains("inventory.valuation.restate") && why.contains("--force"), "{why}");
        let stays: Vec<String> = before.iter().filter(|line| line.contains(&format!("p{closed} "))).cloned().collect();
        let after = all_figures(&t, here.id).await;
        assert!(stays.iter().all(|line| after.contains(line)), "{stays:?}\n{after:?}");
        assert_as_replayed(&here, free, Method::Fifo, Scope::Product).await;
        let told = "select count(*) as n from notifications where type = 'AlertNotification'";
        assert_eq!(count(&t, told).await, 1, "she who may is told, once");
        // Not by somebody who may not.
        let forced = |user| NewRun { product: Some("C".into()), forced_by: Some(user), ..NewRun::default() };
        let mut tx = here.tenant.begin().await.unwrap();
        let error = request(&mut tx, &here.tenant, &forced(may_not)).await.unwrap_err().to_string();
        assert!(error.contains("user who may restate closed books"), "{error}");
        tx.rollback().await.unwrap();
        let run = here.value(&forced(may)).await;
        assert_eq!((run.refused, run.forced_by), (0, Some(may)));
        assert_as_replayed(&here, closed, Method::Fifo, Scope::Product).await;
        // One at 1 and ten at 10 are left.
        assert_eq!(here.worth(Scope::Product, closed).await, Some((dec("11"), dec("101"))));
    }
);

backend_test!(migrations: lines;
    async fn what_was_provisional_may_settle_and_what_comes_behind_changes_nothing(t: TestDb) {
        let here = Warehouse::new(&t).await;
        let product = here.product("C", "fifo").await;
        here.receive(product, "10", "10", 5).await;
        let short = here.sell(product, "12", 10).await;
        here.value(&NewRun::default()).await;
        close(&here, Some("2026-10-15")).await;
        // In the closed month, but behind everything that was valued; it settles what was missing.
        here.receive(product, "5", "30", 12).await;
        let run = here.value(&NewRun::default()).await;
        assert_eq!((run.refused, run.new_value), (0, dec("90")));
        assert_eq!(here.movement(Scope::Product, short).await, Some((dec("-160"), false)));
        // Between two valued ones it changes what was there; once the books are open again it is valued.
        here.receive(product, "5", "30", 11).await;
        assert_eq!(here.value(&NewRun::default()).await.refused, 1);
        close(&here, None).await;
        assert_eq!(here.value(&NewRun::default()).await.refused, 0);
        assert_as_replayed(&here, product, Method::Fifo, Scope::Product).await;
    }
);
