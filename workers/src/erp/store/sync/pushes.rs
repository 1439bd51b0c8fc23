//! What another system is to be told, once for each version of a thing.

use fairlane::db::{Conn, Row, Sql, query};
use fairlane::{Result, sql};
use rust_decimal::Decimal;

use super::Of;
use crate::erp::sync::connection::Entity;

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub id: i64,
    /// Our thing.
    pub internal_id: i64,
    /// Where, of a level.
    pub location_id: Option<i64>,
    /// Which version of it.
    pub version: i64,
    /// The same for every attempt.
    pub idempotency_key: String,
}

/// Lets what was refused be told once more.
pub async fn again(conn: &mut Conn<'_>, of: Of) -> Result<u64> {
    query(sql!(
        "update sync_pushes set status = 'pending'
         where tenant_id = $1 and connection_id = $2 and entity = $3 and status = 'failed'"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .execute(conn)
    .await
}

/// Things with versions that have changed since both agreed, or that they do not have. `$more` is what they must be beside.
macro_rules! versioned {
    ($entity:literal, $more:literal) => {
        concat!(
            "insert into sync_pushes (tenant_id, connection_id, entity, internal_id, version, idempotency_key, created_at)
             select p.tenant_id, cast($2 as bigint), '", $entity, "', p.id, p.version,
                 'fairlane-' || cast($3 as text) || '-", $entity, "-' || p.id || '-' || p.version
                     || case when r.local_version = 0 then '-' || substr(r.content_hash, 1, 12) else '' end, {now}
             from ", $entity, " p left join external_refs r on r.tenant_id = p.tenant_id and r.connection_id = $2
                 and r.entity = '", $entity, "' and r.internal_id = p.id
             where p.tenant_id = $1", $more, "
                 and ((r.external_id is null and p.active and $4)
                     or (r.deleted_at is null and r.local_version <> p.version))
             on conflict (tenant_id, idempotency_key) do update set status = 'pending'
                 where sync_pushes.status = 'superseded'"
        )
    };
}

/// The last movement at each place: what came from there is not told back there.
const LEVELS: Sql = sql!(
    "insert into sync_pushes (tenant_id, connection_id, entity, internal_id, location_id, version, idempotency_key,
        created_at)
     select m.tenant_id, cast($2 as bigint), 'inventory', m.product_id, m.location_id, m.seq,
         'fairlane-' || cast($3 as text) || '-inventory-' || m.product_id || '-' || m.location_id || '-' || m.seq, {now}
     from stock_movements m join external_refs r on r.tenant_id = m.tenant_id and r.connection_id = $2
         and r.entity = 'products' and r.internal_id = m.product_id and r.deleted_at is null
     where m.tenant_id = $1 and $4
         and m.seq = (select max(n.seq) from stock_movements n where n.tenant_id = m.tenant_id
             and n.product_id = m.product_id and n.location_id = m.location_id)
         and not (m.source_type = 'sync' and m.source_id like cast($3 as text) || ':%')
     on conflict (tenant_id, idempotency_key) do update set status = 'pending'
         where sync_pushes.status = 'superseded'"
);

/// Puts into the outbox what has changed since both sides agreed, and takes out what is older; how much is waiting. What a
/// person has decided for ours (version 0) is told anew for each state of theirs.
pub async fn collect(conn: &mut Conn<'_>, of: Of, creates: bool) -> Result<i64> {
    let statement = match of.entity {
        Entity::Products => sql!(versioned!("products", " and p.sku is not null")),
        Entity::Customers => sql!(versioned!("customers", "")),
        Entity::Inventory | Entity::Orders => LEVELS,
    };
    query(statement)
        .bind(of.tenant)
        .bind(of.connection)
        .bind(of.connection.to_string())
        .bind(creates)
        .execute(conn)
        .await?;
    supersede(conn, of).await?;
    waiting(conn, of).await
}

/// Takes out what there is a later version of.
async fn supersede(conn: &mut Conn<'_>, of: Of) -> Result<()> {
    query(sql!(
        "update sync_pushes set status = 'superseded'
         where tenant_id = $1 and connection_id = $2 and entity = $3 and status = 'pending'
             and exists (select 1 from sync_pushes n where n.tenant_id = $1 and n.connection_id = $2 and n.entity = $3
                 and n.internal_id = sync_pushes.internal_id
                 and coalesce(n.location_id, 0) = coalesce(sync_pushes.location_id, 0)
                 and n.version > sync_pushes.version)"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// How much is to be told.
async fn waiting(conn: &mut Conn<'_>, of: Of) -> Result<i64> {
    let row = query(sql!(
        "select count(*) as n from sync_pushes
         where tenant_id = $1 and connection_id = $2 and entity = $3 and status = 'pending'"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .fetch_one(conn)
    .await?;
    row.get("n")
}

/// The oldest thing to be told, behind one.
pub async fn next(conn: &mut Conn<'_>, of: Of, after: i64) -> Result<Option<Pending>> {
    let row = query(sql!(
        "select id, internal_id, location_id, version, idempotency_key from sync_pushes
         where tenant_id = $1 and connection_id = $2 and entity = $3 and status = 'pending' and id > $4
         order by id limit 1"
    ))
    .bind(of.tenant)
    .bind(of.connection)
    .bind(of.entity.as_str())
    .bind(after)
    .fetch_optional(conn)
    .await?;
    let read = |row: Row| {
        Ok(Pending {
            id: row.get("id")?,
            internal_id: row.get("internal_id")?,
            location_id: row.get("location_id")?,
            version: row.get("version")?,
            idempotency_key: row.get("idempotency_key")?,
        })
    };
    row.map(read).transpose()
}

/// Notes what became of it: `sent`, `failed`, or `superseded` when there is nothing to tell any more.
pub async fn mark(
    conn: &mut Conn<'_>,
    tenant: i64,
    id: i64,
    status: &str,
    error: Option<&str>,
) -> Result<()> {
    query(sql!(
        "update sync_pushes set status = $3, error = $4, sent_at = case when $3 = 'sent' then {now} else sent_at end
         where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .bind(status)
    .bind(error)
    .execute(conn)
    .await?;
    Ok(())
}

/// The code of a product of the catalogue.
pub async fn product_code(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<String>> {
    let row = query(sql!(
        "select coalesce(sku, barcode, handle_key) as code from products where tenant_id = $1 and id = $2"
    ))
    .bind(tenant)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.get("code")).transpose()
}

/// How many of a product are at a location, over all its batches.
pub async fn on_hand(conn: &mut Conn<'_>, tenant: i64, product: i64, location: i64) -> Result<Decimal> {
    let rows = query(sql!(
        "select on_hand from stock_levels where tenant_id = $1 and product_id = $2 and location_id = $3"
    ))
    .bind(tenant)
    .bind(product)
    .bind(location)
    .fetch_all(conn)
    .await?;
    let mut sum = Decimal::ZERO;
    for row in &rows {
        sum += row.get::<Decimal>("on_hand")?;
    }
    Ok(sum.normalize())
}

/// The code of a location.
pub async fn location_code(conn: &mut Conn<'_>, tenant: i64, id: i64) -> Result<Option<String>> {
    let row = query(sql!("select code from locations where tenant_id = $1 and id = $2"))
        .bind(tenant)
        .bind(id)
        .fetch_optional(conn)
        .await?;
    row.map(|row| row.get("code")).transpose()
}

/// When one of our things was changed, by the database's clock.
pub async fn changed_at(
    conn: &mut Conn<'_>,
    tenant: i64,
    entity: Entity,
    id: i64,
) -> Result<Option<chrono::DateTime<chrono::Utc>>> {
    let statement = match entity {
        Entity::Customers => sql!("select updated_at from customers where tenant_id = $1 and id = $2"),
        _ => sql!("select updated_at from products where tenant_id = $1 and id = $2"),
    };
    let row = query(statement).bind(tenant).bind(id).fetch_optional(conn).await?;
    row.map(|row| row.get("updated_at")).transpose()
}

/// The code of the one customer with this address, in either case.
pub async fn customer_with_email(conn: &mut Conn<'_>, tenant: i64, email: &str) -> Result<Option<String>> {
    let statement = fairlane::db::Sql {
        postgres: "select code from customers where tenant_id = $1
            and lower(email collate \"C\") = lower(cast($2 as text) collate \"C\") and email is not null limit 2",
        sqlite: "select code from customers where tenant_id = $1 and lower(email) = lower($2) and email is not null limit 2",
    };
    let rows = query(statement).bind(tenant).bind(email).fetch_all(conn).await?;
    match rows.as_slice() {
        [only] => only.get("code").map(Some),
        _ => Ok(None),
    }
}
