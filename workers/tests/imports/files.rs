//! Files on their way in and out: refused before anything is stored, gone when their turn comes, handed back with what was
//! refused of them.

use fairlane::backend_test;
use fairlane_workers::erp::jobs::process_bulk_import::failed_rows::FailedRows;
use fairlane_workers::erp::jobs::process_bulk_import::options::Mode;
use fairlane_workers::erp::jobs::process_bulk_import::submit::Submission;

use crate::shop::{Shop, lines, plain, summary};

backend_test!(migrations: lines;
    async fn failed_rows_come_back_as_a_file_that_imports_once_corrected(t: TestDb) {
        let shop = Shop::new(&t);
        let text = "Title;;\n\nsku;name;price\nA;Bolt;1,50\nB;\"Nut\nM4\";lots\nC;;3,00\nD;Washer;4,00;extra\n";
        let log = shop.import_text(text, Mode::Upsert).await;
        assert_eq!(log.counts.failed, 3);
        let mut csv = Vec::new();
        let rows = FailedRows::open(&shop.acme, &shop.settings, &log).unwrap().write(&mut csv).await.unwrap();
        assert_eq!(rows, 3);
        let csv = String::from_utf8(csv).unwrap();
        let again = shop.import_text(&csv, Mode::Upsert).await;
        assert_eq!((again.counts.failed, again.counts.created), (3, 0), "uncorrected it is refused again");
        let fixed = csv.replace(",lots", ",\"2,00\"").replace("C,,", "C,Cap,").replace(",extra", "");
        let log = shop.import_text(&fixed, Mode::Upsert).await;
        assert_eq!(summary(&log), "completed total 3 created 3 updated 0 unchanged 0 skipped 0 failed 0 blank 0");
        assert_eq!(shop.products().await, ["A|Bolt|1.5|1", "B|Nut\nM4|2|1", "C|Cap|3|1", "D|Washer|4|1"]);
    }
);

backend_test!(migrations: lines;
    async fn a_file_imported_before_is_refused_unless_it_is_meant(t: TestDb) {
        let shop = Shop::new(&t);
        let path = shop.file("products.csv", "sku,name\nA,Bolt\n");
        let first = shop.import(&plain(&path)).await;
        let error = shop.submit(&plain(&path)).await.unwrap_err();
        assert_eq!(error.code(), "imported_before");
        assert!(error.to_string().contains(&format!("import {}", first.id)), "{error}");
        let kept = std::fs::read_dir(shop.settings.folder.join("acme/imports")).unwrap().count();
        assert_eq!(kept, 1, "the refused copy is removed");
        let again = shop.import(&Submission { again: true, ..plain(&path) }).await;
        assert_eq!(again.counts.unchanged, 1);
    }
);

backend_test!(migrations: lines;
    async fn an_unknown_column_or_a_missing_name_is_an_error_before_the_first_row(t: TestDb) {
        let shop = Shop::new(&t);
        let path = shop.file("products.csv", "sku,Product Name\nA,Bolt\n");
        let mut submission = plain(&path);
        assert_eq!(shop.submit(&submission).await.unwrap_err().code(), "required_field_unmapped");
        submission.mapping.insert("name".into(), "Produkt Name".into());
        let error = shop.submit(&submission).await.unwrap_err();
        assert_eq!(error.code(), "unknown_column");
        assert!(error.to_string().contains("did you mean `Product Name`"), "{error}");
        assert_eq!(shop.count("select count(*) as n from import_logs").await, 0);
        assert_eq!(shop.count("select count(*) as n from fairlane_jobs").await, 0);
    }
);

backend_test!(migrations: lines;
    async fn a_file_that_is_gone_fails_the_import_and_its_job_at_once(t: TestDb) {
        let shop = Shop::new(&t);
        let path = shop.file("products.csv", "sku,name\nA,Bolt\n");
        let submitted = shop.submit(&plain(&path)).await.unwrap();
        std::fs::remove_dir_all(&shop.settings.folder).unwrap();
        shop.work().await;
        let log = shop.log(submitted.import_id).await;
        assert_eq!((log.result.as_deref(), log.failure_code.as_deref()), (Some("failed"), Some("file_missing")));
        assert_eq!(shop.count("select count(*) as n from fairlane_failed_jobs where code = 'file_missing'").await, 1);
    }
);
