//! Movements are recorded: numbered, stored, added to their levels and told, in the caller's transaction.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use fairlane::db::Conn;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::book::{Book, Entry, change};
use super::checks::Known;
use super::{MovementKind, NewMovement, Recorded};
use crate::erp::events::StockMovementRecorded;
use crate::erp::store::stock::movements::{self, Numbered};
use crate::erp::store::stock::terms::{self, Terms};
use crate::erp::store::stock::{Movement, Pool, ledgers, levels, plain};

/// A movement to be recorded, with the one it takes back.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) new: NewMovement,
    pub(super) reverses: Option<&'a Movement>,
}

impl Draft<'_> {
    fn pool(&self) -> Pool {
        let NewMovement { product_id, location_id, batch_id, .. } = self.new;
        Pool { product_id, location_id, batch_id }
    }
}

/// Records one movement; several belong into one [`record_all`].
pub async fn record(tx: &mut Transaction, tenant: &Tenant, movement: NewMovement) -> Result<Recorded> {
    let recorded = record_all(tx, tenant, &[movement]).await?;
    recorded.into_iter().next().ok_or_else(|| Error::Damaged("a movement was recorded as none".into()))
}

/// Records movements, in their order; when one is refused, none is recorded.
///
/// A few statements whatever their number. The products' ledgers stay locked until the transaction ends.
pub async fn record_all(
    tx: &mut Transaction,
    tenant: &Tenant,
    movements: &[NewMovement],
) -> Result<Vec<Recorded>> {
    let drafts = movements.iter().map(|new| Draft { new: new.clone(), reverses: None }).collect();
    record_drafts(tx, tenant, drafts, Refusals::EndIt).await?.into_iter().collect()
}

/// Records those of the movements that can be recorded, and says of the others what is wrong with them.
///
/// # Errors
/// The outer result: the database's. What is refused is refused in its place of the list.
pub async fn record_each(
    tx: &mut Transaction,
    tenant: &Tenant,
    movements: &[NewMovement],
) -> Result<Vec<Result<Recorded>>> {
    let drafts = movements.iter().map(|new| Draft { new: new.clone(), reverses: None }).collect();
    record_drafts(tx, tenant, drafts, Refusals::Keep).await
}

/// What a refused movement means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusals {
    EndIt,
    Keep,
}

pub(super) async fn record_drafts(
    tx: &mut Transaction,
    tenant: &Tenant,
    drafts: Vec<Draft<'_>>,
    refusals: Refusals,
) -> Result<Vec<Result<Recorded>>> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let id = tenant.id().await?;
    let mut page = Page::open(&mut tx.conn(), id, drafts).await?;
    page.fill();
    if refusals == Refusals::EndIt
        && let Some(fault) = page.take_fault()
    {
        return Err(fault);
    }
    let ids = page.store(&mut tx.conn(), id).await?;
    page.publish(tx, tenant, &ids).await?;
    Ok(page.into_results(&ids))
}

/// What becomes of a draft.
#[derive(Debug)]
enum Fate {
    Open,
    Refused(Error),
    /// The movement that its cause has recorded before.
    Before(i64),
    /// The row of the page that it is.
    Row(usize),
}

/// The page of the ledger that is being written.
struct Page<'a> {
    drafts: Vec<Draft<'a>>,
    fates: Vec<Fate>,
    known: Known,
    terms: Terms,
    now: DateTime<Utc>,
    last: BTreeMap<i64, i64>,
    book: Book,
    rows: Vec<(Numbered, Entry)>,
}

impl<'a> Page<'a> {
    /// Reads what the drafts need and locks the ledgers; what is read behind the locks stays true.
    async fn open(conn: &mut Conn<'_>, tenant: i64, mut drafts: Vec<Draft<'a>>) -> Result<Self> {
        let (terms, now) = terms::find(conn, tenant).await?;
        let known = Known::load(conn, tenant, &drafts).await?;
        let mut fates = shaped(&known, &mut drafts, now);
        for (draft, fate) in drafts.iter().zip(&mut fates) {
            if let (Fate::Open, Err(fault)) = (&fate, known.check(draft)) {
                *fate = Fate::Refused(fault);
            }
        }
        let mut page = Self {
            drafts,
            fates,
            known,
            terms,
            now,
            last: BTreeMap::new(),
            book: Book::default(),
            rows: Vec::new(),
        };
        let products = page.open_ids(|new| new.product_id);
        page.last = ledgers::lock(conn, tenant, &products).await?;
        page.look_back(conn, tenant).await?;
        let locations = page.open_ids(|new| new.location_id);
        page.book = Book::new(levels::at(conn, tenant, &products, &locations).await?);
        Ok(page)
    }

