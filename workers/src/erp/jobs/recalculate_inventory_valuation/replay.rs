//! One product's movements, replayed outside of any lock.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant};

use super::plan::Plan;
use crate::erp::store::reading;
use crate::erp::store::valuation::entries::{self, Head, Placed, Span};
use crate::erp::store::valuation::figures::{self, Of};
use crate::erp::store::valuation::states::{self, State};
use crate::erp::valuation::{Ledger, Snapshot, ValuationError};

/// Movements read at once.
const PAGE: i64 = 5_000;

/// What a replay has come to.
pub(super) struct Replayed {
    pub(super) ledger: Ledger,
    /// The state it was computed from.
    pub(super) from: State,
    /// The seq of the last movement in it.
    pub(super) to_seq: i64,
    /// When the latest of its movements happened.
    pub(super) last_at: Option<DateTime<Utc>>,
    /// How many movements were replayed.
    pub(super) movements: i64,
    /// Whether it began at the first movement.
    pub(super) all: bool,
}

/// Why a product is left as it is, or the database's error.
pub(super) enum Fault {
    Refused(String),
    Error(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<ValuationError> for Fault {
    fn from(error: ValuationError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Values a product as of its last committed movement, or of the end of a day.
pub(super) async fn replay(tenant: &Tenant, plan: &Plan, head: &Head) -> Result<Replayed, Fault> {
    let of = plan.of(head);
    let mut tx = reading(tenant).await?;
    let conn = &mut tx.conn();
    // In this order: a state is never ahead of the ledger that is read behind it.
    let from = states::find(conn, of.tenant, of.scope, of.product).await?;
    let to_seq = entries::last_seq(conn, of.tenant, of.product).await?;
    let terms = plan.terms(head);
    let usable = from.snapshot.as_ref().filter(|snapshot| plan.until.is_none() && snapshot.terms == terms);
    if let Some(snapshot) = usable {
        let span = Span { product: of.product, from_seq: from.as_of_seq, to_seq, until: None };
        if !entries::reaches_back(conn, of.tenant, span, from.last_at).await? {
            let replayed = go_on(conn, of, span, snapshot.clone(), from.clone()).await?;
            if !replayed.ledger.is_incomplete() {
                return Ok(replayed);
            }
        }
    }
    let span = Span { product: of.product, from_seq: 0, to_seq, until: plan.until };
    let left_out: HashSet<i64> =
        entries::reversed(conn, of.tenant, of.product, to_seq).await?.into_iter().collect();
    let mut pass = Pass::new(Ledger::new(terms), plan.closed.map(|(_, end)| end));
    loop {
        pass.feed(conn, of, span, &left_out).await?;
        match pass.ledger.again() {
            Some(ledger) => pass = Pass::new(ledger, pass.closed_until),
            None => break,
        }
    }
    if plan.until.is_none() && from.version > 0 {
        check_closed(conn, of, plan, head, &pass, &from).await?;
    }
    let Pass { ledger, last_at, movements, .. } = pass;
    Ok(Replayed { ledger, from, to_seq, last_at, movements, all: true })
}

/// Values what came behind a snapshot.
async fn go_on(
    conn: &mut Conn<'_>,
    of: Of,
    span: Span,
    snapshot: Snapshot,
    from: State,
) -> Result<Replayed, Fault> {
    let unsettled: Vec<i64> = snapshot.unsettled().into_iter().collect();
    let mut pass = Pass::new(Ledger::resume(snapshot), None);
    pass.last_at = from.last_at;
    if span.to_seq > span.from_seq {
        pass.know(conn, of, &unsettled).await?;
        pass.feed(conn, of, span, &HashSet::new()).await?;
    }
    let Pass { ledger, last_at, movements, .. } = pass;
    Ok(Replayed { ledger, from, to_seq: span.to_seq, last_at, movements, all: false })
}

/// A ledger while movements are fed into it.
struct Pass {
    ledger: Ledger,
    last_at: Option<DateTime<Utc>>,
    movements: i64,
    closed_until: Option<DateTime<Utc>>,
    /// Seq and time of the movements of closed books.
    closed: HashMap<i64, (i64, i64)>,
}

impl Pass {
    fn new(ledger: Ledger, closed_until: Option<DateTime<Utc>>) -> Self {
        Self { ledger, last_at: None, movements: 0, closed_until, closed: HashMap::new() }
    }

    async fn feed(
        &mut self,
        conn: &mut Conn<'_>,
        of: Of,
        span: Span,
        left_out: &HashSet<i64>,
    ) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let page = entries::page(conn, of.tenant, span, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.entry.at, last.seq));
            if span.from_seq > 0 {
                self.know_named(conn, of, &page).await?;
            }
            for placed in &page {
                self.last_at = self.last_at.max(DateTime::from_timestamp_micros(placed.entry.at));
                self.movements += 1;
                if placed.reverses || left_out.contains(&placed.entry.id) {
                    continue;
                }
                self.ledger.push(&placed.entry)?;
                if self.closed_until.is_some_and(|end| placed.entry.at < end.timestamp_micros()) {
                    self.closed.insert(placed.entry.id, (placed.seq, placed.entry.at));
                }
            }
            if (page.len() as i64) < PAGE {
                return Ok(());
            }
        }
    }

    /// Tells the ledger of the movements of before that these belong to.
    async fn know_named(&mut self, conn: &mut Conn<'_>, of: Of, page: &[Placed]) -> Result<(), Fault> {
        let named: BTreeSet<i64> = page.iter().filter_map(|placed| placed.entry.of).collect();
        let unknown: Vec<i64> = named.into_iter().filter(|id| !self.ledger.knows(*id)).collect();
        self.know(conn, of, &unknown).await
    }

    async fn know(&mut self, conn: &mut Conn<'_>, of: Of, ids: &[i64]) -> Result<(), Fault> {
        if ids.is_empty() {
            return Ok(());
        }
        for known in figures::known(conn, of, ids).await? {
            self.ledger.know(known.movement, known.quantity, known.value, known.expensed)?;
        }
        Ok(())
    }
}

/// Refuses a replay that gives movements of closed books other values than they had. What was provisional may settle, and
/// what comes behind everything that was valued is no change.
async fn check_closed(
    conn: &mut Conn<'_>,
    of: Of,
    plan: &Plan,
    head: &Head,
    pass: &Pass,
    from: &State,
) -> Result<(), Fault> {
    let Some((day, end)) = plan.closed else { return Ok(()) };
    let mut stored = figures::before(conn, of, end).await?;
    let valued_until = from.last_at.map_or(i64::MIN, |at| at.timestamp_micros());
    let mut changed = 0_usize;
    for value in pass.ledger.values() {
        let Some((seq, at)) = pass.closed.get(&value.movement) else { continue };
        let same = match stored.remove(&value.movement) {
            Some((before, provisional)) => provisional || before == value.value,
            None => *seq > from.as_of_seq && *at >= valued_until,
        };
        changed += usize::from(!same);
    }
    changed += stored.values().filter(|(value, _)| !value.is_zero()).count();
    if changed == 0 {
        return Ok(());
    }
    Err(Fault::Refused(format!(
        "the books are closed until {day} and {changed} values before that would change; somebody with the permission \
         inventory.valuation.restate can have it done: fairlane erp valuation run --product {} --scope {} --force \
         --user EMAIL",
        head.sku, of.scope
    )))
}
