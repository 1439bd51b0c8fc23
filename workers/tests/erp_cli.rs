//! The ERP tried by hand: the shipped binary's verbs, from a customer to the mail, on both databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use fairlane::backend_test;
use fairlane::store::migrate::MigrationLine;
use fairlane_workers::erp;
use support::processes::Site;

fn lines() -> Vec<MigrationLine> {
    vec![erp::migrations()]
}

/// What the binary says when it refuses: its exit code and standard error.
fn refused(site: &Site, args: &[&str]) -> (i32, String) {
    let output = site.fairlane(args).output().unwrap();
    assert!(!output.status.success(), "fairlane {args:?} succeeded");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn mails(site: &Site) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(site.folder.path().join(".fairlane/outbox")) else { return Vec::new() };
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

backend_test!(migrations: lines;
    async fn what_the_failed_mail_says_to_type_brings_the_mail(t: TestDb) {
        let site = Site::new(t).await;
        site.run(&["erp", "customer", "add", "C-1", "--name", "Ana", "--email", "ana(at)example.com", "-t", "acme"]);
        let create = ["erp", "order", "create", "-t", "acme", "--customer", "C-1", "--line", "Blue tiles=3@33.335",
            "--tax", "19", "-o", "id"];
        let number = site.run(&create);
        site.run(&["erp", "order", "approve", number.trim(), "-t", "acme"]);
        site.run(&["work", "--stop-when-empty"]);
        assert!(mails(&site).is_empty());
        let failed = site.run(&["failed", "-t", "acme", "-o", "json"]);
        let failed: serde_json::Value = serde_json::from_str(&failed).unwrap();
        let error = failed["data"][0]["error"].as_str().unwrap();
        // The last words of the error are the two commands.
        let (repair, retry) = error.split_once("fairlane ").unwrap().1.split_once(", then: fairlane ").unwrap();
        let repair = repair.replace("ADDRESS", "ana@example.com");
        site.run(&repair.split(' ').collect::<Vec<_>>());
        site.run(&retry.split(' ').collect::<Vec<_>>());
        site.run(&["work", "--stop-when-empty"]);
        let mails = mails(&site);
        assert_eq!(mails.len(), 1);
        assert!(mails[0].contains("To: Ana <ana@example.com>") && mails[0].contains("119.01 EUR"), "{}", mails[0]);
        let list = site.run(&["erp", "invoice", "list", "-t", "acme", "-o", "json"]);
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["data"][0]["total"], "119.01");
        let shown = site.run(&["erp", "invoice", "show", list["data"][0]["number"].as_str().unwrap(), "-t", "acme"]);
        assert!(shown.contains("mail to ana@example.com: sent after 2 attempts"), "{shown}");
    }
);

backend_test!(migrations: lines;
    async fn verbs_refuse_with_a_reason_and_their_exit_code(t: TestDb) {
        let site = Site::new(t).await;
        let (code, why) = refused(&site, &["erp", "order", "list"]);
        assert!(code == 2 && why.contains("name it with -t"), "{code} {why}");
        let (code, why) = refused(&site, &["erp", "customer", "set-email", "C-9", "a@example.com", "-t", "acme"]);
        assert!(code == 3 && why.contains("customer \"C-9\" does not exist"), "{code} {why}");
        site.run(&["erp", "customer", "add", "C-1", "--name", "Ana", "-t", "acme"]);
        let line = ["erp", "order", "create", "-t", "acme", "--customer", "C-1", "--line"];
        let (code, why) = refused(&site, &[&line[..], &["Tiles"]].concat());
        assert!(code == 2 && why.contains("ITEM=QUANTITY"), "{code} {why}");
        let (_, why) = refused(&site, &[&line[..], &["Tiles=1"]].concat());
        assert!(why.contains("the catalogue has no such product") && why.contains("Tiles=1@9.90"), "{why}");
        let number = site.run(&[&line[..], &["Tiles=1@2", "--approve", "-o", "id"]].concat());
        let (code, why) = refused(&site, &["erp", "order", "approve", number.trim(), "-t", "acme"]);
        assert!(code == 4 && why.contains("it is approved already"), "{code} {why}");
        let (_, why) = refused(&site, &["erp", "profile", "set", "--timezone", "Middle/Earth", "-t", "acme"]);
        assert!(why.contains("IANA"), "{why}");
    }
);

/// How far a list in JSON says that it goes.
fn page_of(site: &Site, verb: &str) -> (usize, bool, Option<String>) {
    let args: Vec<&str> = verb.split(' ').chain(["-t", "acme", "-o", "json"]).collect();
    let list: serde_json::Value = serde_json::from_str(&site.run(&args)).unwrap();
    let page = &list["page"];
    let cursor = page["next_cursor"].as_str().map(str::to_owned);
    (list["data"].as_array().unwrap().len(), page["has_more"].as_bool().unwrap(), cursor)
}

backend_test!(
    migrations: lines;
    async fn a_list_that_was_cut_says_so_and_how_it_goes_on(t: TestDb) {
        let site = Site::new(t).await;
        for code in ["C-1", "C-2", "C-3"] {
            site.run(&["erp", "customer", "add", code, "--name", "Ana", "-t", "acme"]);
            site.run(&["erp", "vendor", "add", code, "--name", "Ben", "-t", "acme"]);
            site.run(&["erp", "order", "create", "-t", "acme", "--customer", code, "--line", "Tiles=1@2"]);
        }
        assert_eq!(page_of(&site, "erp customer list --limit 2"), (2, true, Some("C-2".into())));
        assert_eq!(page_of(&site, "erp customer list --limit 2 --after C-2"), (1, false, None));
        assert_eq!(page_of(&site, "erp customer list --limit 3"), (3, false, None));
        let (rows, more, cursor) = page_of(&site, "erp order list --limit 2");
        assert_eq!((rows, more), (2, true));
        let rest = format!("erp order list --limit 2 --after {}", cursor.unwrap());
        assert_eq!(page_of(&site, &rest), (1, false, None));
        assert_eq!(page_of(&site, "erp vendor list --limit 2"), (2, true, None));
        for (format, said) in [("table", true), ("jsonl", true), ("id", true), ("json", false)] {
            let list = ["erp", "vendor", "list", "--limit", "2", "-t", "acme", "-o", format];
            let output = site.fairlane(&list).output().unwrap();
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(words.contains("more with a larger --limit"), said, "{format}: {words}");
        }
    }
);
