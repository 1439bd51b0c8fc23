//! What an import changed, kept so that it can be undone: `import_changes`.

use fairlane::db::{Conn, Dialect, Sql, query};
use fairlane::{Result, sql};

use super::import_type::{Scope, Writing};

/// The statements of a table whose rows imports change.
#[derive(Debug, Clone, Copy)]
pub struct ChangeSql {
    /// Keeps rows as they are, before they are changed.
    pub keep: Sql,
    /// Brings rows back as they were.
    pub restore: Sql,
    /// Takes new rows away.
    pub delete: Sql,
    /// What else may refer to a row, in words, and which rows it refers to.
    pub references: &'static [(&'static str, Sql)],
    /// Rows made for a new one that go with it.
    pub companions: &'static [Sql],
    /// Every column that is brought back: all but the row's number, its tenant, and its version and time of change,
    /// which go on.
    pub columns: &'static [&'static str],
}

/// The [`ChangeSql`] of a table: its entity, its name, its columns.
///
/// SQLite has no statistics: without `cross join` it read all of the tenant's rows, and the list once for each (2.95 s for 500
/// of 4,000 products; 2 ms with it).
macro_rules! change_sql {
    ($entity:literal, $table:literal, [$($column:literal),+ $(,)?], $references:expr, $companions:expr) => {
        $crate::erp::jobs::process_bulk_import::changes::ChangeSql {
            keep: ::fairlane::db::Sql {
                postgres: concat!(
                    "insert into import_changes (tenant_id, import_id, entity, entity_id, version, pre_image)
                     select t.tenant_id, $2, '", $entity, "', t.id, u.version, to_jsonb(t)
                     from unnest($3::bigint[], $4::bigint[]) u(id, version)
                     join ", $table, " t on t.tenant_id = $1 and t.id = u.id
                     on conflict (tenant_id, import_id, entity, entity_id) do update set version = excluded.version"
                ),
                sqlite: concat!(
                    "insert into import_changes (tenant_id, import_id, entity, entity_id, version, pre_image)
                     select t.tenant_id, $2, '", $entity, "', t.id, u.value ->> 1, json_object(
                        'id', t.id, 'version', t.version, 'updated_at', t.updated_at",
                        $(", '", $column, "', t.", $column,)+ ")
                     from jsonb_each($3) u cross join ", $table, " t on t.id = u.value ->> 0 and t.tenant_id = $1
                     where true
                     on conflict (tenant_id, import_id, entity, entity_id) do update set version = excluded.version"
                ),
            },
            restore: ::fairlane::db::Sql {
                postgres: concat!(
                    "update ", $table, " t set ", $($column, " = r.", $column, ", ",)+
                    "version = t.version + 1, updated_at = {now}
                     from import_changes c cross join lateral jsonb_populate_record(null::", $table, ", c.pre_image) r
                     where c.tenant_id = $1 and c.import_id = $2 and c.entity = '", $entity, "'
                        and c.entity_id = any($3) and t.tenant_id = c.tenant_id and t.id = c.entity_id"
                ),
                sqlite: concat!(
                    "update ", $table, " set ", $($column, " = c.pre_image ->> '$.", $column, "', ",)+
                    "version = ", $table, ".version + 1, updated_at = {now}
                     from import_changes c
                     where c.tenant_id = $1 and c.import_id = $2 and c.entity = '", $entity, "'
                        and c.entity_id in (select value from json_each($3))
                        and ", $table, ".tenant_id = c.tenant_id and ", $table, ".id = c.entity_id"
                ),
            },
            delete: ::fairlane::sql!(concat!("delete from ", $table, " where tenant_id = $1 and id {in:$2}")),
            references: $references,
            companions: $companions,
            columns: &[$($column),+],
        }
    };
}

pub(crate) use change_sql;

impl Writing<'_> {
    /// Whether what is written can be undone.
    pub(super) fn keeps(&self) -> bool {
        self.keep && !self.dry
    }
}

/// Keeps stored rows as they are; pairs of number and the version they are about to have. What an import changes twice is
/// kept as it was before the first time.
pub(super) async fn keep_changed(
    conn: &mut Conn<'_>,
    scope: Scope,
    entity: &str,
    statements: ChangeSql,
    versions: &[(i64, i64)],
) -> Result<()> {
    debug_assert!(!entity.is_empty(), "the statement names it");
    let query = query(statements.keep).planned_anew().bind(scope.tenant_id).bind(scope.import_id);
    let query = match conn.dialect() {
        Dialect::Postgres => {
            let (ids, versions): (Vec<i64>, Vec<i64>) = versions.iter().copied().unzip();
            query.bind(ids).bind(versions)
        }
        Dialect::Sqlite => query.bind(json(versions)),
    };
    query.execute(conn).await.map(drop)
}

/// Notes which rows are new: nothing was there before.
pub(super) async fn keep_created(
    conn: &mut Conn<'_>,
    scope: Scope,
    entity: &str,
    ids: &[i64],
    versions: Vec<i64>,
) -> Result<()> {
    let statement = Sql {
        postgres: "insert into import_changes (tenant_id, import_id, entity, entity_id, version)
             select $1, $2, $3, u.id, u.version from unnest($4::bigint[], $5::bigint[]) u(id, version)",
        sqlite: "insert into import_changes (tenant_id, import_id, entity, entity_id, version)
             select $1, $2, $3, value ->> 0, value ->> 1 from jsonb_each($4)",
    };
    let query = query(statement).bind(scope.tenant_id).bind(scope.import_id).bind(entity);
    let query = match conn.dialect() {
        Dialect::Postgres => query.bind(ids.to_vec()).bind(versions),
        Dialect::Sqlite => query.bind(json(&ids.iter().zip(&versions).collect::<Vec<_>>())),
    };
    query.execute(conn).await.map(drop)
}

/// Numbers always have a JSON form.
fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Forgets what imports changed that ended more than `days` ago: the oldest few at a time.
pub(super) async fn prune(conn: &mut Conn<'_>, tenant_id: i64, days: i64) -> Result<u64> {
    query(sql!(
        "delete from import_changes where tenant_id = $1 and import_id in (
            select l.id from import_logs l where l.tenant_id = $1 and l.status in ('completed', 'failed')
                and coalesce(l.completed_at, l.failed_at) < {now} - {ms:$2}
                and exists (select 1 from import_changes c where c.tenant_id = $1 and c.import_id = l.id)
            order by l.id limit 5)"
    ))
    .bind(tenant_id)
    .bind(days.saturating_mul(86_400_000))
    .execute(conn)
    .await
}
