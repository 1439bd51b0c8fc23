//! Secrets are nowhere in the clear: not in the database, not in a log, not in what is printed.

use std::process::Stdio;

use fairlane::backend_test;
use fairlane::db::{Dialect as Kind, Sql, query};

use crate::desk::{KEY, lines};
use crate::shop_server::ShopServer;
use crate::support::processes::Site;

const SECRET: &str = "hunter2-do-not-tell";

/// Every text of every table.
async fn everything(site: &Site) -> String {
    let mut tx = site.observer.read().await.unwrap();
    let conn = &mut tx.conn();
    let columns = match conn.dialect() {
        Kind::Postgres => Sql {
            postgres: "select table_name || '.' || column_name as name from information_schema.columns
                where table_schema = 'public' and data_type in ('text', 'jsonb')",
            sqlite: "",
        },
        Kind::Sqlite => Sql {
            postgres: "",
            sqlite: "select m.name || '.' || c.name as name from sqlite_schema m, pragma_table_info(m.name) c
                where m.type = 'table' and lower(c.type) = 'text'",
        },
    };
    let mut all = String::new();
    for row in query(columns).fetch_all(conn).await.unwrap() {
        let name: String = row.get("name").unwrap();
        let (table, column) = name.split_once('.').unwrap();
        let text: &'static str =
            Box::leak(format!("select cast(\"{column}\" as text) as t from \"{table}\"").into_boxed_str());
        for row in query(Sql { postgres: text, sqlite: text }).fetch_all(conn).await.unwrap() {
            all.push_str(&row.get::<Option<String>>("t").unwrap().unwrap_or_default());
            all.push('\n');
        }
    }
    all
}

backend_test!(migrations: lines;
    async fn a_secret_is_in_no_table_no_log_and_no_output(t: TestDb) {
        let site = Site::new(t).await;
        let shop = ShopServer::open(12, 0);
        std::fs::write(site.folder.path().join("description.json"), crate::desk::DESCRIPTION).unwrap();
        std::fs::write(site.folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let mut said = String::new();
        let mut fairlane = |args: &str, input: Option<&str>| {
            let mut command = site.fairlane(&args.split(' ').collect::<Vec<_>>());
            command.env("FAIRLANE_OUTBOUND_SECRET_KEY", KEY).env("FAIRLANE_LOG", "trace").stdin(Stdio::piped())
                .stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            if let Some(input) = input {
                std::io::Write::write_all(child.stdin.as_mut().unwrap(), input.as_bytes()).unwrap();
            }
            drop(child.stdin.take());
            let output = child.wait_with_output().unwrap();
            said.push_str(&String::from_utf8_lossy(&output.stdout));
            said.push_str(&String::from_utf8_lossy(&output.stderr));
            output.status.code()
        };
        let add = format!("erp sync connection add shop --dialect generic --url {} --auth oauth2 --username client \
            --token-url {} --secret-file secret --description description.json --allow-address 127.0.0.1 -t acme",
            shop.url("/generic"), shop.url("/token"));
        assert_eq!(fairlane(&add, None), Some(0));
        assert_eq!(fairlane("erp sync connection set shop --secret-file - -t acme", Some(SECRET)), Some(0));
        assert_eq!(fairlane("erp sync connection test shop -t acme", None), Some(0));
        assert_eq!(fairlane("erp sync run shop --entity products -t acme", None), Some(0));
        assert_eq!(fairlane("work --queue low --stop-when-empty", None), Some(0));
        // And a login that is refused, by a shop that says what it was given.
        shop.faults(|faults| faults.token_uses = Some(0));
        assert_eq!(fairlane("erp sync run shop --entity products -t acme", None), Some(0));
        fairlane("work --queue low --stop-when-empty", None);
        for args in ["erp sync connection show shop -t acme -o json", "erp sync connection list -t acme -o json",
            "erp sync log list -t acme -o json", "erp sync breaker show -t acme -o json"] {
            assert_eq!(fairlane(args, None), Some(0), "{args}");
        }
        assert!(said.contains("the same") || said.contains("completed"), "{said}");
        let stored = everything(&site).await;
        assert!(stored.contains("x1."), "there is something sealed");
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, SECRET);
        for secret in [SECRET, &encoded, "token-1", "token-2", "token-3", KEY] {
            assert!(!said.contains(secret), "{secret} is printed");
            assert!(!stored.contains(secret), "{secret} is stored");
        }
    }
);
