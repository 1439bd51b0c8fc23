//! `fairlane import FILE`: hands a file in, or tries it out; `--follow` stays until it is done. `fairlane import maps` lists
//! the ready-made maps.

use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};
use fairlane::Tenant;
use fairlane::cli::{CommandEnv, DomainCommand, Exit, Failure};
use futures::future::BoxFuture;
use serde_json::json;

use super::import_args::ImportArgs;
use super::import_follow::follow;
use super::import_maps;
use super::user_of;
use crate::erp::jobs::process_bulk_import::dry_run::{self, DryRun, DryRunError};
use crate::erp::jobs::process_bulk_import::log::ImportLog;
use crate::erp::jobs::process_bulk_import::run::ImportPlan;
use crate::erp::jobs::process_bulk_import::submit::{Inspected, Submission, SubmitError, inspect, submit};
use crate::erp::jobs::process_bulk_import::tabular::TabularError;
use crate::erp::jobs::process_bulk_import::types::{IMPORT_TYPES, with_import_type};
use crate::erp::settings::ImportSettings;

/// `fairlane import`.
#[derive(Debug)]
pub struct ImportCommand;

impl DomainCommand for ImportCommand {
    fn command(&self) -> clap::Command {
        let command = clap::Command::new("import").about("Import a file of rows").after_help(
            "Exit codes: 0 every row is stored, 5 some were refused, 1 the import failed or was cancelled.\n\
             -o json prints one document: {import_id, job_id, file, mapping, not_read}, with --follow the import as\n\
             `imports show` has it, with --dry-run {counts, refusals, gives_up, file, mapping, not_read}.",
        );
        ImportArgs::augment_args(command)
            .subcommand(import_maps::command())
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
    }

    fn run(&self, matches: ArgMatches, env: CommandEnv) -> BoxFuture<'static, anyhow::Result<ExitCode>> {
        Box::pin(async move {
            if let Some(("maps", matches)) = matches.subcommand() {
                return import_maps::list(matches, &env);
            }
            let args = ImportArgs::from_arg_matches(&matches)?;
            let tenant = env.fairlane.tenant(env.required_tenant()?);
            let settings = ImportSettings::read(&env.config)?;
            if args.dry_run {
                return try_out(&args, &tenant, &settings, &env).await;
            }
            hand_in(&args, &tenant, &settings, &env).await
        })
    }
}

async fn hand_in(
    args: &ImportArgs,
    tenant: &Tenant,
    settings: &ImportSettings,
    env: &CommandEnv,
) -> anyhow::Result<ExitCode> {
    let user_id = handed_in_by(args, tenant).await?;
    let submission = Submission { user_id, ..args.submission()? };
    let name = args.import_type.as_str();
    let submitted = with_import_type!(
        name,
        T => submit::<T>(tenant, settings, &submission).await,
        else Err(unknown_type(name))
    )
    .map_err(|error| explain(error, args, tenant))?;
    let (out, id) = (env.output, submitted.import_id);
    if args.follow {
        describe(&submitted.inspected).iter().for_each(|line| out.remark(line));
        out.remark(&format!("import {id}, job {}", fairlane::cli::short(submitted.job_id)));
        let log = follow(tenant, env, id).await?;
        out.result(&log, Some(&id.to_string()), &ending(&log, tenant))?;
        return Ok(exit_of(&log).into());
    }
    let value = json!({
        "import_id": id, "job_id": submitted.job_id,
        "file": submitted.inspected.sniffed, "mapping": submitted.inspected.mapping,
        "not_read": submitted.inspected.not_read,
    });
    let mut lines = describe(&submitted.inspected);
    lines.push(format!("import {id} is queued; follow it: fairlane imports show {id} -t {}", tenant.slug()));
    out.result(&value, Some(&id.to_string()), &lines)?;
    Ok(Exit::Done.into())
}

/// The user who hands the file in, where one is named.
async fn handed_in_by(args: &ImportArgs, tenant: &Tenant) -> anyhow::Result<Option<i64>> {
    if args.user.is_none() {
        return Ok(None);
    }
    let mut tx = tenant.begin().await?;
    Ok(user_of(&mut tx, tenant.id().await?, args.user.as_deref()).await?)
}

async fn try_out(
    args: &ImportArgs,
    tenant: &Tenant,
    settings: &ImportSettings,
    env: &CommandEnv,
) -> anyhow::Result<ExitCode> {
    let submission = args.submission()?;
    let name = args.import_type.as_str();
    let (inspected, dry) = with_import_type!(
        name,
        T => {
            let inspected =
                inspect::<T>(settings, &submission).map_err(|error| explain(error, args, tenant))?;
            let plan = ImportPlan {
                duplicates: args.duplicates,
                location: args.location.clone(),
                ..inspected.plan(settings, args.mode())
            };
            let path = inspected.path(&args.file);
            let dry = dry_run::run::<T>(tenant, path, &plan, args.max_failed).await;
            (inspected, dry.map_err(explain_dry)?)
        },
        else return Err(explain(unknown_type(name), args, tenant))
    );
    show_trial(&inspected, &dry, env)?;
    Ok(match (dry.gives_up, dry.counts.failed) {
        (true, _) => Exit::Failed,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Partly,
    }
    .into())
}

