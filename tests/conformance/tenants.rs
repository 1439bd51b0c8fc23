//! Tenants and subscriptions.

use std::collections::HashMap;

use fairlane::{Context, Error, Event, JobResult, Listener, Policy, PolicyOverride, Registry};
use fairlane::{backend_test, store};

use crate::support::*;

backend_test!(
    async fn a_tenant_is_found_by_its_slug_and_by_nothing_else(t: TestDb) {
        let globex = add_tenant(&t, "globex").await;
        let id = globex.id().await.unwrap();
        assert_eq!(store::tenants::lookup(&t.db, "globex").await.unwrap(), Some(id));
        assert_eq!(store::tenants::lookup(&t.db, "GLOBEX").await.unwrap(), None);
        assert_eq!(store::tenants::lookup(&t.db, "nobody").await.unwrap(), None);
    }
);

backend_test!(
    async fn a_slug_belongs_to_one_tenant(t: TestDb) {
        let again = try_write(&t.db, async |conn| store::tenants::add(conn, "acme", "Acme").await).await;
        assert!(matches!(again, Err(Error::Refused { .. })), "{again:?}");
    }
);

backend_test!(
    async fn a_slug_that_is_none_is_refused(t: TestDb) {
        for slug in ["", "Acme", "a b", "-acme", "a'b", &"a".repeat(64)] {
            let added = try_write(&t.db, async |conn| store::tenants::add(conn, slug, "x").await).await;
            assert!(matches!(added, Err(Error::Invalid { .. })), "{slug}: {added:?}");
        }
    }
);

backend_test!(
    async fn tenants_are_listed_by_slug_with_their_columns(t: TestDb) {
        add_tenant(&t, "aaa").await;
        let tenants = write(&t, async |conn| store::tenants::list(conn).await).await.rows;
        assert_eq!(tenants.iter().map(|tenant| tenant.slug.as_str()).collect::<Vec<_>>(), ["aaa", "acme"]);
        assert_eq!((tenants[1].name.as_str(), tenants[1].weight), ("Acme", 1.0));
        assert!(tenants[1].paused_at.is_none() && tenants[1].created_at.timestamp() > 1_700_000_000);
    }
);

backend_test!(
    async fn work_for_an_unknown_tenant_is_an_error_and_stores_nothing(t: TestDb) {
        let nobody = t.fairlane.tenant("nobody");
        let dispatched = nobody.dispatch(Work { number: 1 }).await;
        assert!(
            matches!(&dispatched, Err(Error::UnknownTenant { slug }) if slug == "nobody"),
            "{dispatched:?}"
        );
        assert!(nobody.publish(OrderCancelled).await.is_err());
        assert!(nobody.dispatch_all([Work { number: 1 }]).await.is_err());
        let mut tx = t.fairlane.begin().await.unwrap();
        assert!(nobody.dispatch(Work { number: 1 }).in_tx(&mut tx).await.is_err());
        tx.commit().await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 0);
        assert_eq!(count(&t, "select count(*) as n from fairlane_events").await, 0);
    }
);

backend_test!(
    async fn a_tenant_made_in_a_transaction_can_work_in_it_and_is_forgotten_with_it(t: TestDb) {
        let fresh = t.fairlane.tenant("fresh");
        let mut tx = t.fairlane.begin().await.unwrap();
        store::tenants::add(&mut tx.conn(), "fresh", "Fresh").await.unwrap();
        fresh.dispatch(Work { number: 1 }).in_tx(&mut tx).await.unwrap();
        tx.rollback().await.unwrap();
        let dispatched = fresh.dispatch(Work { number: 1 }).await;
        assert!(matches!(dispatched, Err(Error::UnknownTenant { .. })), "{dispatched:?}");
        add_tenant(&t, "fresh").await;
        fresh.dispatch(Work { number: 1 }).await.unwrap();
        assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 1);
    }
);

struct SendInvoice;

impl<E: Event> Listener<E> for SendInvoice {
    const KIND: &'static str = "test.send_invoice";
    const POLICY: Policy = Policy::HIGH.priority(2);
    type State = ();

    async fn handle(_: E, _: Context<()>) -> JobResult {
        Ok(())
    }
}

const SUBSCRIPTIONS: &str =
    "select event_name || ' ' || listener || ' ' || queue || ' ' || cast(priority as text) as word
     from fairlane_subscriptions order by event_name";

backend_test!(
    async fn announcing_writes_subscriptions_once_and_updates_them(t: TestDb) {
        let registry = Registry::new().on::<OrderApproved, SendInvoice>().on::<OrderCancelled, SendInvoice>();
        let client = t.fairlane.clone().with(&registry);
        client.announce().await.unwrap();
        client.announce().await.unwrap();
        let announced = words(&t, SUBSCRIPTIONS).await;
        assert_eq!(
            announced,
            [
                "sales.order.approved test.send_invoice high 2",
                "sales.order.cancelled test.send_invoice high 2"
            ]
        );
        let changed =
            PolicyOverride { queue: Some("low".into()), priority: Some(9), ..PolicyOverride::default() };
        let overrides = HashMap::from([("test.send_invoice@sales.order.approved".to_owned(), changed)]);
        store::subscriptions::announce(&t.db, registry.subscriptions(), &overrides).await.unwrap();
        assert_eq!(words(&t, SUBSCRIPTIONS).await[0], "sales.order.approved test.send_invoice low 9");
    }
);

backend_test!(
    async fn a_withdrawn_listener_gets_no_more_jobs(t: TestDb) {
        subscribe(&t, OrderApproved::NAME, "a", QUEUE).await;
        subscribe(&t, OrderApproved::NAME, "b", QUEUE).await;
        assert!(store::subscriptions::withdraw(&t.db, OrderApproved::NAME, "a").await.unwrap());
        assert!(!store::subscriptions::withdraw(&t.db, OrderApproved::NAME, "a").await.unwrap());
        assert_eq!(acme(&t).publish(OrderApproved { order: 1 }).await.unwrap().jobs, 1);
        assert_eq!(words(&t, "select kind as word from fairlane_jobs").await, ["b@sales.order.approved"]);
    }
);
