//! Workers are killed while they take over and while they tell: nothing is lost, and nothing is twice.

use std::time::Duration;

use fairlane::backend_test;

use crate::desk::{CREATED, KEY, UPDATED, lines, products};
use crate::shop_server::ShopServer;
use crate::support::processes::{Site, Worker, campaign, seeded};

const LIVE: &str = "select count(*) as n from fairlane_jobs where kind = 'erp.sync_external_data'";

fn run(site: &Site, args: &str) -> String {
    let output = site
        .fairlane(&args.split(' ').collect::<Vec<_>>())
        .env("FAIRLANE_OUTBOUND_SECRET_KEY", KEY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Connects the tenant with a shop, in its dialect.
fn connect(site: &Site, shop: &ShopServer, dialect: &str) {
    let folder = site.folder.path();
    std::fs::write(folder.join("description.json"), crate::desk::DESCRIPTION).unwrap();
    std::fs::write(folder.join("secret"), "odoo-secret").unwrap();
    let (path, options) = match dialect {
        "generic" => ("/generic", "--description description.json"),
        "shopify" => ("/shopify", ""),
        _ => ("", "--auth basic --username 2 --odoo-database erp --secret-file secret"),
    };
    let add = format!(
        "erp sync connection add shop --dialect {dialect} --url {} {options} --allow-address 127.0.0.1 --page-size 10 \
         --rate 10000 --burst 1000 -t acme",
        shop.url(path)
    );
    run(site, &add.split_whitespace().collect::<Vec<_>>().join(" "));
}

fn worker(site: &Site) -> Worker {
    let mut worker = site.fairlane(&["work", "--queue", "low"]);
    worker.env("FAIRLANE_OUTBOUND_SECRET_KEY", KEY);
    site.start(worker)
}

/// Works to the end; kills as many workers, each once another part of `all` is done, as `statement` counts it. Who began again
/// from the beginning would have to go a long way.
async fn work_under_kills(site: &Site, kills: usize, statement: &'static str, all: i64) {
    let mut rng = seeded("sync_under_kills");
    let parts = i64::try_from(kills).unwrap() + 1;
    for part in 1..parts {
        let worker = worker(site);
        site.until("progress", statement, |n| n >= all * part / parts).await;
        // The random moment is the fault, not a hope.
        tokio::time::sleep(Duration::from_millis(rng.u64(0..60))).await;
        worker.kill();
        assert_eq!(site.count(LIVE).await, 1, "the work was over before kill {part}: nothing is shown");
    }
    let worker = worker(site);
    site.until("the end", LIVE, |n| n == 0).await;
    worker.kill();
}

backend_test!(migrations: lines;
    async fn however_often_its_worker_is_killed_a_run_ends_with_what_the_shop_has(t: TestDb) {
        let (size, kills) = campaign((420, 6), (5000, 50));
        let site = Site::new(t).await;
        let shop = ShopServer::open(size, 0);
        shop.faults(|faults| faults.slow = 20);
        connect(&site, &shop, "generic");
        run(&site, "erp sync run shop --entity products -t acme");
        let all = i64::try_from(size).unwrap();
        work_under_kills(&site, kills, "select count(*) as n from products", all).await;
        assert_eq!(products(&site.t).await, shop.products());
        assert_eq!(site.count(CREATED).await, all, "each product is told once");
        assert_eq!(site.count(UPDATED).await, 0);
        let pages = usize::try_from(size).unwrap() / 10;
        assert!(shop.hits() <= pages + 2 * kills + 1, "{} requests for {pages} pages", shop.hits());
        let log = run(&site, "erp sync log list -t acme -o json");
        assert!(log.contains("\"completed\""), "{log}");
    }
);

/// Makes products that are only here in a shop, under kills; each is there once.
async fn push_under_kills(site: &Site, dialect: &str) {
    let (size, kills) = campaign((75, 5), (500, 50));
    let shop = ShopServer::open(0, 0);
    shop.faults(|faults| faults.slow = 15);
    connect(site, &shop, dialect);
    let mut csv = "sku,name,price\n".to_owned();
    (1..=size).for_each(|number| csv.push_str(&format!("P-{number:04},Product,{number}\n")));
    std::fs::write(site.folder.path().join("products.csv"), csv).unwrap();
    run(site, "import products.csv --as products -t acme");
    run(site, "work --queue low --stop-when-empty");
    run(site, "erp sync run shop --push --entity products -t acme");
    let sent = "select count(*) as n from sync_pushes where status = 'sent'";
    work_under_kills(site, kills, sent, size).await;
    assert_eq!(products(&site.t).await, shop.products());
    assert_eq!(
        site.count("select count(*) as n from external_refs").await,
        size,
        "each is tied to one there"
    );
}

backend_test!(migrations: lines;
    async fn however_often_its_worker_is_killed_a_product_is_made_there_once(t: TestDb) {
        push_under_kills(&Site::new(t).await, "generic").await;
    }
);

backend_test!(migrations: lines;
    async fn however_often_its_worker_is_killed_shopify_which_knows_no_keys_has_each_product_once(t: TestDb) {
        push_under_kills(&Site::new(t).await, "shopify").await;
    }
);

backend_test!(migrations: lines;
    async fn however_often_its_worker_is_killed_odoo_which_knows_no_keys_has_each_product_once(t: TestDb) {
        push_under_kills(&Site::new(t).await, "odoo").await;
    }
);
