//! Row-level security on PostgreSQL, as a login that cannot bypass it.

use fairlane::db::{Db, DbOptions, query};
use fairlane::store::migrate::check_login;
use fairlane::store::{complete, settle};
use fairlane::testing::TestDb;
use fairlane::{ClientSettings, Error, Event, Fairlane, sql};
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::support::*;

/// Every table with rows of tenants.
const TABLES: [&str; 13] = [
    "fairlane_events",
    "fairlane_jobs",
    "fairlane_attempts",
    "fairlane_failed_jobs",
    "fairlane_job_history",
    "fairlane_unique_keys",
    "fairlane_listener_runs",
    "fairlane_schedules",
    "fairlane_audit",
    "fairlane_limits",
    "fairlane_permits",
    "fairlane_rates",
    "fairlane_usage",
];

async fn postgres(test: &str) -> Option<TestDb> {
    TestDb::postgres(test, Vec::new).await.expect("a database")
}

/// Rows of two tenants in every table.
async fn two_tenants(t: &TestDb) {
    subscribe(t, OrderApproved::NAME, "invoice", QUEUE).await;
    let kinds = vec!["invoice@sales.order.approved".to_owned(), "test.work".to_owned()];
    let tenants = [acme(t), add_tenant(t, "globex").await];
    for tenant in &tenants {
        tenant.publish(OrderApproved { order: 1 }).await.unwrap();
        tenant.dispatch(Work { number: 1 }).idempotency_key("k").await.unwrap();
        let jobs = claim_with(&t.db, &request(&kinds)).await;
        let listener = jobs.iter().position(|job| job.event_id.is_some()).unwrap();
        write(t, async |conn| complete::complete(conn, &[fence(&jobs[listener])]).await).await;
        write(t, async |conn| settle::fail(conn, fence(&jobs[1 - listener]), &failure("no")).await).await;
    }
    for tenant in &tenants {
        tenant.dispatch(Work { number: 2 }).await.unwrap();
    }
    t.execute(
        "insert into fairlane_schedules (id, tenant_id, name, cron, timezone, kind, payload, queue, priority, missed,
            next_tick_at)
         select gen_random_uuid(), id, 'nightly', '0 3 * * *', 'UTC', 'k', '{}', 'q', 5, 'skip', now() from fairlane_tenants",
    )
    .await;
    t.execute(
        "insert into fairlane_audit (id, tenant_id, actor, action, target, affected)
         select gen_random_uuid(), id, 'ann', 'retry', 'x', 1 from fairlane_tenants",
    )
    .await;
    for statement in [
        "insert into fairlane_limits (tenant_id, scope, concurrency) select id, 'total', 4 from fairlane_tenants",
        "insert into fairlane_permits (tenant_id, scope, name, worker_id, permits, wanted, until)
         select id, 'total', '', gen_random_uuid(), 1, 2, now() from fairlane_tenants",
        "insert into fairlane_rates (tenant_id, scope, name, act, next_at)
         select id, 'total', '', 'dispatch', now() from fairlane_tenants",
        "insert into fairlane_usage (tenant_id, day, queue) select id, '2026-01-31', 'low' from fairlane_tenants",
    ] {
        t.execute(statement).await;
    }
}

async fn visible(tx: &mut fairlane::db::Tx, table: &str) -> i64 {
    let conn = tx.as_postgres().unwrap();
    let statement = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(statement).fetch_one(conn).await.unwrap()
}

#[tokio::test]
async fn a_tenants_transaction_sees_its_own_rows_in_every_table_and_no_others() {
    let Some(t) = postgres("row security: reading").await else { return };
    two_tenants(&t).await;
    let mut tx = t.db.begin_for(acme(&t).id().await.unwrap()).await.unwrap();
    for table in TABLES {
        let all = visible(&mut t.db.begin().await.unwrap(), table).await;
        let own = visible(&mut tx, table).await;
        assert!(own > 0 && own * 2 == all, "{table}: {own} of {all}");
    }
    assert_eq!(visible(&mut tx, "fairlane_tenants").await, 1);
    assert_eq!(
        (visible(&mut tx, "jobs").await, visible(&mut tx, "failed_jobs").await),
        (1, 1),
        "the views too"
    );
}

