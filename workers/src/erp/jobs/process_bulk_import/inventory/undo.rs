//! Undoing an inventory: its movements are reversed, where nobody has counted since.

use std::collections::HashMap;

use fairlane::db::{Conn, query};
use fairlane::{Error, Result, Transaction, sql};

use super::super::import_type::{Kept, Scope, Undone, Writing};
use crate::erp::services::stock;

/// Reverses some movements of an import.
pub(super) async fn reverse(
    writing: Writing<'_>,
    tx: &mut Transaction,
    changes: &[Kept],
) -> Result<Vec<Undone>> {
    let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
    let labels = labels(&mut tx.conn(), writing.scope, &ids).await?;
    let counted = counted_since(&mut tx.conn(), writing.scope, &ids).await?;
    let mut undone = Vec::with_capacity(ids.len());
    let mut left = Vec::new();
    for id in ids {
        match counted.get(&id) {
            Some(count) => {
                let message = format!("its place was counted since (movement {count})");
                undone.push(Undone::conflict(id, labels.get(&id).cloned(), "counted_since", message));
            }
            None => left.push(id),
        }
    }
    let reason = format!("import {} undone", writing.scope.import_id);
    let mut waiting = vec![left];
    while let Some(ids) = waiting.pop() {
        if ids.is_empty() {
            continue;
        }
        match stock::reverse_all(tx, writing.tenant, &ids, Some(&reason), writing.scope.user_id).await {
            Ok(_) => undone.extend(ids.into_iter().map(|id| Undone::done(id, "reversed"))),
            Err(error @ (Error::Refused { .. } | Error::NotFound { .. } | Error::Invalid { .. })) => {
                match ids[..] {
                    [only] => {
                        let label = labels.get(&only).cloned();
                        undone.push(Undone::conflict(only, label, "refused", error.to_string()));
                    }
                    _ => {
                        let (first, second) = ids.split_at(ids.len() / 2);
                        waiting.extend([second.to_vec(), first.to_vec()]);
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(undone)
}

/// What people know the movements by: the product's code and the place.
async fn labels(conn: &mut Conn<'_>, scope: Scope, ids: &[i64]) -> Result<HashMap<i64, String>> {
    let rows = query(sql!(
        "select m.id, coalesce(p.sku, p.name) || ' at ' || l.code as label
         from stock_movements m
         join products p on p.tenant_id = $1 and p.id = m.product_id
         join locations l on l.tenant_id = $1 and l.id = m.location_id
         where m.tenant_id = $1 and m.id {in:$2}"
    ))
    .planned_anew()
    .bind(scope.tenant_id)
    .bind(ids.to_vec())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("label")?))).collect()
}

/// The movements whose place somebody else has counted behind them, with that count: it says what is there, whatever the
/// import has moved before. A count that was taken back says nothing.
async fn counted_since(conn: &mut Conn<'_>, scope: Scope, ids: &[i64]) -> Result<HashMap<i64, i64>> {
    let rows = query(sql!(
        "select m.id, max(c.id) as counted
         from stock_movements m
         join stock_movements c on c.tenant_id = $1 and c.product_id = m.product_id and c.seq > m.seq
            and c.location_id = m.location_id and coalesce(c.batch_id, 0) = coalesce(m.batch_id, 0)
            and c.kind = 'count' and c.reverses_id is null
            and not (c.source_type = 'import' and c.source_id = $3)
         where m.tenant_id = $1 and m.id {in:$2}
            and not exists (select 1 from stock_movements r where r.tenant_id = $1 and r.reverses_id = c.id)
         group by m.id"
    ))
    .planned_anew()
    .bind(scope.tenant_id)
    .bind(ids.to_vec())
    .bind(scope.import_id.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("counted")?))).collect()
}
