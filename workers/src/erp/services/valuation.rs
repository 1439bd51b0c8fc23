//! Having the stock valued.

use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction, Unique};
use uuid::Uuid;

use super::active_user;
use crate::erp::jobs::RecalculateInventoryValuation;
use crate::erp::store::valuation::runs;
pub use crate::erp::store::valuation::runs::NewRun;
use crate::erp::store::{locations, people, products};

/// Who has it may have values of closed books changed.
pub const RESTATE: &str = "inventory.valuation.restate";

/// A valuation that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requested {
    /// Its number in the log.
    pub run_id: i64,
    /// The job that does it.
    pub job_id: Uuid,
    /// Whether it waits already: somebody has asked for the same before.
    pub duplicate: bool,
}

/// Has the stock valued by a job: enters the run into the log and dispatches it.
///
/// While one for the same product and asker waits, another adds nothing; one that has begun may have read what changed
/// since, so another is made behind it.
///
/// # Errors
/// When product, location or user do not exist, or the user who forces it may not.
pub async fn request(tx: &mut Transaction, tenant: &Tenant, new: &NewRun) -> Result<Requested> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    if let Some(code) = &new.product {
        products::find(conn, id, code).await?;
    }
    if let Some(code) = &new.location {
        locations::by_code(conn, id, code).await?;
    }
    if let Some(user) = new.forced_by
        && !may_restate(conn, id, user).await?
    {
        return Err(Error::NotFound { what: "user who may restate closed books", name: user.to_string() });
    }
    active_user(conn, id, new.asked_by).await?;
    let job = RecalculateInventoryValuation::from(new);
    let key = job.key();
    let dispatch = tenant.dispatch(job);
    let dispatched = match key {
        Some(key) => dispatch.unique(key, Unique::UntilStarted).in_tx(&mut *tx).await?,
        None => dispatch.in_tx(&mut *tx).await?,
    };
    let (job_id, duplicate) = (dispatched.id, dispatched.duplicate);
    let conn = &mut tx.conn();
    let waiting = match duplicate {
        true => runs::of_job(conn, id, job_id).await?.map(|run| run.id),
        false => None,
    };
    let run_id = match waiting {
        Some(run_id) => run_id,
        None => runs::insert(conn, id, new, job_id).await?,
    };
    Ok(Requested { run_id, job_id, duplicate })
}

/// Whether a user may have values of closed books changed.
pub(crate) async fn may_restate(conn: &mut Conn<'_>, tenant: i64, user: i64) -> Result<bool> {
    let holders = people::holders(conn, tenant, RESTATE, None).await?;
    Ok(holders.iter().any(|holder| holder.id == user))
}
