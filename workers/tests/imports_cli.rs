//! `fairlane import` and `fairlane imports` as people type them, on both databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod support;

use fairlane::backend_test;
use fairlane::store::migrate::MigrationLine;
use fairlane_workers::erp;
use support::processes::Site;

fn lines() -> Vec<MigrationLine> {
    vec![erp::migrations()]
}

/// What became of a command: exit code, standard output, standard error.
fn ended(site: &Site, args: &[&str]) -> (i32, String, String) {
    let output = site.fairlane(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Hands a file in; returns the import's number.
fn hand_in(site: &Site, name: &str, text: &str) -> String {
    std::fs::write(site.folder.path().join(name), text).unwrap();
    let id = site.run(&["import", name, "--as", "products", "-t", "acme", "--again", "-o", "id"]);
    id.trim().to_owned()
}

backend_test!(migrations: lines;
    async fn a_damaged_import_is_named_and_the_others_are_listed(t: TestDb) {
        let site = Site::new(t).await;
        let first = hand_in(&site, "products.csv", "sku,name\nA,Bolt\n");
        let second = hand_in(&site, "products.csv", "sku,name\nA,Bolt\n");
        site.t.execute("update import_logs set mapping = '[7]' where id = (select min(id) from import_logs)").await;
        let (code, out, err) = ended(&site, &["imports", "list", "-t", "acme", "-o", "id"]);
        assert_eq!((code, out.trim()), (0, second.as_str()), "{err}");
        assert!(err.contains(&format!("can't be read and is left out: {first}: ")), "{err}");
        let (code, _, err) = ended(&site, &["imports", "show", &first, "-t", "acme"]);
        assert!(code == 1 && err.contains("import_logs.mapping"), "{code} {err}");
    }
);

backend_test!(migrations: lines;
    async fn refused_rows_are_written_with_their_text_and_never_over_a_file_unasked(t: TestDb) {
        let site = Site::new(t).await;
        let id = hand_in(&site, "products.csv", "sku,name\nA,\"Bolt\nB,Nut\nC,,\n");
        site.run(&["work", "--stop-when-empty"]);
        let csv = site.folder.path().join("failed.csv");
        std::fs::write(&csv, "mine").unwrap();
        let write = ["imports", "errors", &id, "-t", "acme", "--csv", "failed.csv"];
        let (code, _, err) = ended(&site, &write);
        assert!(code == 4 && err.contains("failed.csv exists already") && err.contains("--force"), "{code} {err}");
        assert_eq!(std::fs::read_to_string(&csv).unwrap(), "mine");
        site.run(&[&write[..], &["--force"]].concat());
        let written = std::fs::read_to_string(&csv).unwrap();
        let rows: Vec<&str> = written.lines().skip(1).collect();
        assert_eq!(rows.len(), 2, "{written}");
        assert!(rows[0].starts_with("2,,unclosed_quote,") && rows[0].ends_with(",\"A,\"\"Bolt\""), "{written}");
        std::fs::remove_file(&csv).unwrap();
        site.run(&write);
        assert_eq!(std::fs::read_to_string(&csv).unwrap(), written);
    }
);

backend_test!(migrations: lines;
    async fn a_worker_that_looks_elsewhere_names_the_path_and_finds_the_file_in_an_absolute_folder(t: TestDb) {
        let site = Site::new(t).await;
        let elsewhere = tempfile::tempdir().unwrap();
        let work = |folder: &str| {
            let mut worker = site.fairlane(&["work", "--stop-when-empty"]);
            worker.current_dir(elsewhere.path()).env("FAIRLANE_IMPORT_FOLDER", folder).output().unwrap()
        };
        let id = hand_in(&site, "products.csv", "sku,name\nA,Bolt\n");
        work(".fairlane/files");
        let failed: serde_json::Value = serde_json::from_str(&site.run(&["failed", "-o", "json"])).unwrap();
        let error = failed["data"][0]["error"].as_str().unwrap();
        let looked_at = elsewhere.path().canonicalize().unwrap().join(".fairlane/files/acme/imports");
        assert!(error.contains(looked_at.to_str().unwrap()) && error.contains("absolute folder"), "{error}");
        assert_eq!(failed["data"][0]["code"], "file_missing");
        let mut write = site.fairlane(&["imports", "errors", &id, "-t", "acme", "--csv", "failed.csv"]);
        let refused = write.current_dir(elsewhere.path()).output().unwrap();
        let err = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(err.contains(looked_at.to_str().unwrap()) && err.contains("hint: import.folder"), "{err}");
        assert!(!elsewhere.path().join("failed.csv").exists(), "no empty file is left");
        site.run(&["retry", failed["data"][0]["id"].as_str().unwrap()]);
        work(site.folder.path().join(".fairlane/files").to_str().unwrap());
        assert_eq!(site.count("select count(*) as n from products").await, 1);
    }
);
