//! Bringing the schema up to date: roles, then migrations, a line per domain with a version table of its own.

use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};

use crate::db::{Conn, Db, DbOptions, Dialect, query, sqlite_file};
use crate::error::{Error, Result, is_missing_table};
use crate::sql;

/// A domain's migrations, for both databases.
#[derive(Debug)]
pub struct MigrationLine {
    /// The line's name: its version table is `_<name>_migrations`, so that an application keeps its own.
    pub name: &'static str,
    /// Its migrations for PostgreSQL.
    pub postgres: Migrator,
    /// Its migrations for SQLite.
    pub sqlite: Migrator,
}

/// One migration of a line and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The line it belongs to.
    pub line: &'static str,
    /// Its version.
    pub version: i64,
    /// What it is for.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// The engine's own migrations.
pub fn engine_line() -> MigrationLine {
    MigrationLine {
        name: "fairlane",
        postgres: sqlx::migrate!("migrations/engine/postgres"),
        sqlite: sqlx::migrate!("migrations/engine/sqlite"),
    }
}

/// Applies what is missing, line by line. Needs a direct connection: the migrator takes a session lock.
pub async fn migrate(options: &DbOptions, lines: Vec<MigrationLine>) -> Result<Vec<MigrationStatus>> {
    let before = status(options, &lines).await?;
    if before.iter().all(|migration| migration.applied) {
        // Nothing to do, which a login without the right to do it may find out too.
        return Ok(Vec::new());
    }
    match options.dialect()? {
        Dialect::Postgres => {
            let mut conn = connect_postgres(options).await?;
            make_roles(&mut conn).await?;
            become_owner(&mut conn).await?;
            for line in lines {
                run(line.postgres, line.name, &mut conn).await?;
                // Everybody may ask whether the schema is up to date; the name is a constant of the code.
                let table = version_table(line.name);
                let grant = format!("grant select on {table} to fairlane_app, fairlane_worker");
                sqlx::query(AssertSqlSafe(grant)).execute(&mut conn).await?;
            }
            let _ = conn.close().await;
        }
        Dialect::Sqlite => {
            let mut conn = connect_sqlite(options).await?;
            for line in lines {
                run(line.sqlite, line.name, &mut conn).await?;
            }
            let _ = conn.close().await;
        }
    }
    Ok(before
        .into_iter()
        .filter(|status| !status.applied)
        .map(|s| MigrationStatus { applied: true, ..s })
        .collect())
}

/// Applies everything to an SQLite database that is open already: one in memory has no other way in.
pub(crate) async fn migrate_db(db: &Db, lines: Vec<MigrationLine>) -> Result<()> {
    let mut tx = db.begin().await?;
    for line in lines {
        for migration in line.sqlite.iter() {
            if let Some(conn) = tx.as_sqlite() {
                sqlx::raw_sql(AssertSqlSafe(migration.sql.as_str().to_owned()))
                    .execute(conn)
                    .await
                    .map_err(|why| Error::Migration(format!("line {}: {why}", line.name)))?;
            }
        }
    }
    tx.commit().await
}

/// Every migration of the lines, and whether the database has it; changes nothing, and makes no SQLite file.
pub async fn status(options: &DbOptions, lines: &[MigrationLine]) -> Result<Vec<MigrationStatus>> {
    let mut found = Vec::new();
    for line in lines {
        let (known, applied) = match options.dialect()? {
            Dialect::Postgres => {
                (&line.postgres, applied_versions(&mut connect_postgres(options).await?, line.name).await?)
            }
            Dialect::Sqlite => (&line.sqlite, applied_to_file(options, line.name).await?),
        };
        found.extend(known.iter().map(|migration| MigrationStatus {
            line: line.name,
            version: migration.version,
            description: migration.description.to_string(),
            applied: applied.contains(&migration.version),
        }));
    }
    Ok(found)
}

/// The versions that an SQLite file has; one that is not there, or is empty, is left so.
async fn applied_to_file(options: &DbOptions, line: &str) -> Result<Vec<i64>> {
    let mut conn = match sqlite_file(options)? {
        Some(file) if !file.exists() => return Ok(Vec::new()),
        Some(file) => {
            let connect = SqliteConnectOptions::new().filename(file).read_only(true);
            connect.busy_timeout(Duration::from_secs(10)).connect().await?
        }
        None => connect_sqlite(options).await?,
    };
    applied_versions(&mut conn, line).await
}

fn version_table(line: &str) -> String {
    format!("_{line}_migrations")
}