    /// Finds the drafts whose cause has its movement already.
    async fn look_back(&mut self, conn: &mut Conn<'_>, tenant: i64) -> Result<()> {
        let causes: Vec<_> = self.drafts.iter().map(|draft| (&draft.new.source, draft.new.kind)).collect();
        let recorded = movements::recorded(conn, tenant, &causes).await?;
        for ((draft, fate), before) in self.drafts.iter().zip(&mut self.fates).zip(recorded) {
            let (Fate::Open, Some(before)) = (&fate, before) else { continue };
            *fate = match other(draft, &before) {
                None => Fate::Before(before.id),
                Some(why) => Fate::Refused(self.known.refused(&draft.new, why)),
            };
        }
        Ok(())
    }

    fn open_ids(&self, field: fn(&NewMovement) -> i64) -> Vec<i64> {
        let open = self.drafts.iter().zip(&self.fates).filter(|(_, fate)| matches!(fate, Fate::Open));
        let mut ids: Vec<i64> = open.map(|(draft, _)| field(&draft.new)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Numbers what can be recorded, in the order of the drafts.
    fn fill(&mut self) {
        for place in 0..self.drafts.len() {
            if !matches!(self.fates[place], Fate::Open) {
                continue;
            }
            self.fates[place] = match self.number(place) {
                Ok(row) => {
                    self.rows.push(row);
                    Fate::Row(self.rows.len() - 1)
                }
                Err(fault) => Fate::Refused(fault),
            };
        }
    }

    fn number(&mut self, place: usize) -> Result<(Numbered, Entry)> {
        let draft = &self.drafts[place];
        let (new, pool) = (&draft.new, draft.pool());
        let weighed = match draft.reverses {
            None => self.book.weigh(pool, new.kind, new.quantity, self.terms.negative),
            Some(wrong) => self.book.weigh_change(pool, -wrong.quantity, self.terms.negative),
        };
        let entry = weighed.map_err(|why| self.known.refused(new, why))?;
        if draft.reverses.is_none() {
            self.known.check_batch(new, entry.quantity, entry.on_hand)?;
        }
        self.book.enter(pool, entry);
        let last = self.last.entry(pool.product_id).or_default();
        *last += 1;
        let numbered = Numbered {
            seq: *last,
            pool,
            kind: new.kind,
            quantity: entry.quantity,
            unit_cost: new.unit_cost,
            amount: new.amount,
            effective_at: new.effective_at.unwrap_or(self.now),
            source: new.source.clone(),
            related_movement_id: new.related_movement_id,
            reverses_id: draft.reverses.map(|wrong| wrong.id),
            reason: new.reason.clone(),
            user_id: new.user_id,
        };
        Ok((numbered, entry))
    }

    fn take_fault(&mut self) -> Option<Error> {
        self.fates.iter_mut().find_map(|fate| match std::mem::replace(fate, Fate::Open) {
            Fate::Refused(fault) => Some(fault),
            other => {
                *fate = other;
                None
            }
        })
    }

    /// Writes the page; returns the ids of its rows.
    async fn store(&self, conn: &mut Conn<'_>, tenant: i64) -> Result<Vec<i64>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<Numbered> = self.rows.iter().map(|(row, _)| row.clone()).collect();
        let ids = movements::insert(conn, tenant, &rows).await.map_err(recorded_meanwhile)?;
        ledgers::advance(conn, tenant, &self.last).await?;
        levels::save(conn, tenant, &self.book.changed()).await?;
        Ok(ids)
    }

    async fn publish(&self, tx: &mut Transaction, tenant: &Tenant, ids: &[i64]) -> Result<()> {
        let events = self.rows.iter().zip(ids).map(|((row, entry), id)| StockMovementRecorded {
            movement_id: *id,
            seq: row.seq,
            product_id: row.pool.product_id,
            sku: self.known.products.get(&row.pool.product_id).map(|p| p.sku.clone()).unwrap_or_default(),
            location_id: row.pool.location_id,
            batch_id: row.pool.batch_id,
            kind: row.kind.as_str().to_owned(),
            quantity: row.quantity,
            on_hand: entry.on_hand,
            effective_at: row.effective_at,
            source_type: row.source.kind.clone(),
            source_id: row.source.id.clone(),
            user_id: row.user_id,
        });
        tenant.publish_all(events).in_tx(tx).await?;
        Ok(())
    }

    fn into_results(self, ids: &[i64]) -> Vec<Result<Recorded>> {
        let rows = &self.rows;
        let result = |fate| match fate {
            Fate::Refused(fault) => Err(fault),
            Fate::Before(movement_id) => Ok(Recorded::Before { movement_id }),
            Fate::Row(row) => match (rows.get(row), ids.get(row)) {
                (Some((numbered, entry)), Some(id)) => Ok(Recorded::Now {
                    movement_id: *id,
                    seq: numbered.seq,
                    quantity: entry.quantity,
                    on_hand: entry.on_hand,
                }),
                _ => Err(Error::Damaged("a movement was recorded without a row".into())),
            },
            Fate::Open => Err(Error::Damaged("a movement was left out".into())),
        };
        self.fates.into_iter().map(result).collect()
    }
}

/// The ledgers' locks keep a cause's movements of one product apart; of two products at once, the database does.
fn recorded_meanwhile(error: Error) -> Error {
    let twice = matches!(&error, Error::Database(source)
        if source.as_database_error().is_some_and(|refusal| refusal.is_unique_violation()));
    if !twice {
        return error;
    }
    Error::Refused {
        what: "recording movements".into(),
        why: "the same cause has just moved something else in another transaction; do it again".into(),
    }
}

/// What a draft says otherwise than the movement its cause has recorded before, if it does.
fn other(draft: &Draft<'_>, before: &movements::Done) -> Option<String> {
    let (new, pool) = (&draft.new, draft.pool());
    let place = |pool: Pool| (pool.product_id, pool.location_id);
    if place(pool) != place(before.pool) {
        return Some("the same cause has moved something else before".into());
    }
    // The number of the movement that is taken back is the whole cause: there is nothing else to say.
    if draft.reverses.is_some() {
        return None;
    }
    let recorded = |what: String| Some(format!("movement {} of the same cause has {what}", before.id));
    if pool.batch_id != before.pool.batch_id {
        return recorded("another batch".into());
    }
    // Of a count the ledger has the difference: what was counted then is not there any more.
    let quantity = plain(change(new.kind, new.quantity, Decimal::ZERO));
    if new.kind != MovementKind::Count && quantity != before.quantity {
        return recorded(format!("the quantity {}", before.quantity.abs()));
    }
    let shown = |cost: Option<Decimal>| cost.map_or_else(|| "none".to_owned(), |cost| cost.to_string());
    if new.unit_cost.map(plain) != before.unit_cost {
        return recorded(format!("the unit cost {}", shown(before.unit_cost)));
    }
    if new.amount.map(plain) != before.amount {
        return recorded(format!("the amount {}", shown(before.amount)));
    }
    None
}

/// What is wrong with each draft by itself; a cause that comes twice in a list is a mistake of the list.
fn shaped(known: &Known, drafts: &mut [Draft<'_>], now: DateTime<Utc>) -> Vec<Fate> {
    let mut causes = HashSet::new();
    let check = |draft: &mut Draft<'_>| {
        known.shape(&mut draft.new, draft.reverses.is_some(), now)?;
        if causes.insert((draft.new.source.clone(), draft.new.kind)) {
            return Ok(());
        }
        Err(known.invalid(&draft.new, "the same cause comes twice in one list".into()))
    };
    drafts.iter_mut().map(check).map(|checked| checked.map_or_else(Fate::Refused, |()| Fate::Open)).collect()
}
