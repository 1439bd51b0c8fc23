//! Customers, vendors and inventories: keys, events, movements. Seed 1-06.

use fairlane::backend_test;
use fairlane::db::Sql;
use fairlane::sql;
use fairlane_workers::erp::jobs::process_bulk_import::customers::Customers;
use fairlane_workers::erp::jobs::process_bulk_import::inventory::Inventory;
use fairlane_workers::erp::jobs::process_bulk_import::mapping::detect;
use fairlane_workers::erp::jobs::process_bulk_import::options::{Duplicates, ImportOptions, Mode};
use fairlane_workers::erp::jobs::process_bulk_import::products::Products;
use fairlane_workers::erp::jobs::process_bulk_import::submit::{Submission, submit};
use fairlane_workers::erp::jobs::process_bulk_import::tabular::Header;
use fairlane_workers::erp::jobs::process_bulk_import::tabular::number::DecimalMark;
use fairlane_workers::erp::jobs::process_bulk_import::vendors::Vendors;

use crate::shop::{Shop, lines, plain, summary};

const CUSTOMERS: Sql = sql!(
    "select code || '|' || name || '|' || coalesce(email, '') || '|' || version as t
    from customers order by id"
);
const VENDORS: Sql =
    sql!("select coalesce(code, '') || '|' || name || '|' || version as t from vendors order by id");

