//! Goods of a receipt go back to their vendor.

use chrono::Datelike;
use fairlane::{Error, Result, Tenant, Transaction};

use super::open::{BackLine, Went, distinct};
use crate::erp::services::active_user;
use crate::erp::services::stock::{self, MovementKind, NewMovement, Recorded, Source};
use crate::erp::store::{locations, now, profiles, receipts, sequences};

/// What of a goods receipt goes back.
#[derive(Debug, Clone, Default)]
pub struct SendBack {
    /// The receipt's number, as people know it: `GR-2026-00001`.
    pub receipt: String,
    /// Its lines that go back.
    pub lines: Vec<BackLine>,
    /// The code of the location they leave from; else where they were put.
    pub location: Option<String>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// The user who sends them.
    pub user: Option<i64>,
}

/// Goods that went back.
#[derive(Debug, Clone)]
pub struct SentBack {
    /// The number of the return: `VR-2026-00001`, by which its movements know it.
    pub number: String,
    /// The movements of its goods.
    pub movements: Vec<Recorded>,
}

/// Sends goods of a receipt back to the vendor, of the batches they came in: no more of a line than came and has not gone back.
/// Each movement is told as every movement is. The purchase order stays as it is: what is to come instead is ordered anew.
///
/// # Errors
/// When there is no such receipt or line, or so many of it cannot go back.
pub async fn send_back(tx: &mut Transaction, tenant: &Tenant, back: SendBack) -> Result<SentBack> {
    let id = tenant.id().await?;
    let conn = &mut tx.conn();
    active_user(conn, id, back.user).await?;
    let missing = || Error::NotFound { what: "goods receipt", name: back.receipt.clone() };
    let receipt = receipts::named(conn, id, &back.receipt).await?.ok_or_else(missing)?;
    let what = format!("sending back goods of {}", back.receipt);
    distinct(&what, &back.lines)?;
    let place = match &back.location {
        Some(code) => Some(locations::by_code(conn, id, code).await?.id),
        None => None,
    };
    let lines = receipts::lines(conn, id, receipt).await?;
    if let Some(none) = back.lines.iter().find(|line| !lines.iter().any(|of| of.line_no == line.line_no)) {
        let name = format!("{} {}", back.receipt, none.line_no);
        return Err(Error::NotFound { what: "line of the goods receipt", name });
    }
    let products: Vec<i64> = lines.iter().map(|line| line.product_id).collect();
    // What is still there of them is read under this lock: two returns at once count together.
    stock::lock(tx, tenant, &products).await?;
    let conn = &mut tx.conn();
    let mut went = Went::find(conn, id, ("goods_receipt", receipt), MovementKind::Receipt).await?;
    let now = now(conn).await?;
    let year = profiles::find(conn, id).await?.day(now).year().to_string();
    let number = sequences::format("VR", &year, sequences::next(conn, id, "vendor_return", &year).await?);
    let cause = Source::new("vendor_return", &number);
    let mut moves: Vec<NewMovement> = Vec::new();
    for line in &back.lines {
        let what = format!("{what} line {}", line.line_no);
        moves.extend(went.back((*line, &what), MovementKind::ReturnOut, &cause, place)?);
    }
    for movement in &mut moves {
        (movement.reason, movement.user_id) = (back.reason.clone(), back.user);
    }
    let movements = stock::record_all(tx, tenant, &moves).await?;
    Ok(SentBack { number, movements })
}
