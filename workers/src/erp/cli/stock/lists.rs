//! What is there, what happened, what was told.

use fairlane::Tenant;
use fairlane::cli::{CommandEnv, Record, ago};
use fairlane::db::Conn;

use super::{Limit, Of, reading};
use crate::erp::store::alerts::{self, ShownAlert};
use crate::erp::store::stock::levels::{self, ShownLevel};
use crate::erp::store::stock::movements::{self, ShownMovement};
use crate::erp::store::{locations, products};

impl Of {
    async fn resolve(
        &self,
        conn: &mut Conn<'_>,
        tenant: i64,
    ) -> fairlane::Result<(Option<i64>, Option<i64>)> {
        let product = match &self.product {
            Some(sku) => Some(products::find(conn, tenant, sku).await?.id),
            None => None,
        };
        let location = match &self.at {
            Some(code) => Some(locations::by_code(conn, tenant, code).await?.id),
            None => None,
        };
        Ok((product, location))
    }
}

pub(super) async fn levels(of: &Of, limit: Limit, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let (product, location) = of.resolve(conn, id).await?;
    let rows = levels::list(conn, id, product, location, limit.and_one()).await?;
    let empty =
        "Nothing is there. Record what is: fairlane erp stock count SKU QUANTITY --at LOCATION -t TENANT";
    Ok(env.output.page(&limit.page(rows), empty)?)
}

pub(super) async fn movements(
    of: &Of,
    limit: Limit,
    tenant: &Tenant,
    env: &CommandEnv,
) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    let (product, location) = of.resolve(conn, id).await?;
    let rows = movements::list(conn, id, product, location, limit.and_one()).await?;
    let empty = "Nothing has moved. Record a receipt: fairlane erp stock move receipt SKU QUANTITY --at LOCATION -t TENANT";
    Ok(env.output.page(&limit.page(rows), empty)?)
}

pub(super) async fn alerts(all: bool, limit: Limit, tenant: &Tenant, env: &CommandEnv) -> anyhow::Result<()> {
    let id = tenant.id().await?;
    let mut tx = reading(tenant).await?;
    let rows = alerts::list(&mut tx.conn(), id, all, limit.and_one()).await?;
    let empty =
        if all { "There was never an alert." } else { "No alert is open; those that are over: --all" };
    Ok(env.output.page(&limit.page(rows), empty)?)
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

impl Record for ShownLevel {
    const COLUMNS: &'static [&'static str] =
        &["PRODUCT", "LOCATION", "LOT", "EXPIRES", "ON HAND", "RESERVED", "MINIMUM"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.sku.clone(),
            self.location.clone(),
            or_dash(self.lot.clone()),
            or_dash(self.expires_on),
            self.level.on_hand.to_string(),
            self.level.reserved.to_string(),
            or_dash(self.reorder_level),
        ]
    }

    fn id(&self) -> String {
        match &self.lot {
            Some(lot) => format!("{}/{}/{lot}", self.sku, self.location),
            None => format!("{}/{}", self.sku, self.location),
        }
    }
}

impl Record for ShownMovement {
    const COLUMNS: &'static [&'static str] =
        &["ID", "SEQ", "PRODUCT", "LOCATION", "LOT", "KIND", "QUANTITY", "CAUSE", "WHEN"];

    fn cells(&self) -> Vec<String> {
        let movement = &self.movement;
        let cause = match movement.reverses_id {
            Some(wrong) => format!("takes back {wrong}"),
            None => movement.source.to_string(),
        };
        vec![
            movement.id.to_string(),
            movement.seq.to_string(),
            self.sku.clone(),
            self.location.clone(),
            or_dash(self.lot.clone()),
            movement.kind.to_string(),
            movement.quantity.to_string(),
            cause,
            ago(movement.effective_at, chrono::Utc::now()),
        ]
    }

    fn id(&self) -> String {
        self.movement.id.to_string()
    }
}

impl Record for ShownAlert {
    const COLUMNS: &'static [&'static str] =
        &["ID", "ABOUT", "PRODUCT", "LOCATION", "LOT", "EXPIRES", "QUANTITY", "MINIMUM", "OPENED", "OVER"];

    fn cells(&self) -> Vec<String> {
        let now = chrono::Utc::now();
        let about = match self.kind.as_str() {
            "expiry" => format!("{} days", self.stage),
            kind => kind.to_owned(),
        };
        vec![
            self.id.to_string(),
            about,
            self.sku.clone(),
            self.location.clone(),
            or_dash(self.lot.clone()),
            or_dash(self.expires_on),
            self.quantity.to_string(),
            or_dash(self.minimum),
            ago(self.opened_at, now),
            or_dash(self.closed_at.map(|at| ago(at, now))),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}
