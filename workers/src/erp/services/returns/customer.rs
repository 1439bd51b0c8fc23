//! Goods of a delivered order come back: the paper of the return and the stock, in one transaction.

use chrono::Datelike;
use fairlane::{Error, Result, Tenant, Transaction};
use rust_decimal::Decimal;

use super::open::{BackLine, Went, distinct};
use crate::erp::money::{Amounts, LineTerms, round_half_up};
use crate::erp::services::active_user;
use crate::erp::services::orders::amounts;
use crate::erp::services::stock::{self, MovementKind, NewMovement, Recorded, Source};
use crate::erp::store::orders::{self, OrderLine, OrderStatus};
use crate::erp::store::returns::{self, NewReturn, Return};
use crate::erp::store::{locations, now, profiles, sequences};

/// What of a delivered order comes back.
#[derive(Debug, Clone, Default)]
pub struct Back {
    /// The order's number inside the database.
    pub order: i64,
    /// Its lines that come back.
    pub lines: Vec<BackLine>,
    /// The code of the location they are put in; else where they left from.
    pub location: Option<String>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// The user who takes them back.
    pub user: Option<i64>,
}

/// What a return has done.
#[derive(Debug, Clone)]
pub struct TakenBack {
    /// Its paper.
    pub paper: Return,
    /// The movements of its goods.
    pub movements: Vec<Recorded>,
}

/// Takes goods of a delivered order back into stock, of the batches they left from, and enters the paper of the return at the
/// prices they were sold for: no more of a line than was delivered and has not come back. Each movement is told as every
/// movement is. Money is not given back by it.
///
/// # Errors
/// When the order is not delivered, a line is none of its products, or so many of it cannot come back.
pub async fn take_back(tx: &mut Transaction, tenant: &Tenant, back: Back) -> Result<TakenBack> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    active_user(conn, id, back.user).await?;
    let missing = || Error::NotFound { what: "order", name: back.order.to_string() };
    // Locked to the end: two returns at once count together.
    let order = orders::lock(conn, id, back.order).await?.ok_or_else(missing)?;
    let what = format!("taking back goods of order {}", order.number);
    if order.status != OrderStatus::Fulfilled {
        return Err(Error::Refused { what, why: format!("it is {}, not delivered", order.status) });
    }
    distinct(&what, &back.lines)?;
    let place = match &back.location {
        Some(code) => Some(locations::by_code(conn, id, code).await?.id),
        None => None,
    };
    let lines = orders::lines(conn, id, order.id).await?;
    let products: Vec<i64> = lines.iter().filter_map(|line| line.product_id).collect();
    let country = orders::country(conn, id, order.id).await?;
    stock::lock(tx, tenant, &products).await?;
    let conn = &mut tx.conn();
    let mut went = Went::find(conn, id, ("order", order.id), MovementKind::Sale).await?;
    let paper_lines = (1..)
        .zip(&back.lines)
        .map(|(line_no, line)| paper_line(&lines, (line_no, *line), &went, (&order.number, order.decimals)))
        .collect::<Result<Vec<_>>>()?;
    let sum = Amounts::sum("the return", order.decimals, &amounts(&paper_lines, order.decimals)?)?;
    let now = now(conn).await?;
    let year = profiles::find(conn, id).await?.day(now).year().to_string();
    let number = sequences::format("SR", &year, sequences::next(conn, id, "sales_return", &year).await?);
    let new = NewReturn {
        number,
        order_id: Some(order.id),
        customer_id: order.customer_id,
        country,
        currency: order.currency.clone(),
        decimals: order.decimals,
        amounts: sum,
        returned_at: now,
    };
    let paper = returns::insert(conn, id, new, &paper_lines).await?;
    let cause = Source::new("sales_return", paper.id.to_string());
    let mut moves: Vec<NewMovement> = Vec::new();
    for line in &back.lines {
        let what = format!("{what} line {}", line.line_no);
        moves.extend(went.back((*line, &what), MovementKind::ReturnIn, &cause, place)?);
    }
    for movement in &mut moves {
        (movement.reason, movement.user_id) = (back.reason.clone(), back.user);
    }
    let movements = stock::record_all(tx, tenant, &moves).await?;
    Ok(TakenBack { paper, movements })
}

/// A line of the paper: as it was sold, with its share of the discount. Shares are cut so that all of them together come to
/// the whole.
fn paper_line(
    lines: &[OrderLine],
    (line_no, back): (i64, BackLine),
    went: &Went,
    (order, decimals): (&str, u32),
) -> Result<OrderLine> {
    let sold = lines
        .iter()
        .find(|line| line.line_no == back.line_no)
        .ok_or_else(|| Error::NotFound { what: "order line", name: format!("{order} {}", back.line_no) })?;
    if sold.product_id.is_none() {
        return Err(Error::Refused {
            what: format!("taking back line {} of order {order}", back.line_no),
            why: "it is no product of the catalogue and never left the stock; give its money back, if that is to be".into(),
        });
    }
    let LineTerms { quantity, unit_price, discount, tax_rate } = sold.terms;
    let before = quantity - went.left(back.line_no);
    let share = |part: Decimal| match quantity.is_zero() {
        true => Decimal::ZERO,
        false => round_half_up(discount * part / quantity, decimals),
    };
    let discount = share(before + back.quantity) - share(before);
    let terms = LineTerms { quantity: back.quantity, unit_price, discount, tax_rate };
    Ok(OrderLine { line_no, terms, ..sold.clone() })
}
