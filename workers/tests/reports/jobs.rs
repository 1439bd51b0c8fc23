//! The jobs: one makes a report, keeps its file, tells who asked; one removes what was kept long enough.

use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane_workers::erp::jobs::{GenerateReport, RemoveOldReports};
use fairlane_workers::erp::reports::links::LinkKey;
use fairlane_workers::erp::reports::storage::{ReportFiles, Stored};
use fairlane_workers::erp::reports::{FileFormat, Grouping, Period, Relative, ReportRequest};
use fairlane_workers::erp::services::{reports, users};
use fairlane_workers::erp::store::reports::Report;
use sha2::{Digest, Sha256};

use crate::desk::{Desk, line, sales};
use crate::support::shop::lines;

async fn user(desk: &Desk, email: &str, permissions: &[&str]) -> i64 {
    let mut tx = desk.acme.begin().await.unwrap();
    let id = users::ensure(&mut tx, &desk.acme, email, email, permissions).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn ask(desk: &Desk, request: &ReportRequest, user: Option<i64>) -> Report {
    let mut tx = desk.acme.begin().await.unwrap();
    let report = reports::request(&mut tx, &desk.acme, request, user).await.unwrap();
    tx.commit().await.unwrap();
    report
}

fn request() -> ReportRequest {
    ReportRequest { format: FileFormat::Csv, ..sales("2026-03-01", "2026-03-02", Grouping::Line) }
}

async fn desk(t: TestDb) -> Desk {
    let desk = Desk::new(t, "UTC").await;
    desk.customer("C-1", "Ana").await;
    desk.sell("C-1", "2026-03-01T12:00:00Z", None, &[line(None, "2", "5"), line(None, "1", "3")]).await;
    desk
}

/// Files below the folder of reports, but for the secret.
fn files(desk: &Desk) -> Vec<String> {
    fn below(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => below(&path, found),
                false if path.ends_with("link.secret") => {}
                false => found.push(path.to_str().unwrap().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    below(&desk.settings().folder, &mut found);
    found
}

backend_test!(migrations: lines;
    async fn a_report_is_made_kept_and_told_to_who_asked_with_a_link_that_opens_it(t: TestDb) {
        let desk = desk(t).await;
        let ana = user(&desk, "ana@example.com", &[]).await;
        user(&desk, "bo@example.com", &["reports.view"]).await;
        let asked = ask(&desk, &request(), Some(ana)).await;
        assert_eq!((asked.status.as_str(), asked.result, asked.zone.as_deref()), ("pending", None, Some("UTC")));
        desk.work(&["low"]).await;
        let report = desk.report(asked.id).await;
        assert_eq!((report.status.as_str(), report.result.as_deref()), ("completed", Some("completed")));
        assert_eq!((report.row_count, report.read_rows), (Some(2), 2));
        assert_eq!(report.file_name.as_deref(), Some("acme-sales-by-line-2026-03-01-2026-03-02.csv"));
        let kept = report.expires_at.unwrap() - report.generated_at.unwrap();
        assert_eq!(kept.num_days(), 30);
        let found = files(&desk);
        assert_eq!(found.len(), 1, "one file and nothing beside it: {found:?}");
        let bytes = std::fs::read(&found[0]).unwrap();
        let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((report.sha256.as_deref(), report.bytes), (Some(sum.as_str()), Some(bytes.len() as i64)));
        assert!(found[0].contains("/acme/reports/") && !found[0].contains("sales"), "nobody guesses it: {}", found[0]);
        let told = "select count(*) as n from notifications where type = 'ReportGeneratedNotification'";
        assert_eq!(desk.count(told).await, 1, "who asked, and nobody else");
        let mut tx = desk.acme.begin().await.unwrap();
        let id = desk.acme.id().await.unwrap();
        let list = fairlane_workers::erp::store::notifications::list(&mut tx.conn(), id, Some(ana), false, 10).await.unwrap();
        let link = list[0].data["action"]["target"].as_str().unwrap().to_owned();
        drop(tx);
        let key = LinkKey::load(&desk.settings()).unwrap();
        assert_eq!(key.open(id, &link, chrono::Utc::now()).unwrap(), asked.id);
        assert!(key.open(id, &link, chrono::Utc::now() + chrono::Duration::days(8)).is_err(), "a link has an end");
        assert!(key.open(id + 1, &link, chrono::Utc::now()).is_err(), "it opens nothing for another tenant");
    }
);

backend_test!(migrations: lines;
    async fn a_schedule_makes_one_report_of_the_days_before_it_was_due_for_those_who_see_reports(t: TestDb) {
        let desk = desk(t).await;
        user(&desk, "bo@example.com", &["reports.view"]).await;
        let asked = ReportRequest { period: Period::Relative(Relative::Yesterday), ..request() };
        let job = GenerateReport { report_id: None, request: Some(asked) };
        let sent = desk.acme.dispatch(job.clone()).await.unwrap();
        desk.work(&["low"]).await;
        let mut tx = desk.acme.begin().await.unwrap();
        let id = desk.acme.id().await.unwrap();
        let made = fairlane_workers::erp::store::reports::of_job(&mut tx.conn(), id, sent.id).await.unwrap().unwrap();
        drop(tx);
        let yesterday = chrono::Utc::now().date_naive().pred_opt().unwrap();
        assert_eq!((made.period_from, made.period_to, made.result.as_deref()), (Some(yesterday), Some(yesterday), Some("completed")));
        assert_eq!(desk.count("select count(*) as n from notifications where type = 'ReportGeneratedNotification'").await, 1);
        let wrong = ReportRequest { zone: Some("Mars/Olympus".into()), ..request() };
        desk.acme.dispatch(GenerateReport { report_id: None, request: Some(wrong) }).await.unwrap();
        desk.work(&["low"]).await;
        assert_eq!(desk.count("select count(*) as n from fairlane_failed_jobs where code = 'invalid_request'").await, 1);
        assert_eq!(desk.count("select count(*) as n from reports").await, 1);
    }
);

backend_test!(migrations: lines;
    async fn a_report_that_cannot_be_made_is_marked_and_told_and_can_be_tried_again(t: TestDb) {
        let desk = desk(t).await;
        let ana = user(&desk, "ana@example.com", &[]).await;
        let asked = ask(&desk, &request(), Some(ana)).await;
        // A folder that is a file: nothing can be kept.
        std::fs::write(desk.settings().folder, "in the way").unwrap();
        desk.work(&["low"]).await;
        let report = desk.report(asked.id).await;
        assert_eq!((report.status.as_str(), report.failure_code.as_deref()), ("failed", Some("file_unwritable")));
        assert!(report.error_message.as_deref().is_some_and(|why| why.contains("cannot be written")), "{report:?}");
        assert_eq!(desk.count("select count(*) as n from notifications where type = 'AlertNotification'").await, 1);
        std::fs::remove_file(desk.settings().folder).unwrap();
        desk.acme.dispatch(GenerateReport { report_id: Some(asked.id), request: None }).await.unwrap();
        desk.work(&["low"]).await;
        let report = desk.report(asked.id).await;
        assert_eq!((report.result.as_deref(), report.error_message), (Some("completed"), None));
    }
);

backend_test!(migrations: lines;
    async fn a_report_that_was_called_off_is_not_made(t: TestDb) {
        let desk = desk(t).await;
        let asked = ask(&desk, &request(), None).await;
        let mut tx = desk.acme.begin().await.unwrap();
        let refused = reports::delete(&mut tx, &desk.acme, asked.id).await.unwrap_err().to_string();
        assert!(refused.contains("cancel it first"), "{refused}");
        reports::cancel(&mut tx, &desk.acme, asked.id).await.unwrap();
        let twice = reports::cancel(&mut tx, &desk.acme, asked.id).await.unwrap_err().to_string();
        assert!(twice.contains("it is cancelled already"), "{twice}");
        tx.commit().await.unwrap();
        desk.work(&["low"]).await;
        let report = desk.report(asked.id).await;
        assert_eq!((report.result.as_deref(), report.file_key), (Some("cancelled"), None));
        assert_eq!(files(&desk), Vec::<String>::new());
        assert_eq!(desk.count("select count(*) as n from fairlane_failed_jobs").await, 0);
        // A job that was forgotten: the report learns of it.
        let lost = ask(&desk, &request(), None).await;
        desk.t.execute("delete from fairlane_jobs").await;
        let id = desk.acme.id().await.unwrap();
        let mut tx = desk.acme.begin().await.unwrap();
        assert!(fairlane_workers::erp::store::reports::has_orphans(&mut tx.conn(), id).await.unwrap());
        fairlane_workers::erp::store::reports::settle_orphans(&mut tx.conn(), id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(desk.report(lost.id).await.failure_code.as_deref(), Some("job_gone"));
    }
);

backend_test!(migrations: lines;
    async fn a_job_that_has_just_failed_is_left_to_its_own_hook(t: TestDb) {
        let desk = desk(t).await;
        let asked = ask(&desk, &request(), None).await;
        desk.t.execute("update reports set zone = 'Nowhere/Land'").await;
        desk.work(&["low"]).await;
        assert_eq!(desk.report(asked.id).await.failure_code.as_deref(), Some("damaged_row"));
        // As it is between the job's end and its hook, where somebody follows it.
        desk.t.execute("update reports set status = 'processing', result = null, failure_code = null, error_message = null").await;
        let id = desk.acme.id().await.unwrap();
        let orphans = async || {
            let mut tx = desk.acme.begin().await.unwrap();
            fairlane_workers::erp::store::reports::has_orphans(&mut tx.conn(), id).await.unwrap()
        };
        assert!(!orphans().await);
        desk.t.db.shift_clock(chrono::Duration::seconds(11));
        assert!(orphans().await, "its worker was killed before the hook");
        let mut tx = desk.acme.begin().await.unwrap();
        assert_eq!(fairlane_workers::erp::store::reports::settle_orphans(&mut tx.conn(), id).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let report = desk.report(asked.id).await;
        assert!(report.error_message.as_deref().unwrap().contains("no time zone"), "{report:?}");
    }
);

backend_test!(migrations: lines;
    async fn files_are_removed_when_they_were_kept_long_enough_and_left_overs_with_them(t: TestDb) {
        let desk = desk(t).await;
        let (old, young) = (ask(&desk, &request(), None).await, ask(&desk, &request(), None).await);
        desk.work(&["low"]).await;
        let past = "update reports set expires_at = created_at where id = (select min(id) from reports)";
        desk.t.execute(past).await;
        // What a killed worker leaves, two days ago: a part, a workbench, a file that no report names.
        let settings = desk.settings();
        let ago = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 3600);
        let aged = |path: std::path::PathBuf| {
            let file = std::fs::File::create(path).unwrap();
            file.set_modified(ago).unwrap();
        };
        aged(settings.folder.join("parts/abc"));
        aged(settings.folder.join("acme/reports/nobodys.csv"));
        std::fs::write(settings.folder.join("acme/reports/just-made.csv"), "x").unwrap();
        assert_eq!(files(&desk).len(), 5);
        desk.acme.dispatch(RemoveOldReports {}).await.unwrap();
        desk.work(&["low"]).await;
        let left = files(&desk);
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.iter().any(|path| path.ends_with("just-made.csv")), "{left:?}");
        let (old, young) = (desk.report(old.id).await, desk.report(young.id).await);
        assert!(old.file_key.is_none() && old.removed_at.is_some() && old.result.as_deref() == Some("completed"));
        let key = young.file_key.unwrap();
        let stored = Stored { key, sha256: young.sha256.unwrap(), bytes: young.bytes.unwrap() as u64 };
        let mut out = Vec::new();
        ReportFiles::open(&settings).unwrap().copy("acme", &stored, &mut out).await.unwrap();
        assert!(!out.is_empty());
    }
);
