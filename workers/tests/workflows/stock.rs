//! Workflow 2: stock moves, its level is checked, and who watches the place is told when it falls too low. Seed 1-28.

use std::collections::{BTreeMap, BTreeSet};

use fairlane::{Tenant, backend_test};
use fairlane_workers::erp::services::products::ProductChange;
use fairlane_workers::erp::services::stock::{MovementKind, NewMovement, Source};
use fairlane_workers::erp::services::{locations, orders, products, stock, users};
use fastrand::Rng;
use rust_decimal::Decimal;
use tokio::task::JoinSet;

use crate::crew::Crew;
use crate::facts::rows;
use crate::mails::{assert_no_mail_twice, send_to};
use crate::people::{Staff, staff};
use crate::support::processes::{Site, campaign, seeded};
use crate::support::shop::{lines, shop};
use crate::support::smtp::SmtpServer;
use crate::twice::{assert_delivered_twice, deliver_twice};

const PRODUCTS: [&str; 3] = ["T-1", "T-2", "T-3"];
const MINIMUM: i64 = 50;
const FULL: i64 = 100;
/// What leaves a place, or comes to it, one piece after the other.
const OUT: [i64; 12] = [5; 12];
const BACK: [i64; 4] = [15; 4];

/// A product at a location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    product: i64,
    location: i64,
    sku: &'static str,
    code: &'static str,
}

/// What is done to a place.
#[derive(Debug, Clone)]
enum Deed {
    /// Goods come or go, by hand.
    Move(Place, i64),
    /// An order is approved and delivered: a worker records what leaves.
    Deliver(Place, i64),
}

struct Warehouse {
    acme: Tenant,
    main: i64,
    shop: i64,
    places: Vec<Place>,
}

async fn warehouse(site: &Site) -> Warehouse {
    let acme = shop(&site.t).await;
    let mut tx = acme.begin().await.unwrap();
    let main = locations::create(&mut tx, &acme, "MAIN", "Main store", "internal", None).await.unwrap().id;
    let other = locations::create(&mut tx, &acme, "SHOP", "Shop", "internal", None).await.unwrap().id;
    let mut places = Vec::new();
    for sku in PRODUCTS {
        let change = ProductChange {
            name: Some(format!("Product {sku}")),
            price: Some(Some(Decimal::TEN)),
            reorder_level: Some(Some(Decimal::from(MINIMUM))),
            ..ProductChange::default()
        };
        let product = products::create(&mut tx, &acme, sku, &change, None).await.unwrap().id;
        places.push(Place { product, location: main, sku, code: "MAIN" });
        places.push(Place { product, location: other, sku, code: "SHOP" });
    }
    tx.commit().await.unwrap();
    let here = Warehouse { acme, main, shop: other, places };
    let full = here.places.iter().map(|place| Deed::Move(place.clone(), FULL)).collect();
    work_by_eight(&here.acme, full).join_all().await;
    here
}

impl Warehouse {
    /// Every place loses so much that its minimum is crossed, a third of it by orders.
    fn drain(&self, rng: &mut Rng) -> Vec<Deed> {
        let deed = |(place, (number, pieces)): (&Place, (usize, &i64))| match number % 3 {
            0 => Deed::Deliver(place.clone(), *pieces),
            _ => Deed::Move(place.clone(), -pieces),
        };
        let mut deeds: Vec<Deed> = self
            .places
            .iter()
            .flat_map(|place| OUT.iter().enumerate().map(move |piece| (place, piece)))
            .map(deed)
            .collect();
        rng.shuffle(&mut deeds);
        deeds
    }

    /// Every place gets back what it lost.
    fn fill(&self) -> Vec<Deed> {
        self.places
            .iter()
            .flat_map(|place| BACK.iter().map(move |pieces| Deed::Move(place.clone(), *pieces)))
            .collect()
    }

    /// Anything, up and down around the minimum.
    fn anything(&self, rng: &mut Rng, count: usize) -> Vec<Deed> {
        let mut deeds = Vec::with_capacity(count);
        for _ in 0..count {
            let place = self.places[rng.usize(..self.places.len())].clone();
            let pieces = rng.i64(1..30);
            deeds.push(Deed::Move(place, if rng.bool() { pieces } else { -pieces }));
        }
        deeds
    }
}

/// Eight people do it at the same time.
fn work_by_eight(acme: &Tenant, deeds: Vec<Deed>) -> JoinSet<()> {
    let mut people = JoinSet::new();
    for hand in deeds.chunks(deeds.len().div_ceil(8)) {
        let (acme, hand) = (acme.clone(), hand.to_vec());
        people.spawn(async move {
            for deed in hand {
                match deed {
                    Deed::Move(place, pieces) => by_hand(&acme, &place, pieces).await,
                    Deed::Deliver(place, pieces) => by_order(&acme, &place, pieces).await,
                }
            }
        });
    }
    people
}

