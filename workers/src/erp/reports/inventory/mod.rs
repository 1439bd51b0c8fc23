//! What was there, came and went: by product, location and batch.
//!
//! Movements are read from the first one on, product after product and as they happened, so that the opening is the sum of what
//! came before and the closing what it should be: opening + in + out + adjusted. Those of the period are read once more before,
//! for the classes of products (abc).

mod abc;
mod pool;
mod rows;
mod shares;
mod summary;

use std::collections::HashMap;

use chrono::DateTime;

use self::abc::Classes;
use self::pool::{Pool, Pools};
pub(super) use self::rows::columns;
use self::rows::emit;
use self::summary::{All, summary};
use super::Source;
use super::error::Result;
use super::summary::Summary;
use super::table::Spool;
use crate::erp::store::report_rows::stock;

/// Movements of a page.
const PAGE: i64 = 2000;
/// Products whose names are looked up together.
const TOGETHER: usize = 100;

/// Reads the report.
pub(super) async fn read(source: &mut Source<'_>, spool: &mut Spool) -> Result<Summary> {
    let locations = stock::locations(&mut source.conn, source.tenant).await?;
    let mut all = All::nothing(Classes::read(source).await?);
    let (mut after, mut current) = ((0, DateTime::UNIX_EPOCH, 0), None);
    let mut pools = Pools::new();
    let mut ready: Vec<(i64, Pools)> = Vec::new();
    loop {
        let (scope, end) = (source.scope.as_deref(), source.window.end);
        let page = stock::movements(&mut source.conn, source.tenant, end, scope, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.product_id, last.at, last.seq);
        for moved in &page {
            if current.is_some_and(|current| current != moved.product_id) {
                ready.push((current.unwrap_or_default(), std::mem::take(&mut pools)));
            }
            current = Some(moved.product_id);
            let pool = pools.entry((moved.location_id, moved.batch_id)).or_insert_with(Pool::unmoved);
            pool.take(moved, source.range.day(moved.at), source.window.start)?;
        }
        if ready.len() >= TOGETHER {
            emit(source, spool, &mut all, &locations, std::mem::take(&mut ready)).await?;
        }
        source.watch.step(page.len()).await?;
    }
    if let Some(product) = current {
        ready.push((product, pools));
    }
    emit(source, spool, &mut all, &locations, ready).await?;
    unmoved(source, spool, &mut all, &locations).await?;
    Ok(summary(source, all))
}

/// What never was here and is waited for: nothing is there of it, and that may be too little.
async fn unmoved(
    source: &mut Source<'_>,
    spool: &mut Spool,
    all: &mut All,
    locations: &HashMap<i64, String>,
) -> Result<()> {
    let mut after = 0;
    loop {
        let end = source.window.end;
        let page = stock::unmoved(&mut source.conn, source.tenant, end, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        source.watch.step(page.len()).await?;
        for some in page.chunks(TOGETHER) {
            let ready = some.iter().map(|product| (*product, Pools::new())).collect();
            emit(source, spool, all, locations, ready).await?;
        }
    }
}