#[tokio::test]
async fn every_engine_table_that_names_a_tenant_is_under_forced_row_security() {
    let Some(t) = postgres("row security: forced").await else { return };
    let open = words(
        &t,
        "select c.relname::text as word from pg_class c
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where c.relkind = 'r' and c.relname like 'fairlane%' and not (c.relrowsecurity and c.relforcerowsecurity)",
    )
    .await;
    assert!(open.is_empty(), "{open:?}");
    let covered = count(
        &t,
        "select count(*) as n from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
         where c.relkind = 'r' and c.relname like 'fairlane%'",
    )
    .await;
    assert_eq!(usize::try_from(covered).unwrap(), TABLES.len(), "a new table belongs into TABLES");
}

#[tokio::test]
async fn a_tenants_transaction_changes_no_foreign_row() {
    let Some(t) = postgres("row security: writing").await else { return };
    two_tenants(&t).await;
    let (own, foreign) = (acme(&t).id().await.unwrap(), t.fairlane.tenant("globex").id().await.unwrap());
    let mut tx = t.db.begin_for(own).await.unwrap();
    for statement in [
        sql!("update fairlane_jobs set priority = 0 where tenant_id = $1"),
        sql!("delete from fairlane_jobs where tenant_id = $1"),
        sql!("delete from fairlane_failed_jobs where tenant_id = $1"),
        sql!("delete from fairlane_unique_keys where tenant_id = $1"),
        sql!("delete from fairlane_attempts where tenant_id = $1"),
        sql!("delete from fairlane_schedules where tenant_id = $1"),
    ] {
        let touched = query(statement).bind(foreign).execute(&mut tx.conn()).await.unwrap();
        assert_eq!(touched, 0, "{statement:?}");
    }
    drop(tx);
    for statement in [
        sql!("update fairlane_jobs set tenant_id = $1"),
        sql!(
            "insert into fairlane_unique_keys (tenant_id, scope, key, job_id, expires_at)
              values ($1, 's', 'k', gen_random_uuid(), now())"
        ),
        sql!(
            "insert into fairlane_events (id, tenant_id, name, priority, payload)
              values (gen_random_uuid(), $1, 'a.b.c', 5, '{}')"
        ),
    ] {
        let mut tx = t.db.begin_for(own).await.unwrap();
        let refused = query(statement).bind(foreign).execute(&mut tx.conn()).await;
        assert!(refused.unwrap_err().to_string().contains("row-level security"), "{statement:?}");
    }
}

#[tokio::test]
async fn a_tenants_transaction_cannot_change_what_has_happened() {
    let Some(t) = postgres("row security: facts").await else { return };
    two_tenants(&t).await;
    for statement in [
        sql!("update fairlane_events set payload = '{}'"),
        sql!("delete from fairlane_events"),
        sql!("update fairlane_audit set actor = 'nobody'"),
        sql!("delete from fairlane_audit"),
        sql!("update fairlane_tenants set weight = 1000"),
        sql!("select * from fairlane_workers"),
        sql!("set local role fairlane_worker"),
    ] {
        let mut tx = t.db.begin_for(acme(&t).id().await.unwrap()).await.unwrap();
        let refused = query(statement).execute(&mut tx.conn()).await;
        if statement.postgres.starts_with("set") {
            continue; // The login is a member of both roles; a tenant's code has no way to send this through the engine.
        }
        assert!(refused.unwrap_err().to_string().contains("permission denied"), "{statement:?}");
    }
}

#[tokio::test]
async fn without_a_tenant_the_applications_role_sees_nothing() {
    let Some(t) = postgres("row security: no tenant").await else { return };
    two_tenants(&t).await;
    let mut tx = t.db.begin().await.unwrap();
    tx.as_postgres().unwrap().execute("set local role fairlane_app").await.unwrap();
    for table in TABLES.into_iter().chain(["fairlane_tenants"]) {
        assert_eq!(visible(&mut tx, table).await, 0, "{table}");
    }
    // A transaction before on the same connection leaves '' and not null: that is no tenant either.
    tx.as_postgres().unwrap().execute("select set_config('fairlane.tenant_id', '', true)").await.unwrap();
    assert_eq!(visible(&mut tx, "fairlane_jobs").await, 0);
}

