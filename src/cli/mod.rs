//! The command line of any application built on Fairlane.
//!
//! ```no_run
//! use fairlane::cli::{App, run};
//! use fairlane::config::Settings;
//!
//! fn main() -> std::process::ExitCode {
//!     run(App::new("fairlane", "0.1.0").settings(Settings::engine()))
//! }
//! ```
//!
//! One file per family of verbs; [`DomainCommand`] adds an application's own.

mod aliases;
mod args;
mod bench;
mod config;
mod confirm;
mod database_file;
mod domain;
mod enqueue;
mod events;
mod exit;
mod failed;
mod filters;
mod forget;
mod jobs;
mod migrate;
mod monitor;
mod output;
mod progress;
mod queues;
mod retry;
mod schedules;
mod session;
mod show;
mod tenant_limits;
mod tenant_usage;
mod tenants;
mod verbs;
mod work;
mod workers;

use std::ffi::OsString;
use std::io::Write;

use clap::{ArgMatches, Args as _, FromArgMatches, Subcommand as _};
use futures::future::BoxFuture;

pub use domain::{CommandEnv, DomainCommand};
pub use exit::{Exit, Failure};
pub use output::{Color, Format, Output, Page, PageEnd, Record, ago, json, printable, rfc3339, short};

use crate::client::Fairlane;
use crate::config::{Config, LogFormat, Origin, Settings, Sources, load};
use crate::registry::{Registry, Served};
use crate::store::migrate::{MigrationLine, engine_line};
use args::Globals;
use session::Session;
use verbs::Verb;

/// An application: its name, its settings, its migrations, its domains and their commands.
pub struct App {
    name: &'static str,
    version: &'static str,
    settings: Settings,
    lines: Vec<MigrationLine>,
    setups: Vec<BoundSetup>,
    commands: Vec<Box<dyn DomainCommand>>,
}

/// What a domain gets to build its state from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The client; its database is open.
    pub fairlane: Fairlane,
}

/// A domain's set-up with its state's type erased.
type BoundSetup = Box<dyn Fn(Setup) -> BoxFuture<'static, anyhow::Result<Served>> + Send + Sync>;

impl App {
    /// An application with the engine's settings, migrations and commands.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            settings: Settings::engine(),
            lines: vec![engine_line()],
            setups: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// The settings that the configuration may hold: the engine's, extended by the application's.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds a domain's migrations; lines are applied in the order they were added, the engine's first.
    pub fn migrations(mut self, line: MigrationLine) -> Self {
        self.lines.push(line);
        self
    }

