//! Nothing is forgotten: the services in the sources, the jobs and listeners in the registry, the verbs of the command line
//! and the commands in the composition root are all in the lists of this suite.

use std::collections::BTreeSet;
use std::path::Path;

use fairlane_workers::erp;
use fairlane_workers::erp::events::CATALOGUE;

use super::payloads::{EVENTS, JOBS};
use super::verbs::VERBS;
use super::{calls, verbs};

/// Services that know no tenant.
const WITHOUT_TENANT: [&str; 3] = ["mail_templates::for_kind", "scanners::named", "stock::stage"];

fn set(names: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
    names.into_iter().map(Into::into).collect()
}

/// `module::function` of every public function below a folder; a submodule's are its module's.
fn functions(folder: &Path, module: Option<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let name = module.unwrap_or(&stem);
        if path.is_dir() {
            found.extend(functions(&path, Some(name)));
        } else {
            let source = std::fs::read_to_string(&path).unwrap();
            let starts = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn ").or(line.strip_prefix("pub fn ")));
            found.extend(starts.map(|rest| {
                let function: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                format!("{name}::{function}")
            }));
        }
    }
    found
}

#[test]
fn every_service_is_called() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/erp/services");
    let called = set(calls::all().map(|call| call.service).chain(WITHOUT_TENANT));
    let mut there = functions(&sources, None);
    let told = functions(&sources.with_file_name("notifications"), None);
    let of_services =
        |name: &String| ["notify::", "plan::", "letters::", "why::"].iter().any(|one| name.starts_with(one));
    there.extend(told.into_iter().filter(of_services));
    assert_eq!(there, called, "services in the sources, and those this suite calls");
}

#[test]
fn every_event_and_every_job_has_a_hostile_payload() {
    assert_eq!(set(CATALOGUE.map(|event| event.name)), set(EVENTS.iter().map(|event| event.name)));
    let registry = erp::registry();
    // A listener's kind is listener@event.
    let jobs = set(registry.kinds().filter(|kind| !kind.contains('@')));
    assert_eq!(
        jobs,
        set(JOBS.iter().map(|job| job.kind)),
        "jobs of the registry, and those this suite dispatches"
    );
}

#[test]
fn every_verb_of_the_command_line_is_tried() {
    let tried = set(VERBS.iter().map(|verb| verb.path));
    assert_eq!(verbs::tree(), tried, "verbs there are, and verbs this suite tries");
}

/// The tree above is that of the commands named there; this sees that the binary has no others.
#[test]
fn every_command_of_the_binary_is_walked() {
    let main = include_str!("../../src/main.rs");
    let commands = main.lines().filter_map(|line| line.trim().strip_prefix(".command(")).map(|rest| {
        let path = rest.split(')').next().unwrap_or_default();
        path.rsplit("::").next().unwrap_or_default().to_owned()
    });
    assert_eq!(commands.collect::<BTreeSet<_>>(), set(verbs::commands().into_iter().map(|(name, _)| name)));
}
