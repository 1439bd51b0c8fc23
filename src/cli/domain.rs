//! Verbs of the application's own: `import`, `demo`, benches.

use clap::ArgMatches;
use futures::future::BoxFuture;

use super::output::Output;
use super::session::{Database, Session};
use crate::bench::{self, Common};
use crate::client::Fairlane;
use crate::config::Config;
use crate::db::{Db, DbOptions};
use crate::registry::Served;
use crate::store::migrate::MigrationStatus;
use crate::worker::Worker;

/// A verb that an application adds to the command line.
pub trait DomainCommand: Send + Sync {
    /// Its name, arguments and help.
    fn command(&self) -> clap::Command;

    /// Runs it.
    fn run(
        &self,
        matches: ArgMatches,
        env: CommandEnv,
    ) -> BoxFuture<'static, anyhow::Result<std::process::ExitCode>>;

    /// The verb it stands under, such as `bench`; `None` puts it beside the engine's own.
    fn group(&self) -> Option<&'static str> {
        None
    }

    /// Whether it brings the schema itself ([`CommandEnv::migrate`]); the others want it to be there.
    fn brings_schema(&self) -> bool {
        false
    }

    /// Whether it works on a database of its own, as benches do: made beside the one that was named, with the schema, and
    /// dropped in the end unless `--keep` is given. No tenant of the one that was named is meant then.
    fn own_database(&self) -> bool {
        false
    }
}

/// What a verb of the application gets.
#[derive(Clone)]
pub struct CommandEnv {
    /// The configuration.
    pub config: Config,
    /// The client, on an open database; it knows the application's listeners.
    pub fairlane: Fairlane,
    /// Where results are printed, and in which shape.
    pub output: Output,
    /// The tenant of `-t`, if one was named; it exists.
    pub tenant: Option<String>,
    database: Database,
    served: Served,
}

impl std::fmt::Debug for CommandEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandEnv").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl CommandEnv {
    /// Brings the schema up to date; returns what was applied.
    pub async fn migrate(&self) -> anyhow::Result<Vec<MigrationStatus>> {
        self.database.migrate().await
    }

    /// The tenant of `-t`, or an error that says how to name it.
    pub fn required_tenant(&self) -> anyhow::Result<&str> {
        self.tenant.as_deref().ok_or_else(|| {
            super::Failure::usage("which tenant? name it with -t SLUG")
                .hint("list them: fairlane tenants list")
                .into()
        })
    }

    /// How workers reach the database: on PostgreSQL under their role, so that row-level security is as it is in
    /// production, however powerful the login that was named.
    pub fn worker_url(&self) -> anyhow::Result<String> {
        Ok(bench::worker_url(&self.database.options.url)?)
    }

    /// The database as workers reach it.
    pub async fn worker_db(&self) -> anyhow::Result<Db> {
        let url = self.worker_url()?;
        let options = DbOptions { url, allow_bypass_rls: false, ..self.database.options.clone() };
        Ok(Db::open(&options).await?)
    }

    /// The kinds that the application's domains serve.
    pub fn kinds(&self) -> Vec<&str> {
        self.served.kinds.keys().map(String::as_str).collect()
    }

    /// A worker that serves the application's domains, for commands that run their own jobs.
    pub fn worker(&self) -> Worker {
        Worker::new(&self.fairlane).serve_bound(self.served.clone())
    }
}

/// Keeps a database that was made for the verb.
const KEEP: &str = "keep";

/// Adds the application's verbs; those of a group go below the engine's verb of that name where it has one.
pub(super) fn add_commands(mut root: clap::Command, commands: &[Box<dyn DomainCommand>]) -> clap::Command {
    for command in commands {
        let verb = with_keep(command.as_ref());
        root = match command.group() {
            None => root.subcommand(verb),
            Some(group) if root.find_subcommand(group).is_some() => {
                root.mut_subcommand(group, |parent| parent.subcommand(verb))
            }
            Some(group) => {
                root.subcommand(clap::Command::new(group).subcommand_required(true).subcommand(verb))
            }
        };
    }
    root
}

