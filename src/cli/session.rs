//! What a command has at hand: configuration, output, and the database once it asks for it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, OnceCell};

use super::args::Globals;
use super::database_file::refuse_other_files;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::{BoundSetup, Setup};
use crate::admin::Operator;
use crate::client::{ClientSettings, Fairlane, PayloadLimits, WakeMode};
use crate::config::{self, Config};
use crate::db::{Db, DbOptions, Dialect, Pooler, Synchronous, postgres_connect_options, query, sqlite_file};
use crate::error::Error;
use crate::policy::PolicyOverride;
use crate::registry::Served;
use crate::sql;
use crate::store::migrate::{self, MigrationLine, MigrationStatus};

/// What a command has at hand.
pub(super) struct Session {
    pub(super) config: Config,
    pub(super) globals: Globals,
    pub(super) out: Output,
    pub(super) database: Database,
    setups: Arc<Vec<BoundSetup>>,
    fairlane: OnceCell<Fairlane>,
    served: OnceCell<Served>,
}

/// How to reach the database and bring its schema up to date.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pub(super) options: DbOptions,
    pub(super) lines: Arc<Mutex<Vec<MigrationLine>>>,
    /// The verbs that make a database where there is none.
    pub(super) made_by: Arc<[String]>,
}

impl Session {
    pub(super) fn new(
        config: Config,
        globals: Globals,
        out: Output,
        lines: Vec<MigrationLine>,
        made_by: Vec<String>,
        setups: Vec<BoundSetup>,
    ) -> anyhow::Result<Self> {
        let database = Database {
            options: db_options(&config)?,
            lines: Arc::new(Mutex::new(lines)),
            made_by: made_by.into(),
        };
        Ok(Self {
            config,
            globals,
            out,
            database,
            setups: Arc::new(setups),
            fairlane: OnceCell::new(),
            served: OnceCell::new(),
        })
    }

    /// The client, on a database whose schema is there. In an SQLite file the schema is brought up to date; on PostgreSQL
    /// that is an administrator's decision. Neither is made here: a verb in the wrong folder must not show an empty queue.
    pub(super) async fn fairlane(&self) -> anyhow::Result<&Fairlane> {
        self.fairlane.get_or_try_init(|| self.connect(true)).await
    }

    /// As [`Session::fairlane`], for commands that bring the schema themselves.
    pub(super) async fn fairlane_without_schema(&self) -> anyhow::Result<&Fairlane> {
        self.fairlane.get_or_try_init(|| self.connect(false)).await
    }

    async fn connect(&self, want_schema: bool) -> anyhow::Result<Fairlane> {
        if self.database.options.dialect()? == Dialect::Sqlite {
            if want_schema {
                self.database.refuse_without_schema().await?;
            }
            self.database.migrate().await?;
        }
        if self.database.options.dialect()? == Dialect::Postgres {
            knock(&self.database.options).await?;
        }
        let db = Db::open(&self.database.options).await?;
        if want_schema && db.dialect() == Dialect::Postgres {
            check_schema(&db).await?;
            migrate::check_login(&db, self.database.options.allow_bypass_rls).await?;
        }
        Ok(Fairlane::new(db, client_settings(&self.config)?))
    }

    /// What the domains of this application serve; their state is built at the first call.
    pub(super) async fn served(&self) -> anyhow::Result<&Served> {
        let fairlane = self.fairlane_without_schema().await?;
        self.served.get_or_try_init(|| self.set_up(fairlane)).await
    }

    /// The same without the database: on an empty one in memory. For questions about the program alone.
    pub(super) async fn served_without_database(&self) -> anyhow::Result<Served> {
        let db = Db::open(&DbOptions::new("sqlite::memory:")).await?;
        Ok(self.served_on(db).await?.1)
    }

    /// A client on another database, and what the domains serve on it.
    pub(super) async fn served_on(&self, db: Db) -> anyhow::Result<(Fairlane, Served)> {
        let fairlane = Fairlane::new(db, client_settings(&self.config)?);
        let served = self.set_up(&fairlane).await?;
        Ok((fairlane, served))
    }

