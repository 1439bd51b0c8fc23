//! The walls themselves, over every table of the catalogue: row security against statements that name no tenant, and
//! foreign keys that go through the tenant.

use std::collections::BTreeMap;

use fairlane::db::{Dialect, Sql, query};
use fairlane::{Error, Result};

use super::bare::{count, quoted, rows, text};
use super::each_wall;
use super::snapshot::Table;
use super::world::{Side, World};

fn domain_tables(world: &World) -> Vec<&Table> {
    world.tables.iter().filter(|table| table.is_domain()).collect()
}

async fn observed(world: &World, statement: String) -> i64 {
    let mut tx = world.observer.read().await.unwrap();
    count(&mut tx.conn(), text(statement)).await
}

/// Runs a statement as the application of a tenant, and takes it back; how many rows it has touched.
async fn touched(side: &Side, statement: String) -> Result<u64> {
    let mut tx = side.tenant.begin().await?;
    let touched = query(text(statement)).execute(&mut tx.conn()).await;
    tx.rollback().await?;
    touched
}

/// Refused as such: for want of a right, or by a policy.
fn is_forbidden<T: std::fmt::Debug>(answer: &Result<T>) -> bool {
    let code =
        |error: &sqlx::Error| error.as_database_error().and_then(|error| error.code()).map(String::from);
    matches!(answer, Err(Error::Database(error)) if code(error).as_deref() == Some("42501"))
}

