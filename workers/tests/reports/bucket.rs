//! Reports in a bucket: what is there is whole, what fails leaves nothing, and another tenant's is not there.

use std::sync::Arc;

use chrono::{Duration, Utc};
use fairlane::backend_test;
use fairlane_workers::erp::Erp;
use fairlane_workers::erp::jobs::RemoveOldReports;
use fairlane_workers::erp::reports::storage::{ReportFiles, Stored};
use fairlane_workers::erp::reports::{Elsewhere, Grouping, ReportSettings};
use fairlane_workers::erp::services::reports;
use tempfile::TempDir;

use crate::bucket_server::BucketServer;
use crate::desk::{Desk, line, sales};
use crate::support::shop::lines;

fn settings(server: &BucketServer, folder: &TempDir) -> ReportSettings {
    let elsewhere = Elsewhere {
        bucket: "acme-reports".into(),
        prefix: "a/b".into(),
        endpoint: Some(server.url()),
        region: Some("eu-central-1".into()),
        login: Some(("me".into(), "not to be seen".to_owned().into())),
    };
    ReportSettings { elsewhere: Some(elsewhere), ..ReportSettings::in_folder(folder.path()) }
}

async fn keep(files: &ReportFiles, tenant: &str, bytes: &[u8]) -> Result<Stored, String> {
    let bench = files.workbench().unwrap();
    let path = bench.path().join("x");
    std::fs::write(&path, bytes).unwrap();
    files.keep(tenant, &path, "csv").await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn small_and_large_files_are_kept_as_one_object_each_and_come_back_as_they_were() {
    let (server, folder) = (BucketServer::open(), tempfile::tempdir().unwrap());
    let files = ReportFiles::open(&settings(&server, &folder)).unwrap();
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    for bytes in [b"abc".to_vec(), Vec::new(), large] {
        let stored = keep(&files, "acme", &bytes).await.unwrap();
        assert!(stored.key.starts_with("acme/reports/"), "{}", stored.key);
        let mut out = Vec::new();
        files.copy("acme", &stored, &mut out).await.unwrap();
        assert!(out == bytes && stored.bytes == bytes.len() as u64);
        assert!(
            server.names().iter().all(|name| name.starts_with("a/b/acme/reports/")),
            "{:?}",
            server.names()
        );
        let theirs = files.copy("beta", &stored, &mut out).await.unwrap_err().to_string();
        assert!(theirs.contains("does not lie in the folder"), "{theirs}");
        files.remove("acme", &stored.key).await.unwrap();
        files.remove("acme", &stored.key).await.unwrap();
        assert!(files.copy("acme", &stored, &mut out).await.unwrap_err().to_string().contains("is gone"));
    }
    assert_eq!((server.names().len(), server.unfinished()), (0, 0));
    assert_eq!(server.parts_taken(), 3, "20 MB go up in parts of 8 MiB");
    let shown = format!("{files:?}");
    assert!(!shown.contains("not to be seen"), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_put_together_is_taken_back_and_what_was_left_behind_goes_with_the_clean_up() {
    let (server, folder) = (BucketServer::open(), tempfile::tempdir().unwrap());
    let files = ReportFiles::open(&settings(&server, &folder)).unwrap();
    let large = vec![7; 9_000_000];
    server.refuse_to_put_together();
    let why = keep(&files, "acme", &large).await.unwrap_err();
    assert!(!why.contains("not to be seen"), "{why}");
    assert_eq!((server.names().len(), server.unfinished()), (0, 0), "it has taken back its parts");
    let now = Utc::now();
    server.leave_behind("a/b/acme/reports/old.csv", now - Duration::hours(25));
    server.leave_behind("a/b/acme/reports/young.csv", now - Duration::hours(23));
    server.leave_behind("a/b/beta/reports/old.csv", now - Duration::hours(25));
    server.leave_behind("elsewhere/acme/reports/old.csv", now - Duration::hours(25));
    assert_eq!(files.sweep_parts("acme").await.unwrap(), 1);
    assert_eq!(files.sweep_parts("acme").await.unwrap(), 0);
    assert_eq!(server.unfinished(), 3, "neither what may go on nor what is others'");
}

#[tokio::test]
async fn a_server_that_refuses_is_an_error_without_a_secret_in_it() {
    let (server, folder) = (BucketServer::open(), tempfile::tempdir().unwrap());
    let files = ReportFiles::open(&settings(&server, &folder)).unwrap();
    server.refuse_everybody();
    let why = keep(&files, "acme", b"abc").await.unwrap_err();
    assert!(why.contains("cannot be kept") && !why.contains("not to be seen"), "{why}");
    let why = files.sweep_parts("acme").await.unwrap_err().to_string();
    assert!(why.contains("403") && !why.contains("X-Amz-"), "{why}");
}

backend_test!(migrations: lines;
    async fn a_report_is_made_into_the_bucket_opened_from_it_and_removed_in_time(t: TestDb) {
        let (server, folder) = (BucketServer::open(), tempfile::tempdir().unwrap());
        let desk = Desk::new(t, "UTC").await;
        desk.customer("C-1", "Ana").await;
        desk.sell("C-1", "2026-03-01T12:00:00Z", None, &[line(None, "2", "5")]).await;
        let settings = settings(&server, &folder);
        let state = || Erp { reports: Arc::new(settings.clone()), ..Erp::fake() };
        let mut tx = desk.acme.begin().await.unwrap();
        let asked = reports::request(&mut tx, &desk.acme, &sales("2026-03-01", "2026-03-02", Grouping::Line), None).await;
        tx.commit().await.unwrap();
        desk.work_with(&["low"], state()).await;
        let report = desk.report(asked.unwrap().id).await;
        assert_eq!(report.result.as_deref(), Some("completed"), "{:?}", report.error_message);
        let key = report.file_key.unwrap();
        let stored = Stored { key, sha256: report.sha256.unwrap(), bytes: report.bytes.unwrap() as u64 };
        let mut out = Vec::new();
        ReportFiles::open(&settings).unwrap().copy("acme", &stored, &mut out).await.unwrap();
        assert!(!out.is_empty());
        assert!(!folder.path().join("acme").exists(), "nothing of it is in the folder");
        desk.t.execute("update reports set expires_at = created_at").await;
        server.leave_behind("a/b/acme/reports/old.csv", Utc::now() - Duration::hours(25));
        desk.acme.dispatch(RemoveOldReports {}).await.unwrap();
        desk.work_with(&["low"], state()).await;
        assert_eq!((server.names().len(), server.unfinished()), (0, 0));
    }
);
