//! What a tenant exchanges with another system: a connection, and a row of everything that is known of the other side.

use fairlane_workers::erp::store::sync::Of;
use fairlane_workers::erp::store::sync::logs;
use fairlane_workers::erp::sync::connection::{
    Auth, Connection, ConnectionSettings, Dialect, Direction, Entity,
};
use fairlane_workers::erp::sync::{SyncRuntime, manage};

use super::bare::{rows, text};
use super::names::Names;
use super::world::Side;

/// Makes them, and notes their names.
pub(crate) async fn exchange(side: &Side, mark: &str, names: &mut Names) {
    let mut tx = side.tenant.begin().await.unwrap();
    let new = Connection {
        id: 0,
        name: names.connection.clone(),
        dialect: Dialect::Shopify,
        base_url: format!(
            "https://{}.invalid/",
            if mark.is_empty() { "shop".into() } else { mark.to_lowercase() }
        ),
        auth: Auth::None,
        sealed: None,
        settings: ConnectionSettings::default(),
        active: true,
    };
    let added = manage::add(&mut tx, &side.tenant, &SyncRuntime::fake(), new, None).await.unwrap();
    names.connection_id = added.id;
    let of = Of { tenant: side.id, connection: added.id, entity: Entity::Products };
    names.sync_run = logs::insert(&mut tx.conn(), of, Direction::Pull, false).await.unwrap();
    let one = format!("from sync_connections where tenant_id = {} and id = {}", side.id, added.id);
    let run = names.sync_run;
    for (table, columns, values) in [
        (
            "external_refs",
            "entity, external_id, internal_id, content_hash, local_version",
            format!("'products', '{mark}7', {}, '', 1", names.product_id),
        ),
        ("sync_cursors", "entity, etag", format!("'products', '{mark}'")),
        ("sync_gates", "last_error", format!("'{mark}'")),
        ("sync_tokens", "token", format!("'{mark}'")),
        ("sync_conflicts", "entity, external_id, field", format!("'orders', '{mark}7', 'order'")),
        (
            "sync_failures",
            "entity, external_id, run, code, message",
            format!("'products', '{mark}7', {run}, 'refused', '{mark}'"),
        ),
        (
            "sync_pushes",
            "entity, internal_id, location_id, version, idempotency_key",
            format!("'inventory', {}, {}, 1, '{mark}-{}'", names.product_id, names.location_id, added.id),
        ),
    ] {
        let insert = format!(
            "insert into {table} (tenant_id, connection_id, {columns}) select tenant_id, id, {values} {one}"
        );
        fairlane::db::query(text(insert)).execute(&mut tx.conn()).await.unwrap();
    }
    let conflict = format!("select id from sync_conflicts where connection_id = {}", added.id);
    names.conflict_id = rows(&mut tx.conn(), text(conflict)).await[0].get("id").unwrap();
    tx.commit().await.unwrap();
}
