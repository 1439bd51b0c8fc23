//! Failed jobs: try them again, or forget them.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{BATCH, Deed, Operator};
use crate::client::Fairlane;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::store::failed::{self, FailedFilter, Page};
use crate::store::job_lists;
use crate::store::revive::{self, KeyTaken, Revived};

/// The most names of left-over jobs that a result carries: memory stays bounded at a million.
const NAMED: usize = 100;

/// Refusals in a row after which the database, not the rows, is taken to be wrong.
const GIVE_UP_AFTER: u64 = 100;

/// What a retry did.
#[derive(Debug, Default, Clone)]
pub struct Retried {
    /// Jobs that wait in their queue again.
    pub retried: u64,
    /// Jobs that stayed failed because another one holds their unique key.
    pub key_taken: u64,
    /// The first of those.
    pub taken: Vec<KeyTaken>,
    /// Jobs that the database refused to take back, for their rows are damaged.
    pub refused: u64,
    /// The first of those, with the reason.
    pub refusals: Vec<(Uuid, String)>,
}

/// Tries failed jobs again: all that the filter means and that failed before now.
///
/// Every batch is one transaction, with its audit entry; `progress` hears of each. A job whose unique key is held by a
/// live one stays failed and is reported; so does one whose row is damaged, and neither stops the others.
pub async fn retry(
    fairlane: &Fairlane,
    filter: &FailedFilter,
    target: &str,
    operator: &Operator,
    mut progress: impl FnMut(&Retried),
) -> Result<Retried> {
    let mut set = Set::fix(fairlane.db(), filter).await?;
    let mut done = Retried::default();
    while let Some(after) = set.next {
        let batch = Batch { fairlane, filter: &set.filter, target, operator };
        let (revived, page) = match batch.run(after, BATCH).await {
            // One row spoils its whole batch: take them one by one, so that it spoils itself alone.
            Err(why) if is_of_one_row(&why) => batch.one_by_one(after, &mut done).await?,
            done => done?,
        };
        done.add(revived);
        set.next = page.next;
        progress(&done);
    }
    Ok(done)
}

impl Retried {
    fn add(&mut self, revived: Revived) {
        self.retried += revived.ids.len() as u64;
        self.key_taken += revived.taken.len() as u64;
        let room = NAMED.saturating_sub(self.taken.len());
        self.taken.extend(revived.taken.into_iter().take(room));
    }
}

/// A set of failed jobs that is worked through, oldest first.
struct Set {
    filter: FailedFilter,
    next: Option<(DateTime<Utc>, Uuid)>,
}

impl Set {
    async fn fix(db: &Db, filter: &FailedFilter) -> Result<Self> {
        let mut tx = db.read().await?;
        let now = job_lists::now(&mut tx.conn()).await?;
        let until = filter.until.map_or(now, |until| until.min(now));
        let filter = FailedFilter { until: Some(until), ..filter.clone() };
        Ok(Self { filter, next: Some((DateTime::UNIX_EPOCH, Uuid::nil())) })
    }
}

struct Batch<'a> {
    fairlane: &'a Fairlane,
    filter: &'a FailedFilter,
    target: &'a str,
    operator: &'a Operator,
}

impl Batch<'_> {
    async fn run(&self, after: (DateTime<Utc>, Uuid), limit: i64) -> Result<(Revived, Page)> {
        let mut tx = self.fairlane.db().begin().await?;
        let page = failed::lock_page(&mut tx.conn(), self.filter, after, limit).await?;
        let revived = self.revive(tx, &page.ids).await?;
        Ok((revived, page))
    }

    async fn revive(&self, mut tx: crate::db::Tx, ids: &[Uuid]) -> Result<Revived> {
        if ids.is_empty() {
            return Ok(Revived::default());
        }
        let revived = revive::revive(&mut tx.conn(), ids).await?;
        if !revived.ids.is_empty() {
            let deed = Deed {
                tenant_id: self.filter.tenant_id,
                action: "job.retry",
                target: self.target,
                affected: revived.ids.len() as u64,
                // The timeline of each job finds its retries by it.
                detail: Some(serde_json::json!({ "jobs": revived.ids })),
            };
            self.operator.record(&mut tx.conn(), deed).await?;
        }
        tx.commit().await?;
        self.fairlane.wake_queues(revived.queues.iter().cloned());
        Ok(revived)
    }

    async fn one_by_one(&self, after: (DateTime<Utc>, Uuid), done: &mut Retried) -> Result<(Revived, Page)> {
        let mut tx = self.fairlane.db().begin().await?;
        let page = failed::lock_page(&mut tx.conn(), self.filter, after, BATCH).await?;
        tx.rollback().await?;
        let mut all = Revived::default();
        for id in &page.ids {
            let one = FailedFilter { ids: Some(vec![*id]), ..self.filter.clone() };
            let mut tx = self.fairlane.db().begin().await?;
            let locked = failed::lock_page(&mut tx.conn(), &one, after, 1).await?;
            match self.revive(tx, &locked.ids).await {
                Ok(revived) => {
                    all.ids.extend(revived.ids);
                    all.taken.extend(revived.taken);
                }
                // When none of many goes, it is no single row that is wrong.
                Err(why) if !is_of_one_row(&why) || done.refused >= GIVE_UP_AFTER && all.ids.is_empty() => {
                    return Err(why);
                }
                Err(why) => {
                    done.refused += 1;
                    if done.refusals.len() < NAMED {
                        done.refusals.push((*id, why.to_string()));
                    }
                }
            }
        }
        Ok((all, page))
    }
}

/// Whether an error may be the fault of a damaged row; an outage is nobody's.
fn is_of_one_row(error: &Error) -> bool {
    matches!(error, Error::Database(_) | Error::Damaged(_))
}

/// Removes failed jobs for good: all that the filter means and that failed before now. Returns how many went.
pub async fn forget(
    fairlane: &Fairlane,
    filter: &FailedFilter,
    target: &str,
    operator: &Operator,
    mut progress: impl FnMut(u64),
) -> Result<u64> {
    let mut set = Set::fix(fairlane.db(), filter).await?;
    let mut gone = 0;
    while let Some(after) = set.next {
        let mut tx = fairlane.db().begin().await?;
        let page = failed::lock_page(&mut tx.conn(), &set.filter, after, BATCH).await?;
        let batch = failed::forget(&mut tx.conn(), &page.ids).await?;
        if batch > 0 {
            let deed = Deed {
                tenant_id: filter.tenant_id,
                action: "job.forget",
                target,
                affected: batch,
                detail: None,
            };
            operator.record(&mut tx.conn(), deed).await?;
        }
        tx.commit().await?;
        gone += batch;
        set.next = page.next;
        progress(gone);
    }
    Ok(gone)
}