    /// Adds a domain: how its state is built, and what it serves. Verbs that ask about the program alone build it on an
    /// empty database in memory: what it needs of a database it should read when a job needs it.
    pub fn domain<S, F, Fut>(mut self, setup: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(Setup) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<(Registry<S>, S)>> + Send + 'static,
    {
        self.setups.push(Box::new(move |given| {
            let fairlane = given.fairlane.clone();
            let building = setup(given);
            Box::pin(async move {
                let (registry, state) = building.await?;
                let _ = fairlane.with(&registry);
                Ok(registry.bind(state))
            })
        }));
        self
    }

    /// Adds a verb of the application's own.
    pub fn command(mut self, command: impl DomainCommand + 'static) -> Self {
        self.commands.push(Box::new(command));
        self
    }

    fn clap(&self) -> clap::Command {
        let root = clap::Command::new(self.name).version(self.version);
        let root = Verb::augment_subcommands(Globals::augment_args(root))
            .about("A multi-tenant background job queue on PostgreSQL or SQLite")
            .long_about(None::<&str>)
            .after_long_help(EXIT_CODES)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .disable_help_subcommand(true);
        domain::add_commands(root, &self.commands)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What `--help` says below the verbs.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong, 3 not found, 4 refused by the state of \
the thing, 5 partly done, 6 the database can't be reached, 7 not permitted, 8 a threshold is breached, 12 a worker \
reached its memory limit";

/// Runs the command line of this process: the `main()` of an application.
pub fn run(app: App) -> std::process::ExitCode {
    let arguments = aliases::spell_out(std::env::args_os().collect());
    match run_with(app, arguments) {
        Ok(code) => code,
        Err(error) => match Failure::of(&error) {
            None => Exit::Done.into(),
            Some(failure) => {
                report(&failure);
                failure.exit.into()
            }
        },
    }
}

/// `error: ...` and `  hint: ...` on standard error.
fn report(failure: &Failure) {
    let mut err = std::io::stderr().lock();
    for (index, line) in failure.message.lines().enumerate() {
        let label = if index == 0 { "error: " } else { "" };
        let _ = writeln!(err, "{label}{}", printable(line));
    }
    for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
        let _ = writeln!(err, "  hint: {}", printable(line));
    }
}

fn run_with(app: App, arguments: Vec<OsString>) -> anyhow::Result<std::process::ExitCode> {
    let matches = match app.clap().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are no errors; their reader may go away as well.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return Ok(exit.into());
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(Box::pin(dispatch(app, matches)));
    // A blocking read of standard input must not keep the process.
    runtime.shutdown_background();
    code
}

async fn dispatch(app: App, matches: ArgMatches) -> anyhow::Result<std::process::ExitCode> {
    let mut globals = Globals::from_arg_matches(&matches)?;
    globals.tenant_was_named = globals.tenant.is_some();
    if globals.tenant.is_none() && !globals.all_tenants {
        globals.tenant = std::env::var("FAIRLANE_TENANT").ok().filter(|slug| !slug.is_empty());
    }
    let out = Output::new(globals.output, globals.color, globals.quiet);
    let own = domain::find(&app.commands, &matches);
    let verb = if own.is_some() { None } else { Some(Verb::from_arg_matches(&matches)?) };
    if let Some(verb) = &verb
        && let Some(done) = verbs::run_without_config(verb, &app, out)?
    {
        return Ok(done.into());
    }
    let config = load(&app.settings, &sources(&globals, verb.as_ref()))?;
    let usual = match &verb {
        Some(Verb::Work(_)) => LogUse::Worker,
        Some(Verb::Bench(_)) => LogUse::Application,
        Some(_) => LogUse::Verb,
        None => LogUse::Application,
    };
    start_log(&config, &globals, usual)?;
    let bringing = app.commands.iter().filter(|command| command.brings_schema());
    let made_by = std::iter::once("migrate".to_owned())
        .chain(bringing.map(|command| command.command().get_name().to_owned()))
        .collect();
    let session = Session::new(config, globals, out, app.lines, made_by, app.setups)?;
    let ended = match (verb, own) {
        (Some(verb), _) => Box::pin(verbs::run(verb, &session)).await.map(Into::into),
        (None, Some((index, matches))) => match app.commands.get(index) {
            Some(command) => domain::run(command.as_ref(), matches.clone(), &session).await,
            None => Ok(Exit::Usage.into()),
        },
        (None, None) => Ok(Exit::Usage.into()),
    };
    session.close().await;
    ended
}

fn sources(globals: &Globals, verb: Option<&Verb>) -> Sources {
    let mut sources = Sources::process(globals.config.as_deref());
    if let Some(url) = &globals.database {
        sources = sources.flag("database.url", "--database", url);
    }
    match verb {
        Some(Verb::Work(work)) => work.flags(sources),
        _ => sources,
    }
}

/// Who logs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LogUse {
    /// A worker: its log is its output.
    Worker,
    /// A verb of the engine: says what goes wrong.
    Verb,
    /// A verb of the application: it may run jobs in this process, and shows their results itself.
    Application,
}

/// A worker logs what the configuration says; the others less, unless the configuration or `-v` asks for more.
fn start_log(config: &Config, globals: &Globals, usual: LogUse) -> anyhow::Result<()> {
    let mut log = config.log()?;
    let asked = match (globals.quiet, globals.verbose) {
        (true, _) => Some("error"),
        (_, 0) if usual == LogUse::Worker || config.origin("log.filter") != Some(&Origin::Default) => None,
        (_, 0) if usual == LogUse::Application => Some("off"),
        (_, 0) => Some("warn"),
        (_, 1) => Some("debug,sqlx=info"),
        _ => Some("trace"),
    };
    if let Some(filter) = asked {
        log.filter = filter.to_owned();
    }
    if usual != LogUse::Worker && log.format == LogFormat::Auto {
        log.format = LogFormat::Text;
    }
    crate::logging::init(&log)?;
    config.notes().iter().for_each(|note| tracing::info!("{note}"));
    Ok(())
}
