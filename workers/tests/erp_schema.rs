//! The ERP's tables are the same on both databases, and none of them is without its second wall. Seed 1-18, 1-19.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use fairlane::db::{DbOptions, query};
use fairlane::store::migrate::{MigrationLine, engine_line, migrate};
use fairlane::testing::TestDb;
use fairlane::{backend_test, sql};
use fairlane_workers::erp;

fn lines() -> Vec<MigrationLine> {
    vec![erp::migrations()]
}

/// Columns of every table that is not the engine's: `table.column` and whether it must have a value.
async fn columns(t: &TestDb) -> BTreeMap<String, bool> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let statement = fairlane::db::Sql {
        postgres: "select c.relname::text || '.' || a.attname::text as name, a.attnotnull as required
            from pg_attribute a join pg_class c on c.oid = a.attrelid
            where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped",
        // A primary key is never null on PostgreSQL; SQLite says so only where it is declared.
        sqlite: "select m.name || '.' || c.name as name, (c.\"notnull\" or c.pk > 0) as required
            from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite%'",
    };
    let rows = query(statement).fetch_all(&mut tx.conn()).await.unwrap();
    let read = |row: &fairlane::db::Row| (row.get("name").unwrap(), row.get("required").unwrap());
    rows.iter().map(read).filter(|(name, _): &(String, bool)| is_domain(name)).collect()
}

/// Indexes with names of their own.
async fn indexes(t: &TestDb) -> Vec<String> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let statement = fairlane::db::Sql {
        postgres: "select indexname::text as name from pg_indexes where schemaname = 'public'
            and indexname not like '%_pkey' and indexname not like '%_key' order by 1",
        sqlite: "select name from sqlite_schema where type = 'index' and sql is not null order by 1",
    };
    let rows = query(statement).fetch_all(&mut tx.conn()).await.unwrap();
    rows.iter().map(|row| row.get("name").unwrap()).filter(|name: &String| is_domain(name)).collect()
}

fn is_domain(name: &str) -> bool {
    !name.starts_with("fairlane_") && !name.starts_with('_')
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let Some(postgres) = TestDb::postgres("erp_schema", lines).await.unwrap() else { return };
    let sqlite = TestDb::sqlite(lines).await.unwrap();
    assert_eq!(columns(&postgres).await, columns(&sqlite).await);
    assert_eq!(indexes(&postgres).await, indexes(&sqlite).await);
}

#[tokio::test]
async fn every_table_with_a_tenant_is_under_forced_row_security() {
    let Some(t) = TestDb::postgres("erp_schema", lines).await.unwrap() else { return };
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let open = query(sql!(
        "select c.relname::text as name from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname not like '\\_%'
           and (c.relname = 'tenants' or exists (
               select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id'))
           and not (c.relrowsecurity and c.relforcerowsecurity
               and exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant'))"
    ))
    .fetch_all(&mut tx.conn())
    .await
    .unwrap();
    let open: Vec<String> = open.iter().map(|row| row.get("name").unwrap()).collect();
    assert!(open.is_empty(), "without forced row security: {open:?}");
}

/// The login of the tests is one of workers: a member of `fairlane_worker` and `fairlane_app`.
#[tokio::test]
async fn no_table_of_the_erp_is_open_to_a_login_of_workers_without_a_tenant() {
    let Some(t) = TestDb::postgres("erp_schema", lines).await.unwrap() else { return };
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let open = query(sql!(
        "select c.relname::text as name from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname not like '\\_%'
           and c.relname not like 'fairlane\\_%'
           and (exists (select 1 from pg_policies p where p.schemaname = 'public' and p.tablename = c.relname
                   and p.roles <> array['fairlane_app']::name[])
               or has_table_privilege('fairlane_worker', c.oid, 'select, insert, update, delete, truncate')
               or has_any_column_privilege('fairlane_worker', c.oid, 'select, insert, update'))"
    ))
    .fetch_all(&mut tx.conn())
    .await
    .unwrap();
    let open: Vec<String> = open.iter().map(|row| row.get("name").unwrap()).collect();
    assert!(open.is_empty(), "open to fairlane_worker: {open:?}");
    t.execute("insert into products (tenant_id, sku, name) select id, 'A-1', 'Beans' from fairlane_tenants")
        .await;
    let mut tx = t.db.begin().await.unwrap();
    let seen = query(sql!("select count(*) as n from products")).fetch_one(&mut tx.conn()).await.unwrap();
    assert_eq!(seen.get::<i64>("n").unwrap(), 0, "seen without a tenant");
}

#[tokio::test]
async fn every_foreign_key_between_tables_of_tenants_goes_through_the_tenant() {
    let t = TestDb::sqlite(lines).await.unwrap();
    let mut tx = t.db.read().await.unwrap();
    let keys = query(sql!(
        "select m.name || ' -> ' || f.\"table\" as name, sum(f.\"from\" = 'tenant_id') as with_tenant
         from sqlite_schema m, pragma_foreign_key_list(m.name) f
         where m.type = 'table' and f.\"table\" not like 'fairlane_%' and f.\"table\" <> 'permissions'
           and m.name not like 'fairlane_%'
         group by m.name, f.id, f.\"table\""
    ))
    .fetch_all(&mut tx.conn())
    .await
    .unwrap();
    assert!(keys.len() > 10);
    for key in keys {
        let name: String = key.get("name").unwrap();
        assert_eq!(key.get::<i64>("with_tenant").unwrap(), 1, "{name}");
    }
}

/// The ERP's tables as they were when a release had this migration as its last one.
fn until(version: i64) -> Vec<MigrationLine> {
    let mut line = erp::migrations();
    for migrator in [&mut line.postgres, &mut line.sqlite] {
        let older = migrator.migrations.iter().filter(|migration| migration.version <= version);
        migrator.migrations = older.cloned().collect::<Vec<_>>().into();
    }
    vec![line]
}

backend_test!(migrations: || until(4);
    async fn mails_of_before_the_other_channels_are_kept_with_their_key(t: TestDb) {
        let statement = "insert into notification_deliveries
            (tenant_id, dedupe_key, channel, type, subject_type, subject_id, recipient, status, message_id)
            select id, 'inv:12:mail', 'mail', 'erp.invoice', 'invoice', 12, 'ana@example.com', 'pending', '<a@b>'
            from fairlane_tenants";
        assert_eq!(t.execute(statement).await, 1);
        migrate(&DbOptions::new(t.observer_url()), vec![engine_line(), erp::migrations()]).await.unwrap();
        let observer = t.observer().await.unwrap();
        let mut tx = observer.read().await.unwrap();
        let kept = sql!("select notification_key, dedupe_key, status, recipient from notification_deliveries");
        let kept = query(kept).fetch_one(&mut tx.conn()).await.unwrap();
        let text = |column: &str| kept.get::<String>(column).unwrap();
        assert_eq!(
            [text("notification_key"), text("dedupe_key"), text("status"), text("recipient")],
            ["inv:12", "inv:12:mail", "pending", "ana@example.com"]
        );
    }
);
