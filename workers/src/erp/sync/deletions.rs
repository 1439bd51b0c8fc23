//! What is missing in a full list was deleted there: it is made inactive here, unless so much is missing that the list itself
//! is more likely to be wrong.

use fairlane::{Error, Transaction};

use super::connection::Entity;
use super::pages::Paging;
use super::pull::{Position, Pull};
use super::session::Stop;
use crate::erp::services::customers::{self, CustomerChange};
use crate::erp::services::products::{self, ProductChange};
use crate::erp::store::customers::by_id;
use crate::erp::store::sync::cursors::Cursor;
use crate::erp::store::sync::logs::Counts;
use crate::erp::store::sync::{pushes, refs};

/// Records of one transaction.
const CHUNK: i64 = 200;

/// So few may always be missing: of three records one is a third.
const ALWAYS: i64 = 1;

/// Makes inactive what a full run has not met.
pub(super) async fn sweep(
    pull: &mut Pull<'_>,
    cursor: &mut Cursor,
    mut position: Position,
) -> Result<Position, Stop> {
    let mut allowed = position.sweeping;
    loop {
        let mut tx = pull.ctx.begin().await?;
        // Numbered pages move when a record goes while they are read, and one is skipped: that one is there the next time.
        let before = match pull.spec.paging {
            Paging::Page { .. } | Paging::Offset { .. } => position.run_before,
            _ => pull.run,
        };
        if position.nameless {
            position.remark = Some("a record without an id was met: none was made inactive".into());
            return Ok(position);
        }
        if !allowed {
            let (known, missing) = refs::missing_share(&mut tx.conn(), pull.of, before).await?;
            let most = i64::from(pull.session.connection.settings.max_deletions_percent);
            if missing > ALWAYS && missing * 100 > known * most {
                position.remark = Some(refused(known, missing, most, &pull.session.connection.name));
                return Ok(position);
            }
            allowed = true;
            position.sweeping = true;
        }
        let missing = refs::missing(&mut tx.conn(), pull.of, before, CHUNK).await?;
        if missing.is_empty() {
            return Ok(position);
        }
        let deleted = i64::try_from(missing.len()).unwrap_or_default();
        for (external_id, internal_id) in missing {
            let version = match internal_id {
                Some(id) => deactivate(&mut tx, pull, id).await?,
                None => None,
            };
            refs::bury(&mut tx.conn(), pull.of, &external_id, version).await?;
        }
        pull.store(tx, cursor, &position, Counts { deleted, ..Counts::default() }).await?;
        if pull.ctx.should_yield() {
            return Err(Stop::Interrupted);
        }
    }
}

fn refused(known: i64, missing: i64, most: i64, name: &str) -> String {
    format!(
        "{missing} of {known} records are missing there, more than {most} %: none was made inactive; if that is right: \
         fairlane erp sync connection set {name} --max-deletions PERCENT, then run --full again"
    )
}

/// Makes one of ours inactive; its version afterwards, or none where it is gone here too.
async fn deactivate(tx: &mut Transaction, pull: &Pull<'_>, id: i64) -> Result<Option<i64>, Error> {
    let (tenant, slug) = (pull.of.tenant, pull.ctx.tenant());
    match pull.of.entity {
        Entity::Customers => {
            let customer = match by_id(&mut tx.conn(), tenant, id).await {
                Err(Error::NotFound { .. }) => return Ok(None),
                found => found?,
            };
            let change = CustomerChange { active: Some(false), ..CustomerChange::default() };
            Ok(Some(customers::update(tx, &slug, &customer.code, &change, None).await?.version))
        }
        _ => {
            let Some(code) = pushes::product_code(&mut tx.conn(), tenant, id).await? else { return Ok(None) };
            let change = ProductChange { active: Some(false), ..ProductChange::default() };
            Ok(Some(products::update(tx, &slug, &code, None, &change, None).await?.version))
        }
    }
}
