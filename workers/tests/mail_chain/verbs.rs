//! `fairlane notifications` and the verbs around it, as people type them.

use fairlane::backend_test;
use serde_json::Value;

use crate::support::processes::Site;
use crate::support::shop::{lines, shop};

/// What the binary says when it refuses: its exit code and standard error.
fn refused(site: &Site, args: &[&str]) -> (i32, String) {
    let output = site.fairlane(args).output().unwrap();
    assert!(!output.status.success(), "fairlane {args:?} succeeded");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn json(site: &Site, args: &[&str]) -> Value {
    serde_json::from_str(&site.run(&[args, &["-t", "acme", "-o", "json"]].concat())).unwrap()
}

backend_test!(migrations: lines;
    async fn a_person_reads_what_was_told_and_asks_why_somebody_was_not(t: TestDb) {
        let site = Site::new(t).await;
        shop(&site.t).await;
        let erp = |args: &[&str]| site.run(&[&["erp"], args, &["-t", "acme"]].concat());
        erp(&["user", "add", "ana@example.com", "--name", "Ana", "--permission", "billing.view"]);
        erp(&["user", "add", "bob@example.com", "--name", "Bob"]);
        erp(&["user", "preferences", "set", "ana@example.com", "*", "mail", "on"]);
        let number = erp(&["order", "create", "--customer", "C-1", "--line", "Tiles=3@33.335", "--approve", "-o", "id"]);
        site.run(&["work", "--stop-when-empty"]);

        let listed = json(&site, &["notifications", "list", "--unread", "--user", "ana@example.com"]);
        assert_eq!(listed["data"][0]["type"], "InvoiceGeneratedNotification", "{listed}");
        assert_eq!(listed["data"][0]["data"]["severity"], "info");
        let id = listed["data"][0]["id"].as_str().unwrap();
        site.run(&["notifications", "read", &id[id.len() - 8..], "-t", "acme"]);
        assert_eq!(json(&site, &["notifications", "list", "--unread"])["data"].as_array().unwrap().len(), 0);
        assert_eq!(json(&site, &["notifications", "read", "--all"])["read"], 0);

        let why = site.run(&["notifications", "why", "inv:1", "-t", "acme"]);
        for part in [
            "inv:1 Invoice: a letter to somebody outside", "ana@example.com by mail: sent",
            "ana@example.com by in_app: delivered", "bob@example.com: not told [no_permission]", "(as of now)",
        ] {
            assert!(why.contains(part), "{part} is missing in: {why}");
        }
        let bob = json(&site, &["notifications", "why", id, "--user", "bob@example.com"]);
        let line = &bob["notifications"][0]["people"][0];
        assert_eq!((&line["code"], &line["basis"]), (&"no_permission".into(), &"present".into()), "{bob}");

        let cut = json(&site, &["notifications", "why", "inv:1", "--limit", "1"]);
        assert!(!cut.to_string().contains("bob@example.com"), "{cut}");
        let next = cut["notifications"].as_array().unwrap().iter().find_map(|one| one["page"]["next_cursor"].as_str());
        let rest = json(&site, &["notifications", "why", "inv:1", "--limit", "1", "--after", next.unwrap()]);
        let explained = rest["notifications"].as_array().unwrap();
        let behind: Vec<_> = explained.iter().flat_map(|one| one["people"].as_array().unwrap()).collect();
        assert!(behind.len() == 1 && behind[0]["who"] == "bob@example.com", "{rest}");
        assert!(explained.iter().all(|one| one["page"]["has_more"] == false), "{rest}");
        let (code, said) = refused(&site, &["notifications", "why", "low:9", "-t", "acme"]);
        assert!(code == 3 && said.contains("notification \"low:9\" does not exist"), "{code} {said}");
        let (code, said) = refused(&site, &["notifications", "resolve", "1", "sent", "-t", "acme"]);
        assert!(code == 4 && said.contains("only an uncertain one"), "{code} {said}");
        let (code, said) = refused(&site, &["notifications", "list", "--status", "gone", "-t", "acme"]);
        assert!(code == 2 && said.contains("uncertain"), "{code} {said}");
        let (code, said) = refused(&site, &["erp", "user", "preferences", "set", "ana@example.com", "Nonsense", "mail", "on", "-t", "acme"]);
        assert!(code == 3 && said.contains("type of notification"), "{code} {said}");
        let (code, _) = refused(&site, &["erp", "user", "suppressions", "lift", "ana@example.com", "-t", "acme"]);
        assert_eq!(code, 3);
        assert!(!number.trim().is_empty());
    }
);

#[tokio::test]
async fn words_are_set_from_files_and_shown_and_reset() {
    let site = Site::new(fairlane::testing::TestDb::sqlite(lines).await.unwrap()).await;
    let template = |args: &[&str]| site.run(&[&["erp", "template"], args, &["-t", "acme"]].concat());
    assert_eq!(template(&["list", "-o", "id"]).lines().count(), 15);
    std::fs::write(site.folder.path().join("text.txt"), "Pay {{ invoice.total }}\n").unwrap();
    let said = template(&["set", "invoice", "--subject", "Bill {{ invoice.number }}", "--text", "text.txt"]);
    assert!(said.contains("Bill INV-2026-00001"), "{said}");
    assert!(template(&["show", "invoice"]).contains("subject: Bill {{ invoice.number }}"));
    std::fs::write(site.folder.path().join("bad.mjml"), "<mjml><mj-body><mj-nonsense/></mj-body></mjml>")
        .unwrap();
    let (code, said) =
        refused(&site, &["erp", "template", "set", "invoice", "--mjml", "bad.mjml", "-t", "acme"]);
    assert!(code == 2 && said.contains("the mjml: "), "{code} {said}");
    assert_eq!(refused(&site, &["erp", "template", "set", "invoice", "-t", "acme"]).0, 2);
    template(&["reset", "invoice"]);
    assert!(template(&["show", "invoice"]).contains("subject: Invoice {{ invoice.number }}"));
}
