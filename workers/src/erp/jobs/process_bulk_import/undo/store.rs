//! How far the undoing of an import is: the marks on its changes, and its part of the log.

use fairlane::db::{Conn, Dialect, Row, Sql, query};
use fairlane::{Result, Tenant, sql};
use serde::Serialize;
use uuid::Uuid;

use super::super::import_type::{Kept, Scope, Undone};

/// Which changes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// What the import created.
    #[default]
    Created,
    /// What it changed.
    Changed,
    /// What the database refused before: its key may be free by now.
    Refused,
}

const CREATED: Sql = sql!(
    "select entity_id, version from import_changes
     where tenant_id = $1 and import_id = $2 and entity = $3 and entity_id > $4 and pre_image is null
        and outcome is null
     order by entity_id limit $5"
);
const CHANGED: Sql = sql!(
    "select entity_id, version from import_changes
     where tenant_id = $1 and import_id = $2 and entity = $3 and entity_id > $4 and pre_image is not null
        and outcome is null
     order by entity_id limit $5"
);
const REFUSED: Sql = sql!(
    "select entity_id, version from import_changes
     where tenant_id = $1 and import_id = $2 and entity = $3 and entity_id > $4 and outcome = 'conflict'
        and code = 'refused' and pre_image is not null
     order by entity_id limit $5"
);

/// The next changes of a phase behind a record.
pub(super) async fn page(
    conn: &mut Conn<'_>,
    scope: Scope,
    entity: &str,
    phase: Phase,
    after: i64,
    limit: i64,
) -> Result<Vec<Kept>> {
    let statement = match phase {
        Phase::Created => CREATED,
        Phase::Changed => CHANGED,
        Phase::Refused => REFUSED,
    };
    let rows = query(statement)
        .planned_anew()
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .bind(entity)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    let read = |row: &Row| {
        let (id, version) = (row.get("entity_id")?, row.get("version")?);
        Ok(Kept { id, version, is_new: phase == Phase::Created })
    };
    rows.iter().map(read).collect()
}

/// Marks changes with what undoing them came to.
pub(super) async fn mark(conn: &mut Conn<'_>, scope: Scope, entity: &str, undone: &[Undone]) -> Result<()> {
    let statement = Sql {
        postgres: "update import_changes c set outcome = u.outcome, label = u.label, code = u.code, message = u.message
             from jsonb_to_recordset($4::jsonb) as u(id bigint, outcome text, label text, code text, message text)
             where c.tenant_id = $1 and c.import_id = $2 and c.entity = $3 and c.entity_id = u.id",
        // An update would read all changes of the import, and the list once for each.
        sqlite: "insert into import_changes (tenant_id, import_id, entity, entity_id, version, outcome, label, code, message)
             select $1, $2, $3, value ->> 'id', 0, value ->> 'outcome', value ->> 'label', value ->> 'code', value ->> 'message'
             from jsonb_each($4) where true
             on conflict (tenant_id, import_id, entity, entity_id) do update set outcome = excluded.outcome,
                label = excluded.label, code = excluded.code, message = excluded.message",
    };
    query(statement)
        .planned_anew()
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .bind(entity)
        .bind(serde_json::to_string(undone).unwrap_or_default())
        .execute(conn)
        .await
        .map(drop)
}

/// Records that are back as an earlier import left them have a new version: that import can be undone next, also when it
/// was tried too early and has conflicts by that.
pub(super) async fn follow_versions(
    conn: &mut Conn<'_>,
    scope: Scope,
    entity: &str,
    import_type: &str,
    versions: &[(i64, i64)],
) -> Result<()> {
    let statement = Sql {
        postgres: "update import_changes e set version = u.version
             from unnest($5::bigint[], $6::bigint[]) u(id, version)
             join import_changes c on c.tenant_id = $1 and c.import_id = $2 and c.entity = $3 and c.entity_id = u.id
             join import_logs l on l.tenant_id = $1 and l.import_type = $4 and l.id < $2
             where e.tenant_id = $1 and e.import_id = l.id and e.entity = $3 and e.entity_id = u.id
                and (e.outcome is null or e.outcome = 'conflict') and e.version = (c.pre_image ->> 'version')::bigint",
        sqlite: "insert into import_changes (tenant_id, import_id, entity, entity_id, version)
             select e.tenant_id, e.import_id, e.entity, e.entity_id, u.value ->> 1
             from jsonb_each($5) u
             cross join import_changes c on c.tenant_id = $1 and c.import_id = $2 and c.entity = $3
                and c.entity_id = u.value ->> 0
             cross join import_logs l on l.tenant_id = $1 and l.import_type = $4 and l.id < $2
             cross join import_changes e on e.tenant_id = $1 and e.import_id = l.id and e.entity = $3
                and e.entity_id = u.value ->> 0
             where (e.outcome is null or e.outcome = 'conflict') and e.version = c.pre_image ->> 'version'
             on conflict (tenant_id, import_id, entity, entity_id) do update set version = excluded.version",
    };
    let query = query(statement)
        .planned_anew()
        .bind(scope.tenant_id)
        .bind(scope.import_id)
        .bind(entity)
        .bind(import_type);
    let query = match conn.dialect() {
        Dialect::Postgres => {
            let (ids, versions): (Vec<i64>, Vec<i64>) = versions.iter().copied().unzip();
            query.bind(ids).bind(versions)
        }
        Dialect::Sqlite => query.bind(serde_json::to_string(versions).unwrap_or_default()),
    };
    query.execute(conn).await.map(drop)
}

