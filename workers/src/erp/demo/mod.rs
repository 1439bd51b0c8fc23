//! `fairlane demo`: real work through the queue, on the database every other verb looks at.
//!
//! Nothing here is made up for the show: the same services, jobs and listeners that an application calls. Repeating it
//! changes nothing that is there already.
//!
//! It adds a tenant, runs whatever is queued and writes every mail into a folder: on a database that somebody works with
//! that would be a disaster. So it runs on the default file or where it is told to (`--here`), and only beside nobody.

mod place;
mod stock;
mod story;
mod tour;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::Error;
use fairlane::cli::{CommandEnv, DomainCommand, Failure};
use fairlane::db::Dialect;
use fairlane::worker::{Worker, WorkerOptions, listen_to_signals};
use futures::future::BoxFuture;

use story::Story;

use crate::erp::mail::FolderMailer;
use crate::erp::{Erp, registry};

/// The tenant of the demo.
const TENANT: &str = "acme";

/// `fairlane demo [--once] [--here]`.
#[derive(Debug)]
pub struct DemoCommand;

#[derive(Debug, Args)]
struct DemoArgs {
    /// Stop when everything is done, instead of working on until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Run in the database that is configured, if no tenant but the demo's is in it
    #[arg(long)]
    here: bool,
}

impl DomainCommand for DemoCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("demo").about(
            "A guided demo: an import, orders, invoices, mails, statistics, low stock, and one job that fails for a real reason",
        );
        DemoArgs::augment_args(command)
    }

    fn brings_schema(&self) -> bool {
        true
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            let args = DemoArgs::from_arg_matches(&matches)?;
            demo(&args, &env).await?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn demo(args: &DemoArgs, env: &CommandEnv) -> anyhow::Result<()> {
    if env.tenant.as_deref().is_some_and(|tenant| tenant != TENANT) {
        return Err(Failure::usage(format!("the demo's tenant is {TENANT}")).hint("leave -t away").into());
    }
    place::check_database(&env.config, args.here)?;
    place::check_tenants(env).await?;
    let out = env.output;
    let place = match env.fairlane.db().dialect() {
        Dialect::Sqlite => "embedded SQLite",
        Dialect::Postgres => "PostgreSQL",
    };
    out.line(&format!(
        "\n   Fairlane {} demo on {place}   {}\n",
        env!("CARGO_PKG_VERSION"),
        env.config.url("database.url")?
    ))?;

    let since = Instant::now();
    out.line(&done("schema ready", &bring_schema(env).await?, since))?;
    place::add_tenant(env).await?;
    env.fairlane.announce().await?;

    let story = Story::begin(env.clone()).await?;
    let since = Instant::now();
    let import = story.hand_in_products().await?;
    work(env, true).await?;
    out.line(&story.import_line(import, since).await?)?;

    let since = Instant::now();
    let approved = story.approve_orders().await?;
    work(env, true).await?;
    out.line(&done("orders approved", &story.order_summary(approved).await?, since))?;

    let since = Instant::now();
    let paid = story.receive_payment().await?;
    work(env, true).await?;
    out.line(&story.statistics_line(paid, since).await?)?;

    let since = Instant::now();
    if story.buy().await? {
        work(env, true).await?;
        story.take().await?;
        work(env, true).await?;
        out.line(&story.stock_line(since).await?)?;
    }
    for line in story.what_next().await? {
        out.line(&line)?;
    }
    if !args.once {
        let program = place::program();
        out.line(&format!(
            "\n   Working on until Ctrl-C. Queue something from another terminal: {program} erp order --help"
        ))?;
        work(env, false).await?;
    }
    Ok(())
}

/// Migrates where this login may, and says what was done.
async fn bring_schema(env: &CommandEnv) -> anyhow::Result<String> {
    match env.migrate().await {
        Ok(applied) if applied.is_empty() => Ok("every migration is there".into()),
        Ok(applied) => Ok(format!("{} migrations", applied.len())),
        // The login of workers may not even look at the list of migrations: somebody else has made the tables.
        Err(why) if is_forbidden(&why) => Ok("made by another login, this one may not change it".into()),
        Err(why) => Err(why),
    }
}

/// Whether PostgreSQL answered "insufficient privilege".
fn is_forbidden(why: &anyhow::Error) -> bool {
    let Some(Error::Database(source)) = why.downcast_ref::<Error>() else { return false };
    source.as_database_error().is_some_and(|refusal| refusal.code().as_deref() == Some("42501"))
}

fn done(what: &str, result: &str, since: Instant) -> String {
    format!("   ✓ {what:<22} {result}   {:.1}s", since.elapsed().as_secs_f64())
}

/// A worker in this process, until nothing is due or until Ctrl-C. Its mails go into the folder, whatever is configured.
async fn work(env: &CommandEnv, until_empty: bool) -> anyhow::Result<()> {
    let options = WorkerOptions {
        name: "demo".into(),
        concurrency: 4,
        poll: Duration::from_millis(100),
        stop_when_empty: until_empty,
        ..WorkerOptions::default()
    };
    let erp = Erp::from_config(&env.config)?.with_mailer(FolderMailer::new(env.config.path("mail.folder")?));
    let worker = Worker::new(&env.fairlane).serve(registry(), erp).options(options);
    if !until_empty {
        listen_to_signals(worker.control())?;
    }
    worker.run_until(std::future::pending()).await?;
    Ok(())
}
