//! `fairlane import` and `fairlane imports` as people type them, on both databases. Seed 1-09.

use fairlane::backend_test;
use fairlane::store::migrate::MigrationLine;
use fairlane_workers::erp;

use crate::support::processes::Site;

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
    async fn a_file_handed_in_from_another_folder_is_found_by_its_worker_and_named_whole_when_it_is_gone(t: TestDb) {
        let site = Site::new(t).await;
        let elsewhere = tempfile::tempdir().unwrap();
        let work = |folder: &str| {
            let mut worker = site.fairlane(&["work", "--stop-when-empty"]);
            worker.current_dir(elsewhere.path()).env("FAIRLANE_IMPORT_FOLDER", folder).output().unwrap()
        };
        let id = hand_in(&site, "products.csv", "sku,name\nA,Bolt\n,Nut\n");
        work(".fairlane/files");
        assert_eq!(site.count("select count(*) as n from products").await, 1);
        let files = site.folder.path().canonicalize().unwrap().join(".fairlane/files");
        let moved = elsewhere.path().join("moved");
        std::fs::rename(&files, &moved).unwrap();
        let errors = |folder: &str| {
            let mut write = site.fairlane(&["imports", "errors", &id, "-t", "acme", "--csv", "failed.csv"]);
            let ended = write.current_dir(elsewhere.path()).env("FAIRLANE_IMPORT_FOLDER", folder).output().unwrap();
            (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
        };
        let (code, err) = errors(".fairlane/files");
        let was_put = files.join("acme/imports");
        assert!(code != Some(0) && err.contains(was_put.to_str().unwrap()) && err.contains("hint: "), "{err}");
        assert!(!elsewhere.path().join("failed.csv").exists(), "no empty file is left");
        assert_eq!(errors("moved").0, Some(0), "below the folder of the configuration");
        hand_in(&site, "products.csv", "sku,name\nB,Nut\n");
        std::fs::remove_dir_all(&files).unwrap();
        work(".fairlane/files");
        let failed: serde_json::Value = serde_json::from_str(&site.run(&["failed", "-o", "json"])).unwrap();
        let error = failed["data"][0]["error"].as_str().unwrap();
        assert!(error.contains(was_put.to_str().unwrap()) && error.contains("every worker reach"), "{error}");
        assert_eq!(failed["data"][0]["code"], "file_missing");
    }
);

backend_test!(migrations: lines;
    async fn an_import_is_tried_out_undone_and_not_undone_twice_and_maps_are_listed(t: TestDb) {
        let site = Site::new(t).await;
        let id = hand_in(&site, "products.csv", "sku,name\nA,Bolt\nB,Nut\n");
        site.run(&["work", "--stop-when-empty"]);
        let trial = site.run(&["imports", "undo", &id, "-t", "acme", "--dry-run"]);
        assert!(trial.contains("2 taken away") && trial.contains("nothing was changed"), "{trial}");
        assert_eq!(site.count("select count(*) as n from products").await, 2);
        site.t.execute("update products set version = 2 where sku = 'B'").await;
        let list = || site.run(&["imports", "list", "-t", "acme"]);
        assert!(list().contains("\tcompleted\t"), "{}", list());
        site.run(&["imports", "undo", &id, "-t", "acme"]);
        assert!(list().contains("\tundoing\t"), "{}", list());
        site.run(&["work", "--stop-when-empty"]);
        assert!(list().contains("\tundone, 1 left\t"), "{}", list());
        site.t.execute("update products set version = 1 where sku = 'B'").await;
        site.run(&["imports", "undo", &id, "-t", "acme"]);
        site.run(&["work", "--stop-when-empty"]);
        assert!(list().contains("\tundone\t"), "{}", list());
        assert_eq!(site.count("select count(*) as n from products").await, 0);
        let (code, _, err) = ended(&site, &["imports", "undo", &id, "-t", "acme"]);
        assert!(code == 4 && err.contains("undone already"), "{code} {err}");
        let maps = site.run(&["import", "maps", "inventory", "-o", "id"]);
        assert!(maps.contains("inventory/openboxes") && !maps.contains("products/"), "{maps}");
        let count = ["import", "products.csv", "--as", "products", "-t", "acme", "--mode", "count"];
        let (code, _, err) = ended(&site, &count);
        assert!(code == 2 && err.contains("have no mode count; use upsert"), "{code} {err}");
    }
);

backend_test!(migrations: lines;
    async fn columns_that_are_not_read_are_named_and_an_address_is_a_street(t: TestDb) {
        let site = Site::new(t).await;
        std::fs::write(site.folder.path().join("c.csv"), "code,name,address,contactName,fax\nC-7,Ada,Road 1,Bob,1\n").unwrap();
        let import = |more: &[&str]| site.run(&[&["import", "c.csv", "--as", "customers", "-t", "acme"], more].concat());
        let trial = import(&["--dry-run"]);
        assert!(trial.contains("not read: contactName, fax") && trial.contains("street <- address"), "{trial}");
        let trial = import(&["--dry-run", "--map", "contact=address"]);
        assert!(trial.contains("contact <- address") && !trial.contains("street <- address"), "{trial}");
        let handed_in: serde_json::Value = serde_json::from_str(&import(&["-o", "json"])).unwrap();
        assert_eq!(handed_in["not_read"], serde_json::json!(["contactName", "fax"]));
        site.run(&["work", "--stop-when-empty"]);
        let shown = site.run(&["imports", "show", &handed_in["import_id"].to_string(), "-t", "acme"]);
        assert!(shown.contains("not read: contactName, fax"), "{shown}");
        let streets = "select count(*) as n from customers where cast(address as text) like '%Road 1%'";
        assert_eq!(site.count(streets).await, 1);
    }
);

#[tokio::test]
async fn maps_that_contradict_each_other_are_refused() {
    let site = Site::new(fairlane::testing::TestDb::sqlite(lines).await.unwrap()).await;
    std::fs::write(site.folder.path().join("products.csv"), "sku,a,b\nA,Bolt,Nut\n").unwrap();
    let try_out = |maps: &[&str]| {
        ended(
            &site,
            &[&["import", "products.csv", "--as", "products", "-t", "acme", "--dry-run"], maps].concat(),
        )
    };
    let (code, _, err) = try_out(&["--map", "name=a", "--map", "name=b"]);
    assert!(code == 2 && err.contains("field `name` is mapped twice"), "{code} {err}");
    for maps in [["--map", "odoo", "--map", "shopify"], ["--preset", "odoo", "--map", "shopify"]] {
        let (code, _, err) = try_out(&maps);
        assert!(
            code == 2 && err.contains("two ready-made maps are named, `odoo` and `shopify`"),
            "{code} {err}"
        );
    }
    assert_eq!(try_out(&["--map", "sku=sku", "--map", "name=b"]).0, 0);
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once_with_a_hint_that_fits() {
    let site = Site::new(fairlane::testing::TestDb::sqlite(lines).await.unwrap()).await;
    let pipe = site.folder.path().join("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::create_dir(site.folder.path().join("folder")).unwrap();
    for (name, words) in
        [("pipe.csv", "pipe.csv is a pipe"), ("folder", "folder is a folder"), ("gone.csv", "exists")]
    {
        for more in [&[][..], &["--dry-run"]] {
            let line = [&["import", name, "--as", "products", "-t", "acme"], more].concat();
            let (code, _, err) = ended(&site, &line);
            assert!(code == 2 && err.contains(words) && !err.contains("--encoding"), "{code} {err}");
        }
    }
}
