//! What of goods that left or came can still go the other way.

use std::collections::HashMap;

use fairlane::db::Conn;
use fairlane::{Error, Result};
use rust_decimal::Decimal;

use crate::erp::services::stock::{MovementKind, NewMovement, Source};
use crate::erp::store::stock::{Movement, movements};

/// A line of goods that go back: which, and how many.
#[derive(Debug, Clone, Copy)]
pub struct BackLine {
    /// The line's number on the paper the goods went by.
    pub line_no: i64,
    /// How many.
    pub quantity: Decimal,
}

/// The movements by which goods went, and what of each can go back. Their ledgers must be locked.
#[derive(Debug)]
pub(super) struct Went {
    parts: Vec<(Movement, Decimal)>,
}

impl Went {
    /// Looks up the movements of a cause, of one kind.
    pub(super) async fn find(
        conn: &mut Conn<'_>,
        tenant: i64,
        (cause, id): (&str, i64),
        kind: MovementKind,
    ) -> Result<Self> {
        let mut went = movements::of_source(conn, tenant, cause, &id.to_string()).await?;
        went.retain(|movement| movement.kind == kind);
        let products: Vec<i64> = went.iter().map(|movement| movement.pool.product_id).collect();
        let ids = |movements: &[Movement]| movements.iter().map(|movement| movement.id).collect::<Vec<_>>();
        let back = movements::answers_to(conn, tenant, &products, &ids(&went)).await?;
        // A return that was a mistake is no return.
        let again = movements::answers_to(conn, tenant, &products, &ids(&back)).await?;
        let mut taken: HashMap<i64, Decimal> = HashMap::new();
        for answer in &back {
            let whole: Decimal = again
                .iter()
                .filter(|undone| undone.reverses_id == Some(answer.id))
                .map(|undone| undone.quantity)
                .sum::<Decimal>()
                + answer.quantity;
            let of = answer.reverses_id.or(answer.related_movement_id).unwrap_or_default();
            *taken.entry(of).or_default() += whole;
        }
        let left = |movement: &Movement| {
            let left = movement.quantity + taken.get(&movement.id).copied().unwrap_or_default();
            // What came back in part and was a mistake as a whole has gone back more than once: nothing is left of it.
            let is_over = left.is_sign_negative() != movement.quantity.is_sign_negative();
            if is_over { Decimal::ZERO } else { left.abs() }
        };
        let parts = went.into_iter().map(|movement| (left(&movement), movement));
        Ok(Self { parts: parts.map(|(left, movement)| (movement, left)).collect() })
    }

    /// How many of a line can go back.
    pub(super) fn left(&self, line_no: i64) -> Decimal {
        self.parts.iter().filter(|(part, _)| part.source.line == line_no).map(|(_, left)| left).sum()
    }

    /// The movements by which a part of a line goes back, of the batches it went by: caused by `cause`, to where they went
    /// from unless a place is named.
    ///
    /// # Errors
    /// When there is not so much of it.
    pub(super) fn back(
        &mut self,
        (line, what): (BackLine, &str),
        kind: MovementKind,
        cause: &Source,
        place: Option<i64>,
    ) -> Result<Vec<NewMovement>> {
        let refused = |why: String| Err(Error::Refused { what: what.to_owned(), why });
        let is_of_line = |part: &Movement| part.source.line == line.line_no;
        if line.quantity <= Decimal::ZERO {
            return Err(Error::Invalid { what: what.to_owned(), why: "the quantity must be above 0".into() });
        }
        if !self.parts.iter().any(|(part, _)| is_of_line(part)) {
            return refused(
                "its stock was not moved: where a worker runs it is: fairlane work --stop-when-empty".into(),
            );
        }
        let left = self.left(line.line_no);
        if line.quantity > left {
            return refused(format!("only {left} can go back"));
        }
        let (mut missing, mut moves) = (line.quantity, Vec::new());
        for (part, left) in self.parts.iter_mut().filter(|(part, _)| is_of_line(part)) {
            let taken = missing.min(*left);
            if taken.is_zero() {
                continue;
            }
            (missing, *left) = (missing - taken, *left - taken);
            let number = i64::try_from(moves.len()).unwrap_or(i64::MAX);
            let source = cause.clone().line(line.line_no).part(number);
            let pool = part.pool;
            let place = place.unwrap_or(pool.location_id);
            moves.push(NewMovement {
                related_movement_id: Some(part.id),
                ..NewMovement::new(kind, pool.product_id, place, taken, source).batch(pool.batch_id)
            });
        }
        Ok(moves)
    }
}

/// Refuses lines that name one twice, or none.
pub(super) fn distinct(what: &str, lines: &[BackLine]) -> Result<()> {
    let twice = lines
        .iter()
        .enumerate()
        .any(|(index, line)| lines.iter().take(index).any(|other| other.line_no == line.line_no));
    if lines.is_empty() || twice {
        return Err(Error::Invalid {
            what: what.to_owned(),
            why: "name each line once, and at least one".into(),
        });
    }
    Ok(())
}