/// The verb as it is typed: one with a database of its own can keep it.
fn with_keep(command: &dyn DomainCommand) -> clap::Command {
    let verb = command.command();
    if !command.own_database() {
        return verb;
    }
    let keep = clap::Arg::new(KEEP).long(KEEP).action(clap::ArgAction::SetTrue);
    verb.arg(keep.help("Keep the bench's database"))
}

/// The application's verb that was typed, and its arguments.
pub(super) fn find<'m>(
    commands: &[Box<dyn DomainCommand>],
    matches: &'m ArgMatches,
) -> Option<(usize, &'m ArgMatches)> {
    let (verb, arguments) = matches.subcommand()?;
    let inner = arguments.subcommand();
    commands.iter().enumerate().find_map(|(index, command)| {
        let name = command.command().get_name().to_owned();
        match (command.group(), inner) {
            (None, _) if name == verb => Some((index, arguments)),
            (Some(group), Some((inner, arguments))) if group == verb && name == inner => {
                Some((index, arguments))
            }
            _ => None,
        }
    })
}

pub(super) async fn run(
    command: &dyn DomainCommand,
    matches: ArgMatches,
    session: &Session,
) -> anyhow::Result<std::process::ExitCode> {
    if command.own_database() {
        return Box::pin(run_apart(command, matches, session)).await;
    }
    let fairlane = if command.brings_schema() {
        session.fairlane_without_schema().await?
    } else {
        session.fairlane().await?
    };
    let served = session.served().await?.clone();
    if !command.brings_schema() {
        // An event that a verb publishes must find its listeners, also when no worker has ever run.
        fairlane.announce().await?;
    }
    let tenant = match command.brings_schema() {
        // The tenant may be one that the command is about to make.
        true => session.globals.tenant.clone(),
        false => {
            session.tenant_id().await?;
            session.globals.tenant.clone()
        }
    };
    let env = CommandEnv {
        config: session.config.clone(),
        fairlane: fairlane.clone(),
        output: session.out,
        tenant,
        database: session.database.clone(),
        served,
    };
    command.run(matches, env).await
}

/// On a database that is made beside the one that was named.
async fn run_apart(
    command: &dyn DomainCommand,
    matches: ArgMatches,
    session: &Session,
) -> anyhow::Result<std::process::ExitCode> {
    let (named, lines) = (&session.database.options, session.database.lines().await);
    let once = Common::once(matches.get_flag(KEEP));
    bench::on_own_database(named, lines, &once, session.out, async |bench| {
        let (fairlane, served) = session.served_on(bench.observer().clone()).await?;
        fairlane.announce().await?;
        let url = bench.observer().options().url.clone();
        let options = DbOptions { url, ..named.clone() };
        let env = CommandEnv {
            config: session.config.clone(),
            fairlane,
            output: session.out,
            tenant: None,
            database: Database { options, ..session.database.clone() },
            served,
        };
        command.run(matches, env).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::App;

    struct Verb(&'static str, Option<&'static str>);

    impl DomainCommand for Verb {
        fn command(&self) -> clap::Command {
            clap::Command::new(self.0).arg(clap::Arg::new("file"))
        }

        fn run(
            &self,
            _: ArgMatches,
            _: CommandEnv,
        ) -> BoxFuture<'static, anyhow::Result<std::process::ExitCode>> {
            Box::pin(async { Ok(std::process::ExitCode::SUCCESS) })
        }

        fn group(&self) -> Option<&'static str> {
            self.1
        }
    }

    #[test]
    fn a_domain_adds_verbs_beside_the_engines_and_below_a_group() {
        let app = App::new("fairlane", "0")
            .command(Verb("import", None))
            .command(Verb("import", Some("bench")))
            .command(Verb("jobs", Some("bench")));
        app.clap().debug_assert();
        let found = |line: &str| {
            let matches = app.clap().try_get_matches_from(line.split(' ')).unwrap();
            find(&app.commands, &matches).map(|(index, _)| index)
        };
        assert_eq!(found("fairlane import f.csv"), Some(0));
        assert_eq!(found("fairlane bench import f.csv -t acme"), Some(1));
        assert_eq!(found("fairlane bench jobs"), Some(2));
        assert_eq!(found("fairlane jobs"), None);
    }
}
