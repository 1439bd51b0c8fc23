//! The verbs a person types, with the shipped binary.

use fairlane::backend_test;
use serde_json::{Value, json};

use crate::desk::{DESCRIPTION, KEY, lines};
use crate::shop_server::ShopServer;
use crate::support::processes::Site;

/// Exit code, output and errors.
fn fairlane(site: &Site, args: &str) -> (i32, String, String) {
    let output = site
        .fairlane(&args.split(' ').collect::<Vec<_>>())
        .env("FAIRLANE_OUTBOUND_SECRET_KEY", KEY)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

backend_test!(migrations: lines;
    async fn a_connection_is_added_tried_followed_and_removed(t: TestDb) {
        let site = Site::new(t).await;
        let shop = ShopServer::open(12, 3);
        std::fs::write(site.folder.path().join("description.json"), DESCRIPTION).unwrap();
        let add = format!("erp sync connection add shop --dialect generic --url {} --description description.json \
            --policy products.price=manual --page-size 50 --allow-address 127.0.0.1 -t acme", shop.url("/generic"));
        let (code, out, err) = fairlane(&site, &add);
        assert_eq!(code, 0, "{out}{err}");
        let (code, _, err) = fairlane(&site, &add);
        assert!(code == 4 && err.contains("the name is taken"), "{err}");
        let (code, out, _) = fairlane(&site, "erp sync connection test shop -t acme");
        assert!(code == 0 && out.contains("12 products of the first page can be read"), "{out}");
        let worker = site.worker(&["--queue", "low"]);
        let (code, out, err) =
            fairlane(&site, "erp sync run shop --entity products --entity customers --follow -t acme -o json");
        assert_eq!(code, 0, "{out}{err}");
        let logs: Value = serde_json::from_str(&out).unwrap();
        let created: Vec<_> = logs.as_array().unwrap().iter().map(|log| log["created"].as_i64().unwrap()).collect();
        assert_eq!(created, [12, 3], "{out}");
        let (code, out, _) = fairlane(&site, "erp sync log list -t acme");
        assert!(code == 0 && out.contains("completed"), "{out}");
        let (code, out, _) = fairlane(&site, "erp sync breaker show -t acme");
        assert!(code == 0 && out.contains("closed"), "{out}");
        assert_eq!(fairlane(&site, "erp sync breaker reset shop -t acme").0, 0);
        site.t.execute("update sync_logs set status = 'failed', error_message = 'gone \u{1b}[2J'").await;
        let (_, out, _) = fairlane(&site, "erp sync log show 1 -t acme");
        assert!(out.contains("gone \\u{1b}[2J"), "what the other system says commands no terminal: {out}");
        site.t
            .execute(
                "insert into sync_failures (tenant_id, connection_id, entity, external_id, run, code, message)
                 select tenant_id, connection_id, 'products', 'X-' || n, id, 'refused', 'no price' from sync_logs
                 cross join (select 1 as n union all select 2 union all select 3) x where id = 1",
            )
            .await;
        let show = |more: &str| -> Value {
            let (_, out, _) = fairlane(&site, &format!("erp sync log show 1 --limit 2{more} -t acme -o json"));
            serde_json::from_str(&out).unwrap()
        };
        let (first, last) = (show(""), show(" --after X-2"));
        assert_eq!(first["failures"][1]["external_id"], "X-2", "{first}");
        assert_eq!(first["page"], json!({ "next_cursor": "X-2", "has_more": true }));
        assert_eq!(last["failures"][0]["external_id"], "X-3", "{last}");
        assert_eq!(last["page"], json!({ "next_cursor": null, "has_more": false }));
        let (_, _, err) = fairlane(&site, "erp sync log show 1 --limit 2 -t acme");
        assert!(err.contains("more with --after X-2"), "{err}");
        assert_eq!(fairlane(&site, "erp sync conflicts list -t acme").0, 0);
        let (code, _, err) = fairlane(&site, "erp sync conflicts resolve 7 local -t acme");
        assert!(code == 3 && err.contains("conflict"), "{err}");
        assert_eq!(fairlane(&site, "erp sync connection set shop --active false -t acme").0, 0);
        let (code, _, err) = fairlane(&site, "erp sync run shop -t acme");
        assert!(code == 4 && err.contains("switched off"), "{err}");
        assert_eq!(fairlane(&site, "erp sync connection remove shop -t acme").0, 0);
        let (code, _, err) = fairlane(&site, "erp sync connection show shop -t acme");
        assert!(code == 3 && err.contains("shop"), "{err}");
        drop(worker);
    }
);

backend_test!(migrations: lines;
    async fn what_would_give_a_secret_away_is_refused(t: TestDb) {
        let site = Site::new(t).await;
        std::fs::write(site.folder.path().join("secret"), "hunter2").unwrap();
        let add = "erp sync connection add shop --dialect shopify --auth bearer -t acme";
        let (code, _, err) = fairlane(&site, &format!("{add} --url http://shop.example --secret-file secret"));
        assert!(code == 2 && err.contains("in the clear"), "{err}");
        let (code, _, err) = fairlane(&site, &format!("{add} --url https://shop.example"));
        assert!(code == 2 && err.contains("--secret-file"), "{err}");
        let (code, _, err) = fairlane(&site, &format!("{add} --url https://u:p@shop.example --secret-file secret"));
        assert!(code == 2 && !err.contains("u:p"), "{err}");
        let without_key: Vec<&str> = add.split(' ').chain(["--url", "https://shop.example", "--secret-file", "secret"]).collect();
        let output = site.fairlane(&without_key).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(4) && err.contains("FAIRLANE_OUTBOUND_SECRET_KEY"), "{err}");
        assert_eq!(site.count("select count(*) as n from sync_connections").await, 0, "nothing is half added");
        assert_eq!(fairlane(&site, &format!("{add} --url https://shop.example --secret-file secret")).0, 0);
        let (code, _, err) = fairlane(&site, "erp sync connection set shop --url https://evil.example -t acme");
        assert!(code == 4 && err.contains("another host"), "{err}");
    }
);
