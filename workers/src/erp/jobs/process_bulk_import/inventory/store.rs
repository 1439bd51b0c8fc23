//! What a chunk of stock rows names: products, locations and lots, looked up in one statement each.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use fairlane::db::{Conn, Dialect, Sql, query};
use fairlane::{Result, Transaction, sql};

use super::super::import_type::{RowError, Writing};
use super::super::plan::PlacedRow;
use super::{BIN, LOCATION, Lots, SKU, StockRow};
use crate::erp::services::stock::{self, NamedLot};
use crate::erp::store::locations;

/// The products and locations that some rows name.
#[derive(Debug)]
pub(super) struct Places {
    products: HashMap<String, i64>,
    locations: HashMap<String, i64>,
    /// The code of where the stock is that names no location.
    default: Option<String>,
}

impl Places {
    pub(super) async fn find(
        writing: Writing<'_>,
        tx: &mut Transaction,
        rows: &[&PlacedRow<StockRow>],
    ) -> Result<Self> {
        let tenant = writing.scope.tenant_id;
        let conn = &mut tx.conn();
        let skus: BTreeSet<&str> = rows.iter().map(|placed| placed.row.sku.as_str()).collect();
        let products = by_text(
            conn,
            tenant,
            sql!("select id, sku as code from products where tenant_id = $1 and sku {in:$2}"),
            skus.into_iter().collect(),
        )
        .await?;
        let default = match writing.location {
            Some(code) => Some(code.to_owned()),
            None => locations::first(conn, tenant).await?.map(|location| location.code),
        };
        let mut places = Self { products, locations: HashMap::new(), default };
        places.find_locations(conn, tenant, rows).await?;
        Ok(places)
    }

    async fn find_locations(
        &mut self,
        conn: &mut Conn<'_>,
        tenant: i64,
        rows: &[&PlacedRow<StockRow>],
    ) -> Result<()> {
        let statement = sql!("select id, code from locations where tenant_id = $1 and code {in:$2}");
        let codes: BTreeSet<&str> = rows.iter().filter_map(|placed| self.code(&placed.row)).collect();
        self.locations = by_text(conn, tenant, statement, codes.into_iter().collect()).await?;
        let mut bins = BTreeMap::new();
        for row in rows.iter().map(|placed| &placed.row) {
            let parent = self.code(row).and_then(|code| self.locations.get(code));
            if let (Some(bin), Some(parent), Some(code)) = (&row.bin, parent, self.bin_code(row)) {
                bins.insert(code, (*parent, bin.clone()));
            }
        }
        if bins.is_empty() {
            return Ok(());
        }
        make_bins(conn, tenant, &bins).await?;
        let codes = bins.keys().map(String::as_str).collect();
        self.locations.extend(by_text(conn, tenant, statement, codes).await?);
        Ok(())
    }

    fn code<'a>(&'a self, row: &'a StockRow) -> Option<&'a str> {
        row.location.as_deref().or(self.default.as_deref())
    }

    /// A bin is a location of its own below the one it is in.
    fn bin_code(&self, row: &StockRow) -> Option<String> {
        Some(format!("{}/{}", self.code(row)?, row.bin.as_deref()?))
    }

    pub(super) fn product(&self, row: &StockRow) -> Result<i64, RowError> {
        let missing = || RowError::cell("unknown_product", SKU, &row.sku, "no product has this SKU");
        self.products.get(&row.sku).copied().ok_or_else(missing)
    }

    pub(super) fn location(&self, row: &StockRow) -> Result<i64, RowError> {
        let Some(code) = self.code(row) else {
            let message = "there is no location yet; add one, or name one with --location";
            return Err(RowError::cell("no_location", LOCATION, "", message));
        };
        let missing = |field, code: &str| {
            let message = format!("there is no location `{code}`; add it first");
            RowError::cell("unknown_location", field, code, message)
        };
        match self.bin_code(row) {
            Some(bin) if self.locations.contains_key(code) => {
                self.locations.get(&bin).copied().ok_or_else(|| missing(BIN, &bin))
            }
            _ => self.locations.get(code).copied().ok_or_else(|| missing(LOCATION, code)),
        }
    }
}