backend_test!(migrations: lines;
    async fn customers_are_found_by_code_then_by_address_and_the_new_ones_are_told(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(2);
        let first = "code,name,email,city\nC1,Ada,ada@x.example,London\n,Bob,Bob@X.example,\n,,,Paris\n";
        let log = shop.text_as::<Customers>(first, Mode::Upsert).await;
        assert_eq!(summary(&log), "completed_with_errors total 3 created 2 updated 0 unchanged 0 skipped 0 failed 1 blank 0");
        assert_eq!(shop.codes(log.id).await, [(3, "missing_key".to_owned())]);
        let again = "code,name,email\nC1,Ada L.,\n,Robert,BOB@x.EXAMPLE\nC1,Ada L.,\n";
        let log = shop.text_as::<Customers>(again, Mode::Upsert).await;
        assert_eq!(summary(&log), "completed total 3 created 0 updated 2 unchanged 1 skipped 0 failed 0 blank 0");
        let stored = shop.texts(CUSTOMERS).await;
        assert_eq!(stored, ["C1|Ada L.|ada@x.example|2", "bob@x.example|Robert|BOB@x.EXAMPLE|2"]);
        let told = shop.count("select count(*) as n from fairlane_events where name = 'crm.customer.created'").await;
        assert_eq!(told, 2, "changes are not told");
        let import = sql!("select cast(payload ->> 'import_id' as text) as t from fairlane_events
            where name = 'crm.customer.created' order by 1");
        assert_eq!(shop.texts(import).await, [(log.id - 1).to_string(), (log.id - 1).to_string()]);
        // Two customers share an address: it means neither of them.
        shop.text_as::<Customers>("code,name,email\nC2,Eve,ada@x.example\n", Mode::Upsert).await;
        let log = shop.text_as::<Customers>("name,email\nAda,ada@x.example\n", Mode::Upsert).await;
        assert_eq!(shop.codes(log.id).await, [(1, "ambiguous_key".to_owned())]);
    }
);

backend_test!(migrations: lines;
    async fn vendors_are_found_by_code_then_by_name_in_either_case(t: TestDb) {
        let shop = Shop::new(&t);
        shop.text_as::<Vendors>("code,name,lead_time_days\nV1,Acme,7\n,Bolts Ltd,\n", Mode::Upsert).await;
        let log = shop.text_as::<Vendors>("code,name,lead_time_days\n,BOLTS LTD,14\nV1,Acme,9999\nV2,Acme,\n", Mode::Upsert).await;
        assert_eq!(summary(&log), "completed_with_errors total 3 created 1 updated 1 unchanged 0 skipped 0 failed 1 blank 0");
        assert_eq!(shop.codes(log.id).await, [(2, "out_of_range".to_owned())]);
        assert_eq!(shop.texts(VENDORS).await, ["V1|Acme|1", "|BOLTS LTD|2", "V2|Acme|1"]);
        assert_eq!(shop.count("select count(*) as n from fairlane_events").await, 0, "nobody is told of vendors");
    }
);

backend_test!(migrations: lines;
    async fn duplicates_are_the_last_one_or_an_error_as_it_is_said(t: TestDb) {
        let shop = Shop::new(&t).chunks_of(2);
        let text = "code,name\nA,One\nB,Two\nA,Three\nA,Three\n";
        let path = shop.file("rows.csv", text);
        let log = shop.import_as::<Customers>(&plain(&path)).await;
        assert_eq!(summary(&log), "completed total 4 created 2 updated 1 unchanged 1 skipped 0 failed 0 blank 0");
        let options = ImportOptions { duplicates: Duplicates::Error, ..ImportOptions::default() };
        let log = shop.import_as::<Customers>(&Submission { options, again: true, ..plain(&path) }).await;
        let twice = (3, "duplicate_key".to_owned());
        assert_eq!(shop.codes(log.id).await, [twice, (4, "duplicate_key".to_owned())]);
        assert_eq!((log.counts.updated, log.counts.unchanged), (1, 1));
    }
);

backend_test!(migrations: lines;
    async fn a_shops_private_persons_have_their_own_names_and_companies_theirs(t: TestDb) {
        let shop = Shop::new(&t);
        let text = "First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address City\n\
            Ada,Lovelace,ada@x.example,yes,,London\nBob,,bob@x.example,no,,\nEve,Smith,eve@x.example,no,Eve Ltd,\n";
        let log = shop.text_as::<Customers>(text, Mode::Upsert).await;
        assert_eq!(summary(&log), "completed total 3 created 3 updated 0 unchanged 0 skipped 0 failed 0 blank 0");
        let names = sql!("select name as t from customers order by id");
        assert_eq!(shop.texts(names).await, ["Ada Lovelace", "Bob", "Eve Ltd"]);
    }
);

/// A workbook with the columns sku, name and price: in the first row the price is a number, in the second a text.
fn book_of_two(path: &std::path::Path, number: &str, text: &str) {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let word = |text: &str| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let row = |cells: [String; 3]| format!("<row>{}</row>", cells.concat());
    let rows = [
        row([word("sku"), word("name"), word("price")]),
        row([word("A"), word("Bolt"), format!("<c><v>{number}</v></c>")]),
        row([word("B"), word("Nut"), word(text)]),
    ];
    let relation = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"r1\" Type=\"{office}/{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let parts = [
        ("[Content_Types].xml", format!("<Types xmlns=\"{package}/content-types\"/>")),
        ("_rels/.rels", relation("officeDocument", "xl/workbook.xml")),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        ("xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{main}\"><sheetData>{}</sheetData></worksheet>", rows.concat()),
        ),
    ];
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, text) in parts {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

backend_test!(migrations: lines;
    async fn a_workbooks_number_has_a_point_whatever_the_texts_beside_it_have(t: TestDb) {
        let shop = Shop::new(&t);
        let path = shop.folder.path().join("prices.xlsx");
        book_of_two(&path, "1.234", "12,5");
        let log = shop.import(&plain(&path)).await;
        assert_eq!(log.counts.failed, 0);
        assert_eq!(shop.products().await, ["A|Bolt|1.234|1", "B|Nut|12.5|1"]);
        // What a person states is for what people wrote.
        book_of_two(&path, "2.345", "1,250");
        let options = ImportOptions { decimal_mark: Some(DecimalMark::Comma), ..ImportOptions::default() };
        shop.import(&Submission { options, ..plain(&path) }).await;
        assert_eq!(shop.products().await, ["A|Bolt|2.345|2", "B|Nut|1.25|2"]);
        // A number says nothing of how people write theirs.
        book_of_two(&path, "3.5", "1,250");
        let log = shop.import(&plain(&path)).await;
        assert_eq!(shop.codes(log.id).await, [(2, "ambiguous_number".to_owned())]);
        assert_eq!(shop.products().await, ["A|Bolt|3.5|3", "B|Nut|1.25|2"]);
    }
);

/// What every test of stock begins with.
async fn stocked<'t>(t: &'t fairlane::testing::TestDb) -> Shop<'t> {
    let shop = Shop::new(t).chunks_of(2);
    shop.import_text("sku,name\nA,Bolt\nB,Nut\n", Mode::Upsert).await;
    shop.location("MAIN").await;
    shop.location("SHOP").await;
    shop
}

const LEVELS: Sql = Sql {
    postgres: "select p.sku || '@' || l.code || coalesce('#' || b.lot || ' ' || b.expires_on, '') || '='
            || trim_scale(s.on_hand) as t
        from stock_levels s join products p on p.id = s.product_id join locations l on l.id = s.location_id
        left join batches b on b.id = s.batch_id order by 1",
    sqlite: "select p.sku || '@' || l.code || coalesce('#' || b.lot || ' ' || b.expires_on, '') || '='
            || s.on_hand as t
        from stock_levels s join products p on p.id = s.product_id join locations l on l.id = s.location_id
        left join batches b on b.id = s.batch_id order by 1",
};
const KINDS: Sql = sql!("select kind || ' ' || source_line as t from stock_movements order by id");
/// Levels that are not the sum of their movements.
pub(crate) const WRONG_LEVELS: &str = "select count(*) as n from stock_levels s
    where cast(s.on_hand as numeric) <> (select coalesce(sum(cast(m.quantity as numeric)), 0) from stock_movements m
        where m.product_id = s.product_id and m.location_id = s.location_id
            and coalesce(m.batch_id, 0) = coalesce(s.batch_id, 0))";