async fn run<C>(mut migrator: Migrator, line: &'static str, conn: &mut C) -> Result<()>
where
    C: Migrate,
{
    migrator.dangerous_set_table_name(version_table(line));
    // A newer release may have gone ahead; its migrations are made to suit this one too.
    migrator.set_ignore_missing(true);
    migrator
        .run_direct(None, conn, false)
        .await
        .map_err(|why| Error::Migration(format!("line {line}: {why}")))
}

async fn applied_versions<C: Migrate>(conn: &mut C, line: &str) -> Result<Vec<i64>> {
    match conn.list_applied_migrations(&version_table(line)).await {
        Ok(applied) => Ok(applied.into_iter().map(|migration| migration.version).collect()),
        // A table that is not there yet has applied nothing. Who may not look, or finds the file locked, must not be told so.
        Err(MigrateError::Execute(source)) if is_missing_table(&source) => Ok(Vec::new()),
        Err(MigrateError::Execute(source)) => Err(source.into()),
        Err(why) => Err(Error::Migration(format!("line {line}: {why}"))),
    }
}

async fn connect_postgres(options: &DbOptions) -> Result<PgConnection> {
    let connect: sqlx::postgres::PgConnectOptions = options.url.parse().map_err(|why: sqlx::Error| {
        Error::Invalid { what: "the database URL".into(), why: why.to_string() }
    })?;
    Ok(connect.application_name("fairlane migrate").connect().await?)
}

async fn connect_sqlite(options: &DbOptions) -> Result<SqliteConnection> {
    Ok(crate::db::sqlite_connect_options(options)?.connect().await?)
}

/// The advisory lock of whoever changes roles: "fairlane".
const ROLES_LOCK: i64 = 0x6661_6972_6c61_6e65;

/// The three roles. They belong to the whole server, so they are made once, under a lock, by whoever comes first.
async fn make_roles(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_advisory_lock($1)").bind(ROLES_LOCK).execute(&mut *conn).await?;
    let made = make_missing_roles(conn).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(ROLES_LOCK).execute(&mut *conn).await?;
    made
}

/// Lets the tables belong to `fairlane_owner`, whoever makes them: no login of the application owns what it uses.
async fn become_owner(conn: &mut PgConnection) -> Result<()> {
    for statement in [
        "grant usage, create on schema public to fairlane_owner",
        "grant usage on schema public to fairlane_app, fairlane_worker",
        "do $$ begin
            if not pg_has_role(current_user, 'fairlane_owner', 'member') then
                execute format('grant fairlane_owner to %I', current_user);
            end if;
         end $$",
        "set role fairlane_owner",
    ] {
        sqlx::query(statement).execute(&mut *conn).await.map_err(|why| {
            Error::Migration(format!(
                "this login may not make tables for the role fairlane_owner ({why}); let an administrator migrate"
            ))
        })?;
    }
    Ok(())
}

async fn make_missing_roles(conn: &mut PgConnection) -> Result<()> {
    const ROLES: [(&str, &str); 3] = [
        ("fairlane_owner", "create role fairlane_owner nologin"),
        ("fairlane_app", "create role fairlane_app nologin nobypassrls"),
        ("fairlane_worker", "create role fairlane_worker nologin nobypassrls"),
    ];
    for (role, create) in ROLES {
        let known: bool = sqlx::query_scalar("select exists (select 1 from pg_roles where rolname = $1)")
            .bind(role)
            .fetch_one(&mut *conn)
            .await?;
        if !known {
            sqlx::query(create).execute(&mut *conn).await.map_err(|why| {
                Error::Migration(format!(
                    "the role {role} does not exist and this login may not make it ({why}); \
                     let an administrator run: {create}"
                ))
            })?;
        }
    }
    Ok(())
}

/// Makes a login for applications and workers: member of `fairlane_app` and `fairlane_worker`, never a superuser.
/// The password, if it needs one, is the administrator's to set.
pub async fn make_login(options: &DbOptions, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(Error::Invalid {
            what: format!("the login \"{name}\""),
            why: "it must have 1 to 63 of a-z, 0-9 and _".into(),
        });
    }
    let mut conn = connect_postgres(options).await?;
    // Roles belong to the whole server: two that grant at once would disturb each other. Closing the session unlocks.
    sqlx::query("select pg_advisory_lock($1)").bind(ROLES_LOCK).execute(&mut conn).await?;
    let known: bool = sqlx::query_scalar("select exists (select 1 from pg_roles where rolname = $1)")
        .bind(name)
        .fetch_one(&mut conn)
        .await?;
    let bypasses: bool = sqlx::query_scalar(
        "select coalesce((select rolsuper or rolbypassrls from pg_roles where rolname = $1), false)",
    )
    .bind(name)
    .fetch_one(&mut conn)
    .await?;
    if bypasses {
        return Err(Error::BypassesRowSecurity { role: name.into(), why: "no grant can confine it".into() });
    }
    // `name` holds letters, digits and underscores only.
    if !known {
        sqlx::query(AssertSqlSafe(format!("create role {name} login nobypassrls")))
            .execute(&mut conn)
            .await?;
    }
    sqlx::query(AssertSqlSafe(format!("grant fairlane_app, fairlane_worker to {name}")))
        .execute(&mut conn)
        .await?;
    let _ = conn.close().await;
    Ok(())
}

/// Refuses a login that would bypass row-level security: with it the second wall would be paint.
pub async fn check_login(db: &Db, allow_bypass: bool) -> Result<()> {
    if db.dialect() == Dialect::Sqlite || allow_bypass {
        return Ok(());
    }
    let mut tx = db.read().await?;
    let conn = &mut tx.conn();
    let row = query(sql!(
        "select current_user::text as role, rolsuper as super, rolbypassrls as bypass from pg_roles where rolname = current_user"
    ))
    .fetch_one(conn)
    .await?;
    let role: String = row.get("role")?;
    for (column, why) in [("super", "it is a superuser"), ("bypass", "it has BYPASSRLS")] {
        if row.get(column)? {
            return Err(Error::BypassesRowSecurity { role, why: why.into() });
        }
    }
    check_tables(conn, role).await
}

async fn check_tables(conn: &mut Conn<'_>, role: String) -> Result<()> {
    let open = query(sql!(
        "select relname::text as name from pg_class where relname = 'fairlane_jobs' and relkind = 'r'
         and not (relrowsecurity and relforcerowsecurity)"
    ))
    .fetch_optional(conn)
    .await?;
    match open {
        Some(_) => Err(Error::BypassesRowSecurity {
            role,
            why: "fairlane_jobs is not under forced row security".into(),
        }),
        None => Ok(()),
    }
}