    async fn set_up(&self, fairlane: &Fairlane) -> anyhow::Result<Served> {
        let mut served = Served::default();
        for setup in self.setups.iter() {
            served.extend(setup(Setup { config: self.config.clone(), fairlane: fairlane.clone() }).await?);
        }
        Ok(served)
    }

    /// The number of the tenant that was named, if one was.
    pub(super) async fn tenant_id(&self) -> anyhow::Result<Option<i64>> {
        match &self.globals.tenant {
            Some(slug) => self.known_tenant(slug).await.map(Some),
            None => Ok(None),
        }
    }

    /// The number of a tenant; of one that does not exist, the likely one is told.
    pub(super) async fn known_tenant(&self, slug: &str) -> anyhow::Result<i64> {
        let fairlane = self.fairlane().await?;
        match fairlane.tenant(slug).id().await {
            Ok(id) => Ok(id),
            Err(Error::UnknownTenant { .. }) => Err(self.unknown_tenant(fairlane, slug).await?.into()),
            Err(why) => Err(why.into()),
        }
    }

    /// The tenant that a command can't do without.
    pub(super) async fn required_tenant(&self) -> anyhow::Result<&str> {
        let Some(slug) = &self.globals.tenant else {
            return Err(Failure::usage("which tenant? name it with -t SLUG")
                .hint("list them: fairlane tenants list")
                .into());
        };
        self.tenant_id().await?;
        Ok(slug)
    }

    async fn unknown_tenant(&self, fairlane: &Fairlane, slug: &str) -> anyhow::Result<Failure> {
        let mut tx = fairlane.db().read().await?;
        let tenants = crate::store::tenants::list(&mut tx.conn()).await?.rows;
        let slugs = tenants.iter().map(|tenant| tenant.slug.as_str());
        let error = Error::UnknownTenant { slug: slug.to_owned() };
        let hint = match did_you_mean(slug, slugs) {
            Some(near) => format!("did you mean \"{near}\"?   list them: fairlane tenants list"),
            None => error.hint().unwrap_or_default(),
        };
        Ok(Failure::new(Exit::NotFound, error.to_string()).hint(hint))
    }

    /// Who does something, and why.
    pub(super) fn operator(&self, reason: Option<&str>) -> Operator {
        let user = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let actor = self.globals.actor.clone().or_else(user).filter(|name| !name.trim().is_empty());
        Operator { actor: actor.unwrap_or_else(|| "fairlane".to_owned()), reason: reason.map(str::to_owned) }
    }

    /// Ends all connections, so that nothing of a group commit is left open.
    pub(super) async fn close(&self) {
        if let Some(fairlane) = self.fairlane.get() {
            fairlane.db().close().await;
        }
    }
}

impl Database {
    /// The migrations there are.
    pub(super) async fn lines(&self) -> Vec<MigrationLine> {
        self.lines.lock().await.iter().map(copy).collect()
    }

    /// Applies what is missing; returns what was applied. Two processes may meet on a new file: the one that lost the
    /// race looks again.
    pub(super) async fn migrate(&self) -> anyhow::Result<Vec<MigrationStatus>> {
        self.refuse_other_files()?;
        let mut lines = self.lines.lock().await;
        let mut tries = 0;
        loop {
            let status = migrate::status(&self.options, &lines).await;
            match status {
                Ok(status) if status.iter().all(|migration| migration.applied) => return Ok(Vec::new()),
                Ok(_) => {}
                Err(why) if tries >= 20 || !why.is_transient() => return Err(why.into()),
                Err(_) => {}
            }
            if lines.is_empty() {
                return Ok(Vec::new());
            }
            let given = lines.iter().map(copy).collect();
            match migrate::migrate(&self.options, given).await {
                Ok(applied) => {
                    lines.clear();
                    return Ok(applied);
                }
                Err(why) if tries >= 20 || self.options.dialect()? == Dialect::Postgres => {
                    return Err(why.into());
                }
                Err(_) => tries += 1,
            }
            tokio::time::sleep(Duration::from_millis(50 + fastrand::u64(..100))).await;
        }
    }

