//! The files of reports: four formats that say the same, and words that no program obeys.

use calamine::{Data, Reader, Xlsx, open_workbook};
use fairlane::backend_test;
use fairlane::testing::TestDb;
use fairlane_workers::erp::reports::{FileFormat, Grouping, ReportRequest, ReportType};
use fairlane_workers::erp::services::products::{self, ProductChange};

use crate::desk::{Desk, day, line, sales};
use crate::support::shop::lines;

const EVIL: &str = "=HYPERLINK(\"http://evil.example.com\",\"click\")";
const SCRIPT: &str = "<script>alert('1')</script>";

/// Sales of a customer with a name that spreadsheets would obey, of a product with a name that browsers would.
async fn desk(t: TestDb) -> Desk {
    let desk = Desk::new(t, "UTC").await;
    desk.customer("-1+1", EVIL).await;
    desk.customer("C-2", "@SUM(A1:A9)").await;
    let mut tx = desk.acme.begin().await.unwrap();
    let change = ProductChange { name: Some(SCRIPT.into()), ..ProductChange::default() };
    products::create(&mut tx, &desk.acme, "+49", &change, None).await.unwrap();
    tx.commit().await.unwrap();
    desk.sell("-1+1", "2026-03-01T12:00:00Z", Some("=1+1"), &[line(Some("+49"), "2", "1234.5")]).await;
    desk.give_back("-1+1", "2026-03-02T12:00:00Z", vec![line(Some("+49"), "1", "0.125")]).await;
    desk.give_back("C-2", "2026-03-02T12:00:00Z", vec![line(None, "1", "7")]).await;
    desk
}

fn by(by: Grouping, format: FileFormat) -> ReportRequest {
    ReportRequest { format, ..sales("2026-03-01", "2026-03-02", by) }
}

backend_test!(migrations: lines;
    async fn words_are_never_formulas_and_numbers_stay_numbers(t: TestDb) {
        let desk = desk(t).await;
        let csv = std::fs::read_to_string(desk.file(&by(Grouping::Customer, FileFormat::Csv)).await).unwrap();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().take(3).collect::<Vec<_>>(), ["customer", "customer_name", "orders"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((&rows[0][0], &rows[0][1]), ("'-1+1", &*format!("'{EVIL}")));
        assert_eq!((&rows[1][1], &rows[1][6]), ("'@SUM(A1:A9)", "-7.00"), "a number may be below nothing: {csv}");
        assert_eq!((&rows[0][4], &rows[0][6], &rows[0][7]), ("2469.00", "-0.125", "2468.875"));
        let path = desk.file(&by(Grouping::Customer, FileFormat::Xlsx)).await;
        let mut book: Xlsx<_> = open_workbook(path).unwrap();
        let sheet = book.worksheet_range("Rows").unwrap();
        let cell = |row: u32, column: u32| sheet.get_value((row, column)).cloned().unwrap_or(Data::Empty);
        assert_eq!(cell(1, 1), Data::String(EVIL.into()), "words, as they are");
        assert_eq!((cell(1, 4), cell(2, 6)), (Data::Float(2469.0), Data::Float(-7.0)));
        assert_eq!((cell(3, 0), cell(3, 7)), (Data::String("Total".into()), Data::Float(2461.875)));
        assert!(book.worksheet_formula("Rows").unwrap().is_empty(), "no cell is a formula");
        let summary = book.worksheet_range("Summary").unwrap();
        assert!(summary.rows().any(|row| row[0] == Data::String("Time zone".into()) && row[1] == Data::String("UTC".into())));
    }
);

backend_test!(migrations: lines;
    async fn a_page_runs_nothing_fetches_nothing_and_says_its_days_zone_and_totals(t: TestDb) {
        let desk = desk(t).await;
        let page = std::fs::read_to_string(desk.file(&by(Grouping::Product, FileFormat::Html)).await).unwrap();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
        for link in ["http://", "https://", "src=", "href=", "url(", "@import"] {
            let outside = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains(link), "{link}");
        }
        for said in ["2026-03-01 to 2026-03-02", "days of UTC", "amounts in EUR", "2,461.875", "\u{2212}7.125", "<tfoot>", "<svg"] {
            assert!(page.contains(said), "{said}: {page}");
        }
        let nothing = ReportRequest { format: FileFormat::Html, ..sales("2020-01-01", "2020-01-02", Grouping::Day) };
        let page = std::fs::read_to_string(desk.file(&nothing).await).unwrap();
        assert!(page.contains("nothing in this period") && !page.contains("<svg"), "{page}");
    }
);

backend_test!(migrations: lines;
    async fn the_json_of_a_report_has_its_parts_and_amounts_as_texts(t: TestDb) {
        let desk = desk(t).await;
        let report = desk.json(&by(Grouping::Country, FileFormat::Json)).await;
        let mut parts: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
        parts.sort_unstable();
        assert_eq!(parts, ["columns", "meta", "notes", "parameters", "rows", "sections", "summary", "totals"]);
        assert_eq!(report["parameters"]["start"], "2026-03-01T00:00:00Z");
        assert_eq!(report["parameters"]["end"], "2026-03-03T00:00:00Z", "half-open");
        assert_eq!(report["rows"][0]["country"], "=1+1", "JSON is for programs: nothing is added");
        assert_eq!((&report["rows"][0]["gross"], &report["rows"][0]["orders"]), (&"2469.00".into(), &1.into()));
        assert_eq!(report["columns"][2], serde_json::json!({ "name": "units", "title": "Units", "kind": "quantity" }));
        for kind in [ReportType::Inventory, ReportType::Financial, ReportType::Customer, ReportType::Procurement] {
            for format in [FileFormat::Json, FileFormat::Csv, FileFormat::Xlsx, FileFormat::Html] {
                let request = ReportRequest { format, ..ReportRequest::new(kind, day("2026-03-01"), day("2026-03-02")) };
                assert!(desk.file(&request).await.metadata().unwrap().len() > 20, "{kind:?} {format:?}");
            }
        }
    }
);