/// Lets the conflicts of an earlier undoing be looked at again.
pub(super) async fn forget_conflicts(conn: &mut Conn<'_>, scope: Scope) -> Result<()> {
    query(sql!(
        "update import_changes set outcome = null, label = null, code = null, message = null
         where tenant_id = $1 and import_id = $2 and outcome = 'conflict'"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .execute(conn)
    .await
    .map(drop)
}

/// Enters the wish to undo an import; conflicts of an earlier undoing are looked at again.
pub(super) async fn enter(conn: &mut Conn<'_>, scope: Scope, job: Uuid) -> Result<()> {
    forget_conflicts(conn, scope).await?;
    query(sql!(
        "update import_logs set undo_status = 'pending', undo_job_id = $3, undo_failure = null, conflict_rows = 0,
            undo_requested_at = {now}, undone_at = null, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .bind(job)
    .execute(conn)
    .await
    .map(drop)
}

/// Brings the log up to date with what is undone.
pub(super) async fn progress(
    conn: &mut Conn<'_>,
    scope: Scope,
    status: &str,
    undone: u64,
    conflicts: u64,
) -> Result<()> {
    query(sql!(
        "update import_logs set undo_status = $3, undone_rows = undone_rows + $4, conflict_rows = conflict_rows + $5,
            undone_at = case when $3 = 'completed' then {now} end, updated_at = {now}
         where tenant_id = $1 and id = $2"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .bind(status)
    .bind(i64::try_from(undone).unwrap_or(i64::MAX))
    .bind(i64::try_from(conflicts).unwrap_or(i64::MAX))
    .execute(conn)
    .await
    .map(drop)
}

/// Counts the conflicts that are left: those that were refused may have found their key free.
pub(super) async fn recount(conn: &mut Conn<'_>, scope: Scope) -> Result<()> {
    query(sql!(
        "update import_logs set conflict_rows = (select count(*) from import_changes c
            where c.tenant_id = $1 and c.import_id = $2 and c.outcome = 'conflict')
         where tenant_id = $1 and id = $2"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .execute(conn)
    .await
    .map(drop)
}

/// Marks an undoing whose job has failed for good; one whose job was retried meanwhile goes on.
pub(super) async fn mark_failed(tenant: &Tenant, import_id: i64, error: &str) -> Result<()> {
    let mut tx = tenant.begin().await?;
    query(sql!(
        "update import_logs set undo_status = 'failed', undo_failure = $3, updated_at = {now}
         where tenant_id = $1 and id = $2 and undo_status in ('pending', 'processing')
            and not exists (select 1 from fairlane_jobs j where j.id = import_logs.undo_job_id)"
    ))
    .bind(tenant.id().await?)
    .bind(import_id)
    .bind(error)
    .execute(&mut tx.conn())
    .await?;
    tx.commit().await
}

/// Whether an import has changes that are kept, whether its time is over, and whether a job is undoing it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) kept: bool,
    pub(super) too_old: bool,
    pub(super) job_is_live: bool,
}

pub(super) async fn standing(conn: &mut Conn<'_>, scope: Scope, days: i64) -> Result<Standing> {
    let row = query(sql!(
        "select exists (select 1 from import_changes c where c.tenant_id = $1 and c.import_id = $2) as kept,
            coalesce(l.completed_at, l.failed_at) < {now} - {ms:$3} as too_old,
            exists (select 1 from fairlane_jobs j where j.id = l.undo_job_id) as live
         from import_logs l where l.tenant_id = $1 and l.id = $2"
    ))
    .bind(scope.tenant_id)
    .bind(scope.import_id)
    .bind(days.saturating_mul(86_400_000))
    .fetch_one(conn)
    .await?;
    Ok(Standing {
        kept: row.get("kept")?,
        too_old: row.get::<Option<bool>>("too_old")?.unwrap_or(false),
        job_is_live: row.get("live")?,
    })
}

/// A change that was not undone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// What it is: `product` ...
    pub entity: String,
    /// Its number inside the database.
    pub entity_id: i64,
    /// What people know it by.
    pub label: Option<String>,
    /// The stable word.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// The conflicts of an import's undoing behind a record.
pub async fn conflicts(
    conn: &mut Conn<'_>,
    tenant_id: i64,
    import_id: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<Conflict>> {
    let rows = query(sql!(
        "select entity, entity_id, label, code, message from import_changes
         where tenant_id = $1 and import_id = $2 and entity_id > $3 and outcome = 'conflict'
         order by entity_id limit $4"
    ))
    .bind(tenant_id)
    .bind(import_id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = |row: &Row| {
        Ok(Conflict {
            entity: row.get("entity")?,
            entity_id: row.get("entity_id")?,
            label: row.get("label")?,
            code: row.get::<Option<String>>("code")?.unwrap_or_default(),
            message: row.get::<Option<String>>("message")?.unwrap_or_default(),
        })
    };
    rows.iter().map(read).collect()
}
