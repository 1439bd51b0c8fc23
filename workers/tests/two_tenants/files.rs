//! Paths that lead out of a tenant's folder of imports: refused by the job, by the rows handed back, and before anything
//! is read.

use std::path::{Path, PathBuf};

use fairlane_workers::erp::jobs::process_bulk_import::ProcessBulkImport;
use fairlane_workers::erp::jobs::process_bulk_import::failed_rows::FailedRows;
use fairlane_workers::erp::jobs::process_bulk_import::log::{self, ImportLog};
use fairlane_workers::erp::jobs::process_bulk_import::undo::UndoBulkImport;

use super::bare::{quoted, text};
use super::each_wall;
use super::snapshot::difference;
use super::world::{MARK, World};

/// Where beta's import lies, and acme's.
fn only_file(world: &World, slug: &str) -> PathBuf {
    let folder = world.settings().folder.join(slug).join("imports");
    let first = std::fs::read_dir(folder).unwrap().next().expect("an import was handed in");
    first.unwrap().path()
}

/// Paths to beta's file, from acme's import.
fn ways(world: &World) -> Vec<(&'static str, String)> {
    let (own, theirs) = (only_file(world, "acme"), only_file(world, "beta"));
    let name = theirs.file_name().unwrap().to_str().unwrap();
    let root = world.settings().folder;
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let link = own.with_file_name("link.csv");
    std::os::unix::fs::symlink(&theirs, &link).unwrap();
    // A folder that looks like acme's from outside, with a link in place of the folder of files.
    let elsewhere = root.with_file_name("elsewhere").join("acme");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::os::unix::fs::symlink(theirs.parent().unwrap(), elsewhere.join("imports")).unwrap();
    vec![
        ("the other's folder", format!("beta/imports/{name}")),
        ("up and down", format!("acme/../beta/imports/{name}")),
        ("up and down behind the own folder", format!("acme/imports/../../beta/imports/{name}")),
        ("from the root", text(&theirs)),
        ("from the root, up and down", text(&root.join("acme/imports/../../beta/imports").join(name))),
        ("a link", "acme/imports/link.csv".to_owned()),
        ("a link from the root", text(&link)),
        ("a linked folder", text(&elsewhere.join("imports").join(name))),
        ("the file of passwords", "/etc/passwd".to_owned()),
        ("backslashes", format!("acme\\..\\..\\beta\\imports\\{name}")),
    ]
}

async fn point(world: &World, path: &str) -> ImportLog {
    let import = world.acme.names.import_id;
    let statement = format!(
        "update import_logs set file_path = {}, status = 'pending', result = null, job_id = null, failure = null,
             failure_code = null, completed_at = null, failed_at = null where id = {import}",
        quoted(path)
    );
    let mut tx = world.observer.begin().await.unwrap();
    fairlane::db::query(text(statement)).execute(&mut tx.conn()).await.unwrap();
    tx.commit().await.unwrap();
    log_of(world).await
}

fn job(import_id: i64) -> ProcessBulkImport {
    ProcessBulkImport { import_id, import_type: "products".into() }
}

async fn log_of(world: &World) -> ImportLog {
    let mut tx = world.observer.read().await.unwrap();
    log::find(&mut tx.conn(), world.acme.id, world.acme.names.import_id).await.unwrap().unwrap()
}

each_wall!(
    async fn no_path_leads_an_import_into_the_others_folder(world) {
        let acme = &world.acme.tenant;
        let mut faults = Vec::new();
        world.work().await;
        let before = world.rows_of(&world.beta).await;
        for (what, path) in ways(&world) {
            let log = point(&world, &path).await;
            let mut written = Vec::new();
            let handed = match FailedRows::open(acme, &world.settings(), &log) {
                Ok(rows) => rows.write(&mut written).await.map(|rows| rows.to_string()),
                Err(error) => Err(error),
            };
            if !matches!(&handed, Err(error) if error.to_string().contains("does not lie in the folder")) {
                faults.push(format!("{what}: rows of {path} are handed out: {:?}", handed.map_err(|e| e.to_string())));
            }
            if String::from_utf8_lossy(&written).contains(MARK) {
                faults.push(format!("{what}: what is the other's is handed out"));
            }
            acme.dispatch(job(world.acme.names.import_id)).await.unwrap();
            world.work().await;
            let code = log_of(&world).await.failure_code;
            if code.as_deref() != Some("path_outside") {
                faults.push(format!("{what}: the import of {path} ends with {code:?}"));
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
        assert_eq!(difference(&before, &world.rows_of(&world.beta).await), "");
        let rows: Vec<String> = world.rows_of(&world.acme).await.into_values().flatten().collect();
        assert!(!rows.iter().any(|row| row.contains(MARK)), "rows of the other's file were read");
    }
);

/// Imports read and write as their tenant: no statement of theirs needs a role that sees the rows of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_and_their_failed_rows_need_no_role_that_sees_all_tenants() {
    let Some(world) = World::postgres().await else { return };
    let acme = &world.acme.tenant;
    let own = only_file(&world, "acme");
    let log = point(&world, &format!("acme/imports/{}", own.file_name().unwrap().to_str().unwrap())).await;
    acme.dispatch(job(log.id)).await.unwrap();
    world.work().await;
    let log = log_of(&world).await;
    assert_eq!((log.result.as_deref(), log.counts.failed), (Some("completed_with_errors"), 1), "{log:?}");
    let mut written = Vec::new();
    let rows = FailedRows::open(acme, &world.settings(), &log).unwrap().write(&mut written).await.unwrap();
    assert_eq!(rows, 1, "{}", String::from_utf8_lossy(&written));
    acme.dispatch(UndoBulkImport { import_id: log.id, import_type: "products".into() }).await.unwrap();
    world.work().await;
    let failed = "select count(*) as n from fairlane_failed_jobs where kind like 'erp.%bulk_import'";
    let mut tx = world.observer.read().await.unwrap();
    assert_eq!(super::bare::count(&mut tx.conn(), text(failed)).await, 0);
}
