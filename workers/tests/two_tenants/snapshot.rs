//! Every row of a tenant, before and after.

use std::collections::BTreeMap;

use fairlane::db::{Conn, Dialect, Sql, query};
use fairlane::sql;
use fairlane::testing::TestDb;

use super::bare::{quoted, rows, text};

/// What of the engine's tables is a tenant's own.
const OF_THE_ENGINE: [&str; 5] = [
    "fairlane_events",
    "fairlane_jobs",
    "fairlane_failed_jobs",
    "fairlane_job_history",
    "fairlane_listener_runs",
];

/// A table with rows of tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// The column with the tenant's number.
    pub(crate) key: &'static str,
    pub(crate) columns: Vec<String>,
}

impl Table {
    pub(crate) fn is_domain(&self) -> bool {
        !self.name.starts_with("fairlane_")
    }
}

/// The tables of the ERP that have a tenant, found in the catalogue, and what of the engine's is a tenant's.
pub(crate) async fn tables(t: &TestDb) -> Vec<Table> {
    let observer = t.observer().await.unwrap();
    let mut tx = observer.begin().await.unwrap();
    let statement = Sql {
        postgres: "select c.relname::text as name, a.attname::text as col
            from pg_attribute a join pg_class c on c.oid = a.attrelid
            where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
            order by c.relname, a.attnum",
        sqlite: "select m.name, c.name as col from sqlite_schema m, pragma_table_info(m.name) c
            where m.type = 'table' and m.name not like 'sqlite%' order by m.name, c.cid",
    };
    let mut columns = BTreeMap::<String, Vec<String>>::new();
    for row in query(statement).fetch_all(&mut tx.conn()).await.unwrap() {
        columns.entry(row.get("name").unwrap()).or_default().push(row.get("col").unwrap());
    }
    let table = |(name, columns): (String, Vec<String>)| {
        let has_tenant = columns.iter().any(|column| column == "tenant_id");
        let wanted =
            !name.starts_with('_') && (!name.starts_with("fairlane_") || OF_THE_ENGINE.contains(&&*name));
        let key = if name == "tenants" { "id" } else { "tenant_id" };
        (wanted && (has_tenant || name == "tenants")).then_some(Table { name, key, columns })
    };
    columns.into_iter().filter_map(table).collect()
}

/// The rows of a tenant as text, by table.
pub(crate) type Snapshot = BTreeMap<String, Vec<String>>;

/// Reads all rows of a tenant in one statement.
pub(crate) async fn snapshot(conn: &mut Conn<'_>, tables: &[Table], tenant: i64) -> Snapshot {
    let dialect = conn.dialect();
    let select = |table: &Table| {
        let line = match dialect {
            Dialect::Postgres => "x::text".to_owned(),
            Dialect::Sqlite => {
                let quote = |column: &String| format!("'{column}=' || quote(\"{column}\")");
                table.columns.iter().map(quote).collect::<Vec<_>>().join(" || ' ' || ")
            }
        };
        let Table { name, key, .. } = table;
        format!("select {} as name, {line} as line from {name} x where {key} = {tenant}", quoted(name))
    };
    let statement = tables.iter().map(select).collect::<Vec<_>>().join(" union all ");
    let mut found = Snapshot::new();
    for row in rows(conn, text(statement + " order by 1, 2")).await {
        found.entry(row.get("name").unwrap()).or_default().push(row.get("line").unwrap());
    }
    found
}

/// What is different, in a few lines; empty where nothing is.
pub(crate) fn difference(before: &Snapshot, after: &Snapshot) -> String {
    let mut told = Vec::new();
    let empty = Vec::new();
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        let (old, new) = (before.get(name).unwrap_or(&empty), after.get(name).unwrap_or(&empty));
        told.extend(old.iter().filter(|row| !new.contains(row)).map(|row| format!("- {name}: {row}")));
        told.extend(new.iter().filter(|row| !old.contains(row)).map(|row| format!("+ {name}: {row}")));
    }
    told.truncate(6);
    told.join("\n")
}

/// How many rows each table has.
pub(crate) fn sizes(snapshot: &Snapshot) -> BTreeMap<String, usize> {
    snapshot.iter().map(|(name, rows)| (name.clone(), rows.len())).collect()
}

/// Tears row security down, as an administrator can; what is left is the tenant in every statement.
pub(crate) async fn tear_row_security_down(t: &TestDb) {
    t.execute(
        "do $$ declare t text; begin
           for t in select c.oid::regclass::text from pg_class c
               where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relrowsecurity
           loop
               execute 'alter table ' || t || ' disable row level security';
               execute 'alter table ' || t || ' no force row level security';
           end loop;
         end $$",
    )
    .await;
    let observer = t.observer().await.unwrap();
    let mut tx = observer.read().await.unwrap();
    let left =
        "select count(*) as n from pg_class where relnamespace = 'public'::regnamespace and relrowsecurity";
    let left: i64 = query(sql!(left)).fetch_one(&mut tx.conn()).await.unwrap().get("n").unwrap();
    assert_eq!(left, 0);
}