backend_test!(migrations: lines;
    async fn counted_stock_becomes_movements_of_the_difference_with_batches_and_bins(t: TestDb) {
        let shop = stocked(&t).await;
        let first = "sku,location,bin,lot,expires_on,quantity\nA,MAIN,,,,10\nB,,R1,L-7,31/01/2027,5\nX,,,,,1\nA,NOWHERE,,,,1\nB,SHOP,,,2027-02-01,3\n";
        let log = shop.text_as::<Inventory>(first, Mode::Count).await;
        assert_eq!(summary(&log), "completed_with_errors total 5 created 2 updated 0 unchanged 0 skipped 0 failed 3 blank 0");
        let codes: Vec<String> = shop.codes(log.id).await.into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, ["unknown_product", "unknown_location", "required"]);
        assert_eq!(shop.texts(LEVELS).await, ["A@MAIN=10", "B@MAIN/R1#L-7 2027-01-31=5"]);
        // The last count of a place is what is there; another last day of a known lot is a mistake.
        let again = "sku,location,bin,lot,expires_on,quantity\nA,MAIN,,,,4\nA,MAIN,,,,7\nA,MAIN,,,,7\nB,MAIN,R1,L-7,2027-03-01,6\nB,MAIN,R1,L-7,,6\n";
        let log = shop.text_as::<Inventory>(again, Mode::Count).await;
        assert_eq!(summary(&log), "completed_with_errors total 5 created 0 updated 3 unchanged 1 skipped 0 failed 1 blank 0");
        assert_eq!(shop.codes(log.id).await, [(4, "other_last_day".to_owned())]);
        assert_eq!(shop.texts(LEVELS).await, ["A@MAIN=7", "B@MAIN/R1#L-7 2027-01-31=6"]);
        assert_eq!(shop.count(WRONG_LEVELS).await, 0);
        let told = "select count(*) as n from fairlane_events where name = 'inventory.stock_movement.recorded'";
        assert_eq!(shop.count(told).await, shop.count("select count(*) as n from stock_movements").await);
    }
);

backend_test!(migrations: lines;
    async fn a_row_without_location_and_one_at_the_first_are_one_place(t: TestDb) {
        let shop = stocked(&t).await;
        let path = shop.file("count.csv", "sku,location,quantity\nA,,5\nA,SHOP,1\nA,MAIN,7\n");
        for location in [None, Some("MAIN".to_owned())] {
            let options = ImportOptions { duplicates: Duplicates::Error, location, ..ImportOptions::default() };
            let submission = Submission { mode: Mode::Count, options, again: true, ..plain(&path) };
            let log = shop.import_as::<Inventory>(&submission).await;
            assert_eq!(shop.codes(log.id).await, [(3, "duplicate_key".to_owned())]);
        }
        assert_eq!(shop.texts(LEVELS).await, ["A@MAIN=5", "A@SHOP=1"]);
    }
);

backend_test!(migrations: lines;
    async fn added_stock_is_received_or_adjusted_and_equal_rows_count_twice(t: TestDb) {
        let shop = stocked(&t).await;
        let text = "sku,quantity,unit_cost\nA,5,1.50\nA,5,1.50\nA,-3,\nB,2,\nB,0,\n";
        let log = shop.text_as::<Inventory>(text, Mode::Delta).await;
        assert_eq!(summary(&log), "completed_with_errors total 5 created 4 updated 0 unchanged 0 skipped 0 failed 1 blank 0");
        assert_eq!(shop.texts(KINDS).await, ["receipt 1", "receipt 2", "adjust 3", "adjust 4"]);
        assert_eq!(shop.texts(LEVELS).await, ["A@MAIN=7", "B@MAIN=2"]);
        assert_eq!(shop.count(WRONG_LEVELS).await, 0);
        let path = shop.file("stock.csv", text);
        let refused = submit::<Inventory>(&shop.acme, &shop.settings, &plain(&path)).await.unwrap_err();
        assert_eq!(refused.code(), "unknown_mode");
    }
);

#[test]
fn a_map_is_detected_where_the_header_fits_exactly_one() {
    let header = |names: &[&str]| Header::new(names.iter().map(|&name| name.to_owned()).collect());
    let named = |header: &Header| detect::<Products>(header).map(|preset| preset.name);
    let shopify = header(&["Handle", "Title", "Option1 Value", "Variant Price", "Vendor"]);
    assert_eq!(named(&shopify), Some("shopify"));
    assert_eq!(named(&header(&["sku", "name", "price"])), None);
    let both = header(&[
        "Handle",
        "Title",
        "Option1 Value",
        "Variant Price",
        "Item Code",
        "Item Name",
        "Item Group",
    ]);
    assert_eq!(named(&both), None, "two fit");
    let openboxes = header(&["Product code", "Lot number", "Physical QOH"]);
    assert_eq!(detect::<Inventory>(&openboxes).map(|preset| preset.name), Some("openboxes"));
}