    /// Refuses a file that is not there, or that holds no schema of Fairlane.
    async fn refuse_without_schema(&self) -> anyhow::Result<()> {
        let Some(file) = sqlite_file(&self.options)? else { return Ok(()) };
        let place = std::path::absolute(&file).unwrap_or_else(|_| file.clone());
        let place = place.display();
        let missing = if !file.exists() {
            format!("there is no database at {place}")
        } else if self.status().await?.iter().all(|migration| !migration.applied) {
            format!("the database {place} has no schema of Fairlane yet")
        } else {
            return Ok(());
        };
        let made_by =
            self.made_by.iter().map(|verb| format!("fairlane {verb}")).collect::<Vec<_>>().join(", or ");
        Err(Failure::new(Exit::Refused, missing)
            .hint(format!(
                "another one? name it with -d (--database) or go to its folder   make it: {made_by}"
            ))
            .into())
    }

    fn refuse_other_files(&self) -> anyhow::Result<()> {
        if self.options.dialect()? == Dialect::Sqlite
            && let Some(file) = sqlite_file(&self.options)?
        {
            refuse_other_files(&file)?;
        }
        Ok(())
    }

    /// Every migration, and whether the database has it.
    pub(super) async fn status(&self) -> anyhow::Result<Vec<MigrationStatus>> {
        self.refuse_other_files()?;
        let lines = self.lines.lock().await;
        Ok(migrate::status(&self.options, &lines).await?)
    }
}

/// A line's migrations are static: a copy shares them.
fn copy(line: &MigrationLine) -> MigrationLine {
    let copy = |from: &sqlx::migrate::Migrator| sqlx::migrate::Migrator {
        migrations: from.migrations.clone(),
        ..sqlx::migrate::Migrator::DEFAULT
    };
    MigrationLine { name: line.name, postgres: copy(&line.postgres), sqlite: copy(&line.sqlite) }
}

/// A pool keeps trying for ten seconds and then says only that it gave up: a single connection says why, at once.
async fn knock(options: &DbOptions) -> anyhow::Result<()> {
    let connect = postgres_connect_options(options)?;
    let connection = connect.connect().await.map_err(Error::from)?;
    let _ = connection.close().await;
    Ok(())
}

async fn check_schema(db: &Db) -> anyhow::Result<()> {
    let mut tx = db.read().await?;
    let row = query(sql!("select to_regclass('fairlane_jobs') is null as missing"))
        .fetch_one(&mut tx.conn())
        .await?;
    if row.get::<bool>("missing")? {
        return Err(Failure::new(Exit::Refused, "the database has no schema of Fairlane yet")
            .hint("make it, as an administrator: fairlane migrate")
            .into());
    }
    Ok(())
}

fn db_options(config: &Config) -> anyhow::Result<DbOptions> {
    let database = config.database()?;
    Ok(DbOptions {
        max_connections: database.max_connections,
        pooler: match database.pooler {
            config::Pooler::None => Pooler::None,
            config::Pooler::Transaction => Pooler::Transaction,
        },
        allow_bypass_rls: database.allow_bypass_rls,
        synchronous: match database.synchronous {
            config::Synchronous::Full => Synchronous::Full,
            config::Synchronous::Normal => Synchronous::Normal,
        },
        statement_timeout: database.statement_timeout.unwrap_or_default(),
        ..DbOptions::new(database.url.expose())
    })
}

fn client_settings(config: &Config) -> anyhow::Result<ClientSettings> {
    let limits = config.limits()?;
    let kinds = config.kinds().map(|(kind, changed)| {
        let policy = PolicyOverride {
            queue: changed.queue.clone(),
            priority: changed.priority.map(i32::from),
            attempts: changed.attempts,
            timeout: changed.timeout,
            backoff: changed.backoff.clone(),
        };
        (kind.to_owned(), policy)
    });
    let queue = config.dispatch()?.queue;
    Ok(ClientSettings {
        payload: PayloadLimits { bytes: limits.payload_bytes, depth: limits.payload_depth },
        limits: config.limit_defaults()?,
        kinds: kinds.collect(),
        default_queue: Some(queue).filter(|queue| queue != "default"),
        wake: match config.database()?.wake {
            config::Wake::Auto => WakeMode::default(),
            config::Wake::Poll => WakeMode::Poll,
        },
    })
}

/// The candidate that was probably meant.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= limit || candidate.rsplit('.').next().is_some_and(|last| last == word)
        })
        .min()
        .map(|(_, candidate)| candidate)
}