async fn by_hand(acme: &Tenant, place: &Place, pieces: i64) {
    let kind = if pieces > 0 { MovementKind::Receipt } else { MovementKind::Sale };
    let source = Source::new("till", fastrand::u64(..).to_string());
    let movement = NewMovement::new(kind, place.product, place.location, pieces.abs().into(), source);
    let mut tx = acme.begin().await.unwrap();
    stock::record(&mut tx, acme, movement).await.unwrap();
    tx.commit().await.unwrap();
}

async fn by_order(acme: &Tenant, place: &Place, pieces: i64) {
    let mut tx = acme.begin().await.unwrap();
    let line = orders::catalogue_line(&mut tx, acme, place.sku, pieces.into()).await.unwrap();
    let order = orders::create(&mut tx, acme, "C-1", &[line]).await.unwrap().id;
    orders::place(&mut tx, acme, order, 1, place.code, None).await.unwrap();
    orders::approve(&mut tx, acme, order, None).await.unwrap();
    orders::fulfil(&mut tx, acme, order, None).await.unwrap();
    tx.commit().await.unwrap();
}

/// A row of the ledger.
struct Movement {
    product: i64,
    location: i64,
    seq: i64,
    quantity: Decimal,
}

async fn ledger(site: &Site) -> Vec<Movement> {
    let statement =
        "select product_id, location_id, seq, quantity from stock_movements order by product_id, seq";
    rows(site, statement, |row| Movement {
        product: row.get("product_id").unwrap(),
        location: row.get("location_id").unwrap(),
        seq: row.get("seq").unwrap(),
        quantity: row.get("quantity").unwrap(),
    })
    .await
}

/// Each product's movements are numbered without gaps, levels are their sums, and each order left once.
async fn assert_ledger_is_right(site: &Site, ledger: &[Movement]) {
    let (mut sums, mut last) = (BTreeMap::new(), BTreeMap::<i64, i64>::new());
    for movement in ledger {
        let seq = last.entry(movement.product).or_default();
        *seq += 1;
        assert_eq!(movement.seq, *seq, "a gap in the numbers of product {}", movement.product);
        *sums.entry((movement.product, movement.location)).or_insert(Decimal::ZERO) += movement.quantity;
    }
    let statement = "select product_id, location_id, on_hand, reserved from stock_levels";
    let levels = rows(site, statement, |row| {
        assert!(row.get::<Decimal>("reserved").unwrap().is_zero(), "something is held back for nobody");
        let place = (row.get("product_id").unwrap(), row.get("location_id").unwrap());
        (place, row.get::<Decimal>("on_hand").unwrap())
    })
    .await;
    assert_eq!(levels.into_iter().collect::<BTreeMap<(i64, i64), Decimal>>(), sums, "levels are not sums");
    let other = "select count(*) as n from sales_orders o where (select count(*) from stock_movements m
        where m.tenant_id = o.tenant_id and m.source_type = 'order' and m.source_id = cast(o.id as text)) <> 1";
    assert_eq!(site.count(other).await, 0, "orders that did not leave the stock once");
}

/// What the ledger says about each place: how often it fell below the minimum, and whether it is below now.
fn crossings(ledger: &[Movement]) -> BTreeMap<(i64, i64), (usize, bool)> {
    let mut on_hand = BTreeMap::<_, Decimal>::new();
    let mut crossings = BTreeMap::<_, (usize, bool)>::new();
    for movement in ledger {
        let place = (movement.product, movement.location);
        let here = on_hand.entry(place).or_default();
        *here += movement.quantity;
        let (times, low) = crossings.entry(place).or_default();
        let was_low = std::mem::replace(low, *here < Decimal::from(MINIMUM));
        *times += usize::from(*low && !was_low);
    }
    crossings
}

/// An alert as the observer finds it.
struct Alert {
    id: i64,
    place: (i64, i64),
    is_open: bool,
}

async fn alerts(site: &Site) -> Vec<Alert> {
    let statement = "select id, product_id, location_id,
        case when closed_at is null then 1 else 0 end as is_open from stock_alerts where kind = 'low'";
    rows(site, statement, |row| Alert {
        id: row.get("id").unwrap(),
        place: (row.get("product_id").unwrap(), row.get("location_id").unwrap()),
        is_open: row.get::<i64>("is_open").unwrap() == 1,
    })
    .await
}

/// How often each place was alerted, and whether an alert is open.
fn alerted(alerts: &[Alert]) -> BTreeMap<(i64, i64), (usize, bool)> {
    let mut alerted = BTreeMap::<_, (usize, bool)>::new();
    for alert in alerts {
        let (times, is_open) = alerted.entry(alert.place).or_default();
        *times += 1;
        *is_open |= alert.is_open;
    }
    alerted
}