/// What an import would do: what is refused, line by line, and the counts.
fn show_trial(inspected: &Inspected, dry: &DryRun, env: &CommandEnv) -> std::io::Result<()> {
    let DryRun { counts, refusals, gives_up } = dry;
    let mut lines = describe(inspected);
    lines.extend(refusals.iter().map(|refusal| {
        let column = refusal.column.as_deref().map(|column| format!(", {column}")).unwrap_or_default();
        format!("  line {}{column}: {} ({})", refusal.line, refusal.message, refusal.code)
    }));
    lines.push(format!(
        "nothing was stored; it would be: {} rows, {} created, {} updated, {} unchanged, {} left out, {} refused",
        counts.total, counts.created, counts.updated, counts.unchanged, counts.skipped, counts.failed
    ));
    if *gives_up {
        lines.push("the import would give up here: --max-failed is passed".to_owned());
    }
    let shown = json!({
        "counts": counts, "refusals": refusals, "gives_up": gives_up,
        "file": inspected.sniffed, "mapping": inspected.mapping, "not_read": inspected.not_read,
    });
    env.output.result(&shown, None, &lines)
}

/// How the file is read: encoding, dialect, and which column goes where.
fn describe(inspected: &Inspected) -> Vec<String> {
    let mapping = inspected.mapping.iter().map(|(field, column)| format!("{field} <- {column}"));
    let mut lines = vec![
        format!("file: {}", inspected.sniffed),
        format!("map: {}", mapping.collect::<Vec<_>>().join(", ")),
    ];
    lines.extend(not_read(&inspected.not_read));
    lines
}

/// The columns that nothing is read of: somebody may have meant them.
pub(super) fn not_read(columns: &[String]) -> Option<String> {
    (!columns.is_empty()).then(|| format!("not read: {}", columns.join(", ")))
}

/// The end of an import for a person: the counts, and what to do about the rest.
pub(super) fn ending(log: &ImportLog, tenant: &Tenant) -> Vec<String> {
    let counts = log.counts;
    let mut lines = vec![format!(
        "import {} {}: {} rows, {} created, {} updated, {} unchanged, {} left out, {} refused",
        log.id,
        log.result.as_deref().unwrap_or(&log.status),
        counts.total,
        counts.created,
        counts.updated,
        counts.unchanged,
        counts.skipped,
        counts.failed
    )];
    if let Some(failure) = &log.failure {
        lines.push(format!("because: {failure}"));
    }
    if let Some(undo) = &log.undo {
        lines.push(format!(
            "undoing it: {}, {} as before, {} left because they were touched since{}",
            undo.status,
            undo.undone,
            undo.conflicts,
            undo.failure.as_deref().map(|why| format!(" ({why})")).unwrap_or_default()
        ));
    }
    if counts.failed > 0 {
        lines.push(format!(
            "the refused rows, to be corrected and imported: fairlane imports errors {} -t {} --csv failed.csv",
            log.id,
            tenant.slug()
        ));
    }
    lines
}

fn exit_of(log: &ImportLog) -> Exit {
    match log.result.as_deref() {
        Some("completed") => Exit::Done,
        Some("completed_with_errors") => Exit::Partly,
        _ => Exit::Failed,
    }
}

fn unknown_type(given: &str) -> SubmitError {
    SubmitError::UnknownType { given: given.to_owned(), known: IMPORT_TYPES.to_vec() }
}

fn explain(error: SubmitError, args: &ImportArgs, tenant: &Tenant) -> anyhow::Error {
    let file = args.file.display();
    match error {
        SubmitError::Database(error) => error.into(),
        SubmitError::Repeated { import_id, .. } => Failure::new(Exit::Refused, error.to_string())
            .hint(format!("look at it: fairlane imports show {import_id} -t {}", tenant.slug()))
            .into(),
        SubmitError::Mapping(_) => Failure::usage(format!("{file}: {error}"))
            .hint("columns are matched without regard to case, spaces and underscores; try --dry-run first")
            .into(),
        SubmitError::File(error) => with_hint(Failure::usage(error.to_string()), error.hint()).into(),
        error => with_hint(Failure::usage(format!("{file}: {error}")), detection(&error)).into(),
    }
}

/// A file that can't be read at all is no matter of how it is written.
fn detection(error: &SubmitError) -> Option<&'static str> {
    let unread = matches!(
        error,
        SubmitError::Table(
            TabularError::Io(_)
                | TabularError::Protected
                | TabularError::DamagedWorkbook { .. }
                | TabularError::TooMuchUnpacked { .. }
                | TabularError::NoSheet { .. }
        ) | SubmitError::UnknownMode { .. }
            | SubmitError::NoWorkbook
    );
    (!unread).then_some("--encoding, --delimiter and --header-line say what detection gets wrong")
}

fn with_hint(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn explain_dry(error: DryRunError) -> anyhow::Error {
    match error {
        DryRunError::Database(error) => error.into(),
        DryRunError::Run(error) => Failure::usage(error.to_string()).hint("nothing was stored").into(),
    }
}