#[tokio::test]
async fn a_login_that_bypasses_row_security_is_refused_unless_it_is_allowed() {
    let Some(t) = postgres("row security: the login").await else { return };
    check_login(&t.db, false).await.unwrap();
    let superuser = t.observer().await.unwrap();
    let refused = check_login(&superuser, false).await.unwrap_err();
    assert!(matches!(refused, Error::BypassesRowSecurity { .. }), "{refused:?}");
    assert!(refused.hint().unwrap().contains("--login"));
    check_login(&superuser, true).await.unwrap();
    t.execute("alter table fairlane_jobs no force row level security").await;
    assert!(check_login(&t.db, false).await.is_err(), "not forced");
}

/// A client whose login is in `fairlane_app` and in nothing else.
async fn application(t: &TestDb) -> (Db, Fairlane) {
    const LOGIN: &str = "fairlane_test_app";
    let mut admin = PgConnection::connect(&t.observer_url()).await.expect("an administrator");
    admin
        .execute(
            "select pg_advisory_lock(77);
             do $$ begin
                if not exists (select from pg_roles where rolname = 'fairlane_test_app') then
                    create role fairlane_test_app login nobypassrls;
                end if;
             end $$;
             grant fairlane_app to fairlane_test_app",
        )
        .await
        .expect("a login");
    admin.close().await.expect("the lock is released");
    let url = t.url.replace(&format!("//{}@", fairlane::testing::TEST_LOGIN), &format!("//{LOGIN}@"));
    assert_ne!(url, t.url);
    let db = Db::open(&DbOptions::new(url)).await.expect("a database");
    (db.clone(), Fairlane::new(db, ClientSettings::default()))
}

#[tokio::test]
async fn an_application_in_fairlane_app_alone_dispatches_and_publishes() {
    let Some(t) = postgres("row security: the application").await else { return };
    subscribe(&t, OrderApproved::NAME, "invoice", QUEUE).await;
    let (db, client) = application(&t).await;
    check_login(&db, false).await.unwrap();
    let tenant = client.tenant("acme");
    tenant.dispatch(Work { number: 1 }).await.unwrap();
    tenant.dispatch_all((0..10).map(|number| Work { number })).await.unwrap();
    let id = Uuid::now_v7();
    for duplicate in [false, true] {
        assert_eq!(tenant.publish(OrderApproved { order: 1 }).id(id).await.unwrap().duplicate, duplicate);
        let job = tenant.dispatch(Work { number: 1 }).idempotency_key("k").await.unwrap();
        assert_eq!(job.duplicate, duplicate);
        let job = tenant.dispatch(Work { number: 1 }).id(id).await.unwrap();
        assert_eq!(job.duplicate, duplicate);
    }
    let mut tx = client.begin().await.unwrap();
    tenant.dispatch(Work { number: 3 }).in_tx(&mut tx).await.unwrap();
    tenant.publish(OrderApproved { order: 2 }).in_tx(&mut tx).await.unwrap();
    tenant.publish_all([OrderApproved { order: 3 }]).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&t, "select count(*) as n from fairlane_jobs").await, 17);
    assert!(claim_with(&db, &request(&work_kinds())).await.is_empty(), "it claims nothing");
    t.execute(
        "insert into fairlane_limits (tenant_id, scope, name, dispatch_count, dispatch_period_ms, dispatch_burst, pending)
         select id, scope, queue, 10, 86400000, 2, 20 from fairlane_tenants,
            (values ('total', ''), ('queue', 'default')) limits (scope, queue)",
    )
    .await;
    let tenant = Fairlane::new(db.clone(), ClientSettings::default()).tenant("acme");
    let mut tx = tenant.begin().await.unwrap();
    tenant.dispatch(Work { number: 4 }).in_tx(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    tenant.dispatch(Work { number: 5 }).await.unwrap();
    let refused = tenant.dispatch(Work { number: 6 }).await.unwrap_err();
    assert!(matches!(refused, Error::RateExceeded { retry_after: Some(_), .. }), "{refused:?}");
    t.execute("update fairlane_rates set next_at = now()").await;
    tenant.dispatch(Work { number: 7 }).await.unwrap();
    let refused = tenant.dispatch(Work { number: 8 }).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded { depth: 20, .. }), "{refused:?}");
    assert!(matches!(client.tenant("nobody").id().await, Err(Error::UnknownTenant { .. })));
}
