//! All verbs of the engine, on one page. Laravel's words are aliases.

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::exit::Exit;
use super::output::Output;
use super::session::Session;
use super::{
    App, bench, config, enqueue, events, failed, forget, jobs, migrate, monitor, queues, retry, schedules,
    show, tenants, work, workers,
};

const WORK_EXAMPLES: &str = "\
Examples:
  fairlane work
  fairlane work --queue high,default --concurrency 32
  fairlane work --stop-when-empty
Signals: TERM, INT, QUIT finish the running jobs (twice: stop at once); USR2 pauses, CONT resumes.";

const ENQUEUE_EXAMPLES: &str = "\
Examples:
  fairlane enqueue erp.process_bulk_import -t acme --payload '{\"import_id\": 7}'
  fairlane enqueue erp.generate_reports -t acme --payload @request.json --delay 5m --unique sales-2026";

const RETRY_EXAMPLES: &str = "\
Examples:
  fairlane retry 8eadbeef
  fairlane retry -t acme --since 2h --error \"timed out\" --dry-run
  fairlane retry --group 7f3a
  fairlane retry all -t acme --reason \"the ERP is back\"
A retried job keeps its id and its history and starts with attempt one.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run jobs until told to stop
    #[command(alias = "queue:work", alias = "queue:listen", after_long_help = WORK_EXAMPLES)]
    Work(work::Work),
    /// Queue one job
    #[command(after_long_help = ENQUEUE_EXAMPLES)]
    Enqueue(enqueue::Enqueue),
    /// List jobs
    Jobs(jobs::Jobs),
    /// Show one job: its timeline, its attempts, why it waits
    Show(show::Show),
    /// List failed jobs
    #[command(alias = "queue:failed")]
    Failed(failed::Failed),
    /// Try failed jobs again
    #[command(alias = "queue:retry", after_long_help = RETRY_EXAMPLES)]
    Retry(retry::Retry),
    /// Call jobs off: waiting ones at once, running ones through their worker
    Cancel(jobs::Cancel),
    /// Remove failed jobs for good
    #[command(visible_alias = "discard", alias = "queue:forget")]
    Forget(forget::Forget),
    /// Remove failed jobs older than a time
    #[command(alias = "queue:prune-failed", alias = "prune-failed")]
    Purge(forget::Purge),
    /// Remove all failed jobs
    #[command(alias = "queue:flush")]
    Flush(forget::Flush),
    /// List queues: what waits, for how long, what runs
    Queues(queues::Queues),
    /// Stop a queue (or a tenant) from starting jobs
    #[command(alias = "queue:pause", alias = "horizon:pause")]
    Pause(queues::Pause),
    /// Let a paused queue (or tenant) start jobs again
    #[command(alias = "queue:resume", alias = "queue:continue", alias = "horizon:continue")]
    Resume(queues::Resume),
    /// Call off everything that waits in a queue
    #[command(alias = "queue:clear", alias = "horizon:clear")]
    Clear(queues::Clear),
    /// Exit with 8 when a queue is over a limit
    #[command(alias = "queue:monitor")]
    Monitor(monitor::Monitor),
    /// List worker processes
    Workers(workers::Workers),
    /// Let workers finish what they run and stop, for their process manager to start them afresh
    #[command(alias = "queue:restart", alias = "horizon:terminate")]
    Restart(workers::Restart),
    /// Jobs at set times
    #[command(subcommand)]
    Schedule(schedules::Schedule),
    /// Events, and what their listeners did
    #[command(subcommand)]
    Events(events::Events),
    /// The tenants
    #[command(subcommand)]
    Tenants(tenants::Tenants),
    /// Bring the database's schema up to date
    Migrate(migrate::Migrate),
    /// The configuration: what holds and why
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Measure on this machine, against a floor
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Print a completion script
    Completions(Completions),
    /// Print the version
    Version,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Verbs that work without a configuration, so that a broken one can't stop them.
pub(super) fn run_without_config(verb: &Verb, app: &App, out: Output) -> anyhow::Result<Option<Exit>> {
    match verb {
        Verb::Completions(completions) => {
            let mut script = Vec::new();
            clap_complete::generate(completions.shell, &mut app.clap(), app.name, &mut script);
            out.line(String::from_utf8_lossy(&script).trim_end())?;
        }
        Verb::Version => {
            let version = serde_json::json!({ "name": app.name, "version": app.version });
            out.result(&version, Some(app.version), &[format!("{} {}", app.name, app.version)])?;
        }
        Verb::Bench(bench::Bench::Simulate(args)) => return crate::bench::simulate::run(args, out).map(Some),
        Verb::Config(config::ConfigVerb::Template) => out.line(app.settings.template().trim_end())?,
        _ => return Ok(None),
    }
    Ok(Some(Exit::Done))
}

pub(super) async fn run(verb: Verb, session: &Session) -> anyhow::Result<Exit> {
    match verb {
        Verb::Work(verb) => work::work(&verb, session).await,
        Verb::Enqueue(verb) => enqueue::enqueue(verb, session).await,
        Verb::Jobs(verb) => jobs::list(&verb, session).await,
        Verb::Show(verb) => show::show(&verb, session).await,
        Verb::Failed(verb) => failed::list(&verb, session).await,
        Verb::Retry(verb) => retry::retry(&verb, session).await,
        Verb::Cancel(verb) => jobs::cancel(&verb, session).await,
        Verb::Forget(verb) => forget::forget(&verb, session).await,
        Verb::Purge(verb) => forget::purge(&verb, session).await,
        Verb::Flush(verb) => forget::flush(&verb, session).await,
        Verb::Queues(verb) => queues::list(&verb, session).await,
        Verb::Pause(verb) => queues::pause(&verb, session).await,
        Verb::Resume(verb) => queues::resume(&verb, session).await,
        Verb::Clear(verb) => queues::clear(&verb, session).await,
        Verb::Monitor(verb) => monitor::monitor(&verb, session).await,
        Verb::Workers(verb) => workers::list(&verb, session).await,
        Verb::Restart(verb) => workers::restart(&verb, session).await,
        Verb::Schedule(verb) => schedules::run(verb, session).await,
        Verb::Events(verb) => events::run(&verb, session).await,
        Verb::Tenants(verb) => tenants::run(&verb, session).await,
        Verb::Migrate(verb) => migrate::migrate(&verb, session).await,
        Verb::Config(verb) => config::run(&verb, session).await,
        Verb::Bench(verb) => bench::run(&verb, session).await,
        Verb::Completions(_) | Verb::Version => Ok(Exit::Done),
    }
}