each_wall!(
    async fn every_table_has_rows_of_both(world) {
        let mut empty = Vec::new();
        for table in &world.tables {
            for side in [&world.acme, &world.beta] {
                let rows = format!("select count(*) as n from {} where {} = {}", table.name, table.key, side.id);
                if table.is_domain() && observed(&world, rows).await == 0 {
                    empty.push((table.name.clone(), side.tenant.slug().to_owned()));
                }
            }
        }
        assert!(empty.is_empty(), "nothing can be shown of tables without rows; add some to world.rs: {empty:?}");
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_without_the_tenant_see_and_touch_its_own_rows_alone() {
    let Some(world) = World::postgres().await else { return };
    let (acme, beta) = (&world.acme, &world.beta);
    let mut faults = Vec::new();
    for Table { name, key, columns } in domain_tables(&world) {
        let own =
            observed(&world, format!("select count(*) as n from {name} where {key} = {}", acme.id)).await;
        let mut tx = acme.tenant.begin().await.unwrap();
        let seen = count(&mut tx.conn(), text(format!("select count(*) as n from {name}"))).await;
        drop(tx);
        if seen != own {
            faults.push(format!("{name}: {seen} rows are seen, {own} are its own"));
        }
        let first = columns.iter().find(|column| column != key).unwrap();
        for (statement, most) in [
            (format!("update {name} set {first} = {first} where {key} = {}", beta.id), 0),
            (format!("delete from {name} where {key} = {}", beta.id), 0),
            (format!("update {name} set {key} = {}", beta.id), 0),
            (format!("insert into {name} overriding system value select * from {name}"), 0),
            (format!("update {name} set {first} = {first}"), own),
            (format!("delete from {name}"), own),
        ] {
            match touched(acme, statement.clone()).await {
                Ok(rows) if i64::try_from(rows).unwrap() > most => {
                    faults.push(format!("{rows} rows: {statement}"));
                }
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_tenant_are_neither_added_nor_given_away() {
    let Some(world) = World::postgres().await else { return };
    let (acme, beta) = (&world.acme, &world.beta);
    let mut faults = Vec::new();
    for Table { name, key, .. } in domain_tables(&world) {
        let row = format!("select to_jsonb(x)::text as row from {name} x where {key} = {} limit 1", beta.id);
        let mut tx = world.observer.read().await.unwrap();
        let row: String = rows(&mut tx.conn(), text(row)).await[0].get("row").unwrap();
        drop(tx);
        // In two parts: a text with braces is a template.
        let insert = format!(
            "insert into {name} overriding system value select (jsonb_populate_record(null::{name}, $1::jsonb)).*"
        );
        let mut tx = acme.tenant.begin().await.unwrap();
        let inserted = query(text(insert)).bind(row.as_str()).execute(&mut tx.conn()).await;
        drop(tx);
        if !is_forbidden(&inserted) {
            faults.push(format!("a row of the other's is added to {name}: {inserted:?}"));
        }
        let given = touched(acme, format!("update {name} set {key} = {}", beta.id)).await;
        if !is_forbidden(&given) {
            faults.push(format!("rows of {name} are given away: {given:?}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_tenant_the_application_sees_nothing_and_views_show_what_their_reader_may_see() {
    let Some(world) = World::postgres().await else { return };
    let mut faults = Vec::new();
    for Table { name, .. } in domain_tables(&world) {
        let mut tx = world.t.db.begin().await.unwrap();
        query(text("set local role fairlane_app")).execute(&mut tx.conn()).await.unwrap();
        let seen = count(&mut tx.conn(), text(format!("select count(*) as n from {name}"))).await;
        if seen != 0 {
            faults.push(format!("{name}: {seen} rows are seen without a tenant"));
        }
    }
    let views = "select viewname::text as name from pg_views where schemaname = 'public'";
    let mut tx = world.observer.read().await.unwrap();
    let views = rows(&mut tx.conn(), text(views)).await;
    drop(tx);
    assert!(!views.is_empty());
    for view in views {
        let name: String = view.get("name").unwrap();
        let own =
            observed(&world, format!("select count(*) as n from {name} where tenant_id = {}", world.acme.id))
                .await;
        let mut tx = world.acme.tenant.begin().await.unwrap();
        let seen = count(&mut tx.conn(), text(format!("select count(*) as n from {name}"))).await;
        if seen != own {
            faults.push(format!("view {name}: {seen} rows are seen, {own} are its own"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// A foreign key between tables of tenants: its columns beside the tenant's, and where they point.
#[derive(Debug, Default)]
struct Key {
    table: String,
    to: String,
    columns: Vec<(String, String)>,
    has_tenant: bool,
}

async fn keys(world: &World) -> Vec<Key> {
    let statement = Sql {
        postgres: "select k.oid::text as key, k.conrelid::regclass::text as name, k.confrelid::regclass::text as other,
                a.attname::text as col, b.attname::text as to_col
            from pg_constraint k cross join lateral unnest(k.conkey, k.confkey) as c (own, other)
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.own
            join pg_attribute b on b.attrelid = k.confrelid and b.attnum = c.other
            where k.contype = 'f' and k.connamespace = 'public'::regnamespace order by 1, 4",
        sqlite: "select m.name || f.id as key, m.name as name, f.\"table\" as other, f.\"from\" as col,
                coalesce(f.\"to\", 'id') as to_col
            from sqlite_schema m, pragma_foreign_key_list(m.name) f where m.type = 'table' order by 1, 4",
    };
    let of_tenants = |name: &str| world.tables.iter().any(|table| table.name == name && table.is_domain());
    let mut tx = world.observer.read().await.unwrap();
    let mut keys = BTreeMap::<String, Key>::new();
    for row in rows(&mut tx.conn(), statement).await {
        let (table, to): (String, String) = (row.get("name").unwrap(), row.get("other").unwrap());
        if !of_tenants(&table) || !of_tenants(&to) || table == "tenants" {
            continue;
        }
        let key = keys.entry(row.get("key").unwrap()).or_default();
        let column: String = row.get("col").unwrap();
        (key.table, key.to) = (table, to);
        match column == "tenant_id" {
            true => key.has_tenant = true,
            false => key.columns.push((column, row.get("to_col").unwrap())),
        }
    }
    keys.into_values().collect()
}

each_wall!(
    async fn no_row_points_to_a_row_of_another_tenant(world) {
        let keys = keys(&world).await;
        assert!(keys.len() > 50, "{}", keys.len());
        let mut faults = Vec::new();
        for key in keys {
            let Key { table, to, columns, has_tenant } = &key;
            let told = format!("{table} {columns:?} -> {to}");
            if !has_tenant {
                faults.push(format!("{told} does not go through the tenant"));
            }
            let pointed = point_across(&world, &key).await;
            let refused = matches!(&pointed, Err(Error::Database(error)) if is_foreign_key(error));
            if !refused {
                faults.push(format!("{told}: {pointed:?}"));
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }
);

fn is_foreign_key(error: &sqlx::Error) -> bool {
    let refused = error.as_database_error();
    let code = refused.and_then(|error| error.code()).map(String::from).unwrap_or_default();
    code == "23503" || code == "787"
}

/// Lets a row of acme's point to one of beta's, as an administrator whom row security does not hold.
async fn point_across(world: &World, key: &Key) -> Result<()> {
    let Key { table, to, columns, .. } = key;
    let mut tx = world.observer.begin().await.unwrap();
    let conn = &mut tx.conn();
    let (row, quote) = match conn.dialect() {
        Dialect::Postgres => ("ctid", "::text"),
        Dialect::Sqlite => ("rowid", ""),
    };
    let wanted: Vec<String> =
        columns.iter().map(|(_, to)| format!("cast({to}{quote} as text) as {to}")).collect();
    let others =
        format!("select {} from {to} where tenant_id = {} limit 1", wanted.join(", "), world.beta.id);
    let other = rows(conn, text(others)).await.remove(0);
    let values: Vec<String> = columns
        .iter()
        .map(|(column, to)| format!("{column} = {}", quoted(&other.get::<String>(to).unwrap())))
        .collect();
    if table == "stock_movements" {
        // A movement is final whatever it points to; here it is about the key.
        let open = match conn.dialect() {
            Dialect::Postgres => "alter table stock_movements disable trigger user",
            Dialect::Sqlite => "drop trigger stock_movements_final",
        };
        query(text(open)).execute(conn).await.unwrap();
    }
    let acme = world.acme.id;
    // Some tables of SQLite have no rowid.
    let rows_of = format!(
        "select count(*) as n from sqlite_schema where name = '{table}' and sql like '%without rowid%'"
    );
    let one = match conn.dialect() {
        Dialect::Sqlite if count(conn, text(rows_of)).await > 0 => format!("tenant_id = {acme}"),
        _ => format!("{row} = (select {row} from {table} where tenant_id = {acme} limit 1)"),
    };
    let update = format!("update {table} set {} where {one}", values.join(", "));
    query(text(update)).execute(conn).await?;
    tx.rollback().await
}
