//! Users who are told things, and users who must not be.

use fairlane::Tenant;
use fairlane_workers::erp::services::users;

/// Who watches what; all the others are to be told nothing.
pub(crate) struct Staff {
    /// Sees invoices.
    pub(crate) finance: i64,
    /// Watches the stock at every location.
    pub(crate) chief: i64,
    /// Watches it at MAIN alone.
    pub(crate) main_keeper: i64,
    /// Watches it at SHOP alone.
    pub(crate) shop_keeper: i64,
}

const ALERTS: [&str; 1] = ["inventory.alerts"];

/// People who watch, people who may not, and people who have left; `places` are MAIN and SHOP.
pub(crate) async fn staff(tenant: &Tenant, places: Option<(i64, i64)>) -> Staff {
    let mut tx = tenant.begin().await.unwrap();
    let mut add = async |name: &str, permissions: &[&str], place: Option<i64>| {
        let email = format!("{}@acme.example", name.to_lowercase());
        users::ensure_at(&mut tx, tenant, name, &email, permissions, place).await.unwrap()
    };
    let finance = add("Finance", &["billing.view"], None).await;
    let chief = add("Chief", &ALERTS, None).await;
    let main_keeper = add("Maja", &ALERTS, places.map(|(main, _)| main)).await;
    let shop_keeper = add("Shiva", &ALERTS, places.map(|(_, shop)| shop)).await;
    add("Outsider", &["sales.view"], None).await;
    add("Leaver", &["inventory.alerts", "billing.view"], None).await;
    users::set_active(&mut tx, tenant, "leaver@acme.example", false).await.unwrap();
    tx.commit().await.unwrap();
    Staff { finance, chief, main_keeper, shop_keeper }
}
