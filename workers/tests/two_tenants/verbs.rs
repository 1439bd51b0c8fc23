//! Every verb of the command line, as one tenant (`-t acme`) with the names and numbers of the other.

use std::collections::BTreeSet;
use std::process::Command;

use fairlane::cli::DomainCommand;
use fairlane_workers::erp;

use super::names::{Names, without};
use super::snapshot::difference;
use super::verb_list::{VERBS as ALL, Verb};
use super::world::{MARK, World, changes};

pub(crate) const VERBS: &[Verb] = ALL;

/// The commands of the ERP, by the names of their types in the composition root.
pub(crate) fn commands() -> Vec<(&'static str, Box<dyn DomainCommand>)> {
    vec![
        ("ImportCommand", Box::new(erp::cli::ImportCommand)),
        ("ImportsCommand", Box::new(erp::cli::ImportsCommand)),
        ("BenchImportCommand", Box::new(erp::cli::BenchImportCommand)),
        ("BenchCampaignCommand", Box::new(erp::cli::BenchCampaignCommand)),
        ("BenchValuationCommand", Box::new(erp::cli::BenchValuationCommand)),
        ("BenchReportCommand", Box::new(erp::cli::BenchReportCommand)),
        ("BenchRoomCommand", Box::new(erp::cli::BenchRoomCommand)),
        ("ErpCommand", Box::new(erp::cli::ErpCommand)),
        ("StatsCommand", Box::new(erp::cli::StatsCommand)),
        ("NotificationsCommand", Box::new(erp::cli::NotificationsCommand)),
        ("DemoCommand", Box::new(erp::demo::DemoCommand)),
    ]
}

/// `erp order approve`: every verb there is, found in the command tree.
pub(crate) fn tree() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, command) in commands() {
        leaves(&command.command(), command.group().unwrap_or_default(), &mut found);
    }
    found
}

fn leaves(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
    let path = format!("{above} {}", command.get_name()).trim().to_owned();
    let mut below = command.get_subcommands().filter(|sub| sub.get_name() != "help").peekable();
    // `import FILE` is a verb of its own beside `import maps`.
    if below.peek().is_none() || !command.is_subcommand_required_set() {
        found.insert(path.clone());
    }
    below.for_each(|sub| leaves(sub, &path, found));
}

/// What a process said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn without(&self, names: &Names) -> Self {
        let names: Vec<String> = names.words().into_iter().map(|(name, _)| name).collect();
        Self { code: self.code, out: without(&self.out, &names), err: without(&self.err, &names) }
    }

    fn has_mark(&self) -> bool {
        let all = format!("{} {}", self.out, self.err).to_lowercase();
        all.contains(&MARK.to_lowercase())
    }
}

impl World {
    fn start(&self, path: &str, arguments: &str, json: bool) -> std::process::Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
        command
            .args(path.split(' '))
            .args(arguments.split_whitespace())
            .args(["-t", "acme"])
            .args(if json { &["-o", "json"][..] } else { &[] })
            .current_dir(self.folder.path())
            .env_clear()
            .env("FAIRLANE_DATABASE_URL", &self.t.url)
            .env("FAIRLANE_IMPORT_FOLDER", "files")
            .env("FAIRLANE_OUTBOUND_SECRET_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
            .env("FAIRLANE_REPORTS_FOLDER", "reports")
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command.spawn().expect("the binary starts")
    }
}

fn ended(child: std::process::Child) -> Said {
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn foreign_names(world: &World, faults: &mut Vec<String>) {
    for verb in VERBS.iter().filter(|verb| !verb.foreign.is_empty()) {
        let before = (world.rows_of(&world.acme).await, world.rows_of(&world.beta).await);
        for template in verb.foreign {
            let start =
                |names: &Names| world.start(verb.path, &names.fill(template, &world.acme.names), false);
            // Both at once: nothing comes of either.
            let both = (start(&world.foreign), start(&world.missing));
            let (foreign, missing) = (ended(both.0), ended(both.1));
            let (others, nobodys) = (foreign.without(&world.foreign), missing.without(&world.missing));
            if others != nobodys || others.has_mark() {
                faults.push(format!(
                    "{} {template}\n  the other's: {foreign:?}\n  nobody's: {missing:?}",
                    verb.path
                ));
            } else if foreign.code == Some(0) && !verb.is_list() {
                faults.push(format!("{} {template} succeeds: {foreign:?}", verb.path));
            } else if foreign.err.contains("Usage:") {
                faults.push(format!("{} {template} is no such command line: {foreign:?}", verb.path));
            }
        }
        let after = (world.rows_of(&world.acme).await, world.rows_of(&world.beta).await);
        let changed = changes(&before, &after);
        if !changed.is_empty() {
            faults.push(format!("{} changes\n{changed}", verb.path));
        }
    }
}

/// What acme's lists say, in JSON.
fn lists(world: &World) -> Vec<(&'static str, Said)> {
    let mut said = Vec::new();
    let reads: Vec<(&Verb, &str)> =
        VERBS.iter().filter(|verb| verb.reads).filter_map(|verb| Some((verb, verb.own?))).collect();
    for some in reads.chunks(2) {
        let started = some.iter().map(|(verb, own)| {
            let arguments = world.acme.names.fill(own, &world.acme.names);
            (verb.path, world.start(verb.path, &arguments, true))
        });
        let started: Vec<_> = started.collect();
        said.extend(started.into_iter().map(|(path, child)| (path, ended(child))));
    }
    said
}

async fn own_names(world: &World, faults: &mut Vec<String>) {
    let before = world.rows_of(&world.beta).await;
    for verb in VERBS.iter().filter(|verb| !verb.reads) {
        let Some(own) = verb.own else { continue };
        let said = ended(world.start(verb.path, &world.acme.names.fill(own, &world.acme.names), false));
        if said.code != Some(0) || said.has_mark() {
            faults.push(format!("{} {own}: {said:?}", verb.path));
        }
        let changed = difference(&before, &world.rows_of(&world.beta).await);
        if !changed.is_empty() {
            faults.push(format!("{} {own} changes the other's rows\n{changed}", verb.path));
        }
    }
}

async fn case(world: World) {
    std::fs::write(world.folder.path().join("new.csv"), "sku,name\nN-1,Bolt\n").unwrap();
    let report = "MessageSid=SM1&MessageStatus=delivered";
    std::fs::write(world.folder.path().join("report.form"), report).unwrap();
    let bounce = r#"{"address": "ana@example.com", "kind": "hard"}"#;
    std::fs::write(world.folder.path().join("bounce.json"), bounce).unwrap();
    let mut faults = Vec::new();
    foreign_names(&world, &mut faults).await;
    let before = lists(&world);
    world.beta_grows().await;
    for ((path, before), (_, after)) in before.iter().zip(lists(&world)) {
        if before != &after || before.code != Some(0) || after.has_mark() {
            faults.push(format!("{path} sees the other grow\n  before: {before:?}\n  after: {after:?}"));
        }
    }
    own_names(&world, &mut faults).await;
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Three things: a name of the other's is a missing name, lists count nothing of the other's, and what is done to one's own
/// things is not done to the other's of the same name.
mod each_verb_is_about_its_own_tenant {
    use super::{World, case};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        case(World::sqlite().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres() {
        if let Some(world) = World::postgres().await {
            case(world).await;
        }
    }
}