async fn by_text(
    conn: &mut Conn<'_>,
    tenant: i64,
    statement: Sql,
    values: Vec<&str>,
) -> Result<HashMap<String, i64>> {
    if values.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = query(statement).planned_anew().bind(tenant).bind(values).fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.get("code")?, row.get("id")?))).collect()
}

async fn make_bins(conn: &mut Conn<'_>, tenant: i64, bins: &BTreeMap<String, (i64, String)>) -> Result<()> {
    let statement = Sql {
        postgres: "insert into locations (tenant_id, code, name, parent_id, created_at, updated_at)
             select $1, l.code, l.name, l.parent, {now}, {now}
             from unnest($2::text[], $3::text[], $4::bigint[]) l(code, name, parent)
             on conflict (tenant_id, code) do nothing",
        sqlite: "insert into locations (tenant_id, code, name, parent_id, created_at, updated_at)
             select $1, value ->> 0, value ->> 1, value ->> 2, {now}, {now} from jsonb_each($2) where true
             on conflict (tenant_id, code) do nothing",
    };
    let query = query(statement).planned_anew().bind(tenant);
    let query = match conn.dialect() {
        Dialect::Postgres => query
            .bind(bins.keys().cloned().collect::<Vec<_>>())
            .bind(bins.values().map(|(_, name)| name.clone()).collect::<Vec<_>>())
            .bind(bins.values().map(|(parent, _)| *parent).collect::<Vec<_>>()),
        Dialect::Sqlite => {
            let rows: Vec<_> = bins.iter().map(|(code, (parent, name))| (code, name, parent)).collect();
            query.bind(serde_json::to_string(&rows).unwrap_or_default())
        }
    };
    query.execute(conn).await.map(drop)
}

/// The batches of the rows' lots; a lot is made that is new, one with another last day is refused.
pub(super) async fn lots_of(
    writing: Writing<'_>,
    tx: &mut Transaction,
    places: &Places,
    rows: &[&PlacedRow<StockRow>],
) -> Result<Lots> {
    let mut named = Vec::new();
    for row in rows.iter().map(|placed| &placed.row) {
        if let (Some(lot), Ok(product_id), Ok(_)) = (&row.lot, places.product(row), places.location(row)) {
            named.push(NamedLot { product_id, lot: lot.clone(), expires_on: row.expires_on });
        }
    }
    let mut lots = Lots::default();
    if named.is_empty() {
        return Ok(lots);
    }
    let mut known = last_days(&mut tx.conn(), writing.scope.tenant_id, &named).await?;
    named.retain(|lot| {
        let Some(day) = lot.expires_on else { return true };
        let known = *known.entry((lot.product_id, lot.lot.clone())).or_insert(day);
        if known != day {
            let why = format!("the last day of lot {} is {known}, not {day}", lot.lot);
            lots.refused.insert((lot.product_id, lot.lot.clone(), lot.expires_on), why);
        }
        known == day
    });
    let batches = stock::batches(tx, writing.tenant, &named).await?;
    lots.batches = batches.into_iter().map(|batch| ((batch.product_id, batch.lot), batch.id)).collect();
    Ok(lots)
}

/// The last days that lots are known with.
async fn last_days(
    conn: &mut Conn<'_>,
    tenant: i64,
    named: &[NamedLot],
) -> Result<HashMap<(i64, String), NaiveDate>> {
    let mut products: Vec<i64> = named.iter().map(|lot| lot.product_id).collect();
    products.sort_unstable();
    products.dedup();
    let lots: Vec<&str> = named.iter().map(|lot| lot.lot.as_str()).collect();
    let rows = query(sql!(
        "select product_id, lot, expires_on from batches
         where tenant_id = $1 and product_id {in:$2} and lot {in:$3} and expires_on is not null"
    ))
    .planned_anew()
    .bind(tenant)
    .bind(products)
    .bind(lots)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok(((row.get("product_id")?, row.get("lot")?), row.get("expires_on")?))).collect()
}