/// Each alert was told once, in the application, to those who watch its place: all of them and nobody else.
async fn assert_watchers_told_once(site: &Site, here: &Warehouse, staff: &Staff, alerts: &[Alert]) {
    let keeper = |location| match location {
        location if location == here.main => staff.main_keeper,
        _ => staff.shop_keeper,
    };
    let wanted: BTreeSet<(String, i64)> = alerts
        .iter()
        .flat_map(|alert| {
            [staff.chief, keeper(alert.place.1)].map(|user| (format!("low:{}", alert.id), user))
        })
        .collect();
    let events = "select count(*) as n from fairlane_events where name = 'inventory.low_stock.detected'";
    assert_eq!(site.count(events).await, i64::try_from(alerts.len()).unwrap(), "alerts told");
    let statement = "select notification_key, user_id from notification_deliveries
        where type = 'LowStockNotification' and channel = 'in_app' and status = 'delivered'";
    let delivered = rows(site, statement, |row| {
        (row.get::<String>("notification_key").unwrap(), row.get::<i64>("user_id").unwrap())
    })
    .await;
    assert_eq!(delivered.len(), wanted.len(), "copies");
    assert_eq!(delivered.into_iter().collect::<BTreeSet<_>>(), wanted);
    let told = rows(site, "select type, dedupe_key from notifications", |row| {
        (row.get::<String>("type").unwrap(), row.get::<String>("dedupe_key").unwrap())
    })
    .await;
    let low = told.into_iter().filter(|(kind, _)| kind == "LowStockNotification");
    let mut shown: Vec<String> = low.map(|(_, key)| key).collect();
    shown.sort_unstable();
    let mut expected: Vec<String> = wanted.iter().map(|(key, user)| format!("{key}:{user}:in_app")).collect();
    expected.sort_unstable();
    assert_eq!(shown, expected, "what users see in the application");
    let mailed = "select count(*) as n from notification_deliveries where type = 'LowStockNotification'
        and channel = 'mail' and status in ('sent', 'uncertain')";
    assert_eq!(site.count(mailed).await, i64::try_from(alerts.len()).unwrap(), "mails to the chief");
}

/// The deeds, with kills among what follows of them; then all of it is done.
async fn phase(crew: &mut Crew<'_>, here: &Warehouse, deeds: Vec<Deed>, kills: usize) {
    let people = work_by_eight(&here.acme, deeds);
    crew.kill_some(kills).await;
    people.join_all().await;
    crew.until_done().await;
}

backend_test!(
    migrations: lines;
    async fn each_crossing_is_one_alert_told_once_to_those_who_watch_and_levels_are_the_sums_of_their_movements(t: TestDb) {
        let (rounds, kills, random) = campaign((2, 1, 60), (20, 3, 3000));
        let site = Site::new(t).await;
        deliver_twice(&site).await;
        let server = SmtpServer::start().await;
        send_to(&site, &server);
        let here = warehouse(&site).await;
        let staff = staff(&here.acme, Some((here.main, here.shop))).await;
        mails_to_the_chief(&here.acme).await;
        let mut rng =
            seeded("each_crossing_is_one_alert_told_once_to_those_who_watch_and_levels_are_the_sums_of_their_movements");
        let mut crew = Crew::start(&site, Rng::with_seed(rng.u64(..)));
        for round in 0..rounds {
            if round > 0 {
                phase(&mut crew, &here, here.fill(), kills).await;
            }
            phase(&mut crew, &here, here.drain(&mut rng), kills).await;
        }
        let before = ledger(&site).await;
        assert_ledger_is_right(&site, &before).await;
        let expected: BTreeMap<_, _> =
            here.places.iter().map(|place| ((place.product, place.location), (rounds, true))).collect();
        assert_eq!(crossings(&before), expected, "the test itself");
        assert_eq!(alerted(&alerts(&site).await), expected, "one alert for each crossing");

        // Whoever looks sees what is there then: a crossing that was over before anybody looked has no alert.
        let deeds = here.anything(&mut rng, random);
        phase(&mut crew, &here, deeds, kills).await;
        crew.finish().await;
        let after = ledger(&site).await;
        assert_ledger_is_right(&site, &after).await;
        let alerts = alerts(&site).await;
        let told = alerted(&alerts);
        for (place, (times, low)) in crossings(&after) {
            let (alerts, is_open) = told[&place];
            assert!(alerts <= times, "{place:?}: {alerts} alerts for {times} crossings");
            assert_eq!(is_open, low, "{place:?}: an alert is open as long as the stock is low");
        }
        assert_watchers_told_once(&site, &here, &staff, &alerts).await;
        assert_no_mail_twice(&site, &server).await;
        assert_delivered_twice(&site).await;
    }
);

/// The chief wants mails about low stock too.
async fn mails_to_the_chief(acme: &Tenant) {
    let mut tx = acme.begin().await.unwrap();
    users::prefer(&mut tx, acme, "chief@acme.example", "LowStockNotification", "mail", Some(true))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}
