//! The two schemas are one.

use std::collections::BTreeSet;

use fairlane::db::{Row, query};
use fairlane::sql;
use fairlane::testing::TestDb;

/// What only PostgreSQL has: the order of the log and the writer's transaction, which SQLite's one writer makes needless.
const ONLY_ON_POSTGRES: [&str; 3] = [
    "column fairlane_events.seq integer not null",
    "column fairlane_events.txid integer not null",
    "index fairlane_jobs_by_tenant on fairlane_jobs (tenant_id, id) partial",
];
/// There the index of the line above is a key of the table.
const ONLY_ON_SQLITE: [&str; 1] = ["unique fairlane_jobs (tenant_id, id)"];

async fn lines(t: &TestDb, statement: &'static str) -> BTreeSet<String> {
    let mut tx = t.db.read().await.unwrap();
    let rows: Vec<Row> = query(sql!(statement)).fetch_all(&mut tx.conn()).await.unwrap();
    rows.iter().map(|row| row.get("line").unwrap()).collect()
}

async fn sqlite_schema(t: &TestDb) -> BTreeSet<String> {
    let mut schema = lines(
        t,
        "select 'column ' || m.name || '.' || c.name || ' ' || lower(c.type)
            || case when c.\"notnull\" or c.pk > 0 then ' not null' else '' end as line
         from sqlite_master m join pragma_table_info(m.name) c
         where m.type = 'table' and m.name like 'fairlane\\_%' escape '\\'",
    )
    .await;
    schema.extend(
        lines(
            t,
            "select 'unique ' || m.name || ' (' || (
                select group_concat(name, ', ') from (select name from pragma_index_info(i.name) order by seqno)) || ')' as line
             from sqlite_master m join pragma_index_list(m.name) i
             where m.type = 'table' and m.name like 'fairlane\\_%' escape '\\' and i.origin in ('u', 'pk')
             union all
             select 'unique ' || m.name || ' (' || c.name || ')' from sqlite_master m join pragma_table_info(m.name) c
             where m.type = 'table' and m.name like 'fairlane\\_%' escape '\\' and c.pk = 1 and lower(c.type) = 'integer'
                and (select count(*) from pragma_table_info(m.name) where pk > 0) = 1",
        )
        .await,
    );
    schema.extend(
        lines(
            t,
            "select 'index ' || i.name || ' on ' || m.name || ' (' || (
                select group_concat(name, ', ') from (select name from pragma_index_info(i.name) order by seqno)) || ')'
                || case when i.partial then ' partial' else '' end as line
             from sqlite_master m join pragma_index_list(m.name) i
             where m.type = 'table' and m.name like 'fairlane\\_%' escape '\\' and i.origin = 'c'",
        )
        .await,
    );
    schema.extend(
        lines(
            t,
            "select 'view ' || m.name || '.' || c.name as line from sqlite_master m join pragma_table_info(m.name) c
             where m.type = 'view'",
        )
        .await,
    );
    schema
}

async fn postgres_schema(t: &TestDb) -> BTreeSet<String> {
    let mut schema = lines(
        t,
        "select 'column ' || c.table_name || '.' || c.column_name || ' ' || case
                when c.data_type in ('uuid', 'jsonb', 'text') then 'text'
                when c.data_type = 'double precision' then 'real'
                else 'integer' end
            || case when c.is_nullable = 'NO' then ' not null' else '' end as line
         from information_schema.columns c
         join information_schema.tables t on t.table_name = c.table_name and t.table_type = 'BASE TABLE'
         where c.table_schema = 'public' and c.table_name like 'fairlane\\_%'",
    )
    .await;
    schema.extend(
        lines(
            t,
            "select 'unique ' || c.conrelid::regclass || ' (' || (
                select string_agg(a.attname, ', ' order by k.place)
                from unnest(c.conkey) with ordinality k(number, place)
                join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number) || ')' as line
             from pg_constraint c where c.contype in ('p', 'u') and c.conrelid::regclass::text like 'fairlane\\_%'",
        )
        .await,
    );
    schema.extend(
        lines(
            t,
            "select 'index ' || i.indexrelid::regclass || ' on ' || i.indrelid::regclass || ' (' || (
                select string_agg(a.attname, ', ' order by k.place)
                from unnest(i.indkey::int[]) with ordinality k(number, place)
                join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number) || ')'
                || case when i.indpred is not null then ' partial' else '' end as line
             from pg_index i where i.indrelid::regclass::text like 'fairlane\\_%'
                and not exists (select from pg_constraint c where c.conindid = i.indexrelid)",
        )
        .await,
    );
    schema.extend(
        lines(
            t,
            "select 'view ' || c.table_name || '.' || c.column_name as line from information_schema.columns c
             join information_schema.views v on v.table_name = c.table_name and v.table_schema = c.table_schema
             where c.table_schema = 'public'",
        )
        .await,
    );
    schema
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_keys_and_indexes() {
    let Some(postgres) = TestDb::postgres("schema parity", Vec::new).await.unwrap() else { return };
    let sqlite = TestDb::sqlite(Vec::new).await.unwrap();
    let (on_postgres, on_sqlite) = (postgres_schema(&postgres).await, sqlite_schema(&sqlite).await);
    assert!(on_sqlite.len() > 200, "{} lines", on_sqlite.len());
    let only_postgres: Vec<_> = on_postgres.difference(&on_sqlite).map(String::as_str).collect();
    let only_sqlite: Vec<_> = on_sqlite.difference(&on_postgres).map(String::as_str).collect();
    assert_eq!(only_postgres, ONLY_ON_POSTGRES);
    assert_eq!(only_sqlite, ONLY_ON_SQLITE);
}

/// Any other that could answer them too is taken by the planner while it believes the table to be nearly empty, and kept to
/// while dead rows pile up.
#[tokio::test]
async fn no_index_but_their_own_answers_searches_by_ids_and_claims() {
    let Some(t) = TestDb::postgres("search by ids", Vec::new).await.unwrap() else { return };
    let observer = t.observer().await.unwrap();
    let mut tx = observer.begin().await.unwrap();
    let conn = &mut tx.conn();
    query(sql!("alter table fairlane_jobs drop constraint fairlane_jobs_pkey")).execute(conn).await.unwrap();
    query(sql!("drop index fairlane_jobs_ready")).execute(conn).await.unwrap();
    query(sql!("set local enable_seqscan = off")).execute(conn).await.unwrap();
    for search in [
        "explain select 1 from fairlane_jobs where state = 'available' and id = any(array[gen_random_uuid()])",
        "explain select id from fairlane_jobs where state = 'available' and not suspect and queue = 'default'
            and tenant_id = 1 and (priority, run_at, id) > (5, {now}, gen_random_uuid())",
    ] {
        let plan: Vec<Row> = query(sql!(search)).fetch_all(conn).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|line| line.get("QUERY PLAN").unwrap()).collect();
        assert!(plan.iter().all(|line| !line.contains("Index")), "{plan:#?}");
        assert!(plan[0].contains("Seq Scan"), "{plan:#?}");
    }
}
