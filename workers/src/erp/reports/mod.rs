//! Reports: what was sold, is there, was billed and paid, who bought, what was bought.
//!
//! ```text
//! request      what somebody asks for -> days of a zone (range) as instants
//! make         one snapshot of the database (Db::snapshot_for), read page by page:
//!   sales ...    a report each: its columns, its rows into the spool (table), its summary
//!   table        the spool: a file of rows; totals are the sums of the cells that passed by
//! format/      the spool as JSON, CSV, workbook, page (with charts drawn by hand as SVG)
//! storage      the file: whole or not there; a name nobody guesses, in the tenant's folder or (elsewhere) in a bucket
//! links        signed links that expire
//! ```
//! `jobs/generate_report.rs` makes them, `jobs/remove_old_reports.rs` removes their files, `services/reports.rs` is what
//! applications call.

mod customer;
mod elsewhere;
mod error;
mod exact;
mod financial;
pub mod format;
mod inventory;
pub mod links;
mod procurement;
pub mod range;
mod request;
mod sales;
mod settings;
pub mod storage;
mod summary;
mod table;
mod watch;

use std::path::Path;

use chrono::{DateTime, Utc};
use fairlane::Tenant;
use fairlane::db::Conn;

pub use elsewhere::{BUCKET_SETTINGS, Elsewhere};
pub use error::{ReportError, Result};
pub use range::{DayRange, Relative};
pub use request::{FileFormat, Grouping, Parameters, Period, ReportRequest, ReportType};
pub(crate) use settings::check;
pub use settings::{REPORT_SETTINGS, ReportSettings};
pub use summary::{Chart, ChartKind, Fact, Section, Summary};
pub use table::{Cell, Column, Kind, Spool, Spooled, Total};
pub use watch::Watch;

use crate::erp::store::report_rows::Window;
use crate::erp::store::{now, profiles, reports};

/// What all reports have in common, as it is on their pages.
#[derive(Debug, Clone)]
pub struct Meta {
    /// What the tenant is called.
    pub tenant: String,
    /// What was asked for.
    pub parameters: Parameters,
    /// The currency of its amounts (ISO 4217).
    pub currency: String,
    /// The decimals of that currency.
    pub decimals: u32,
    /// When its snapshot was taken.
    pub taken_at: DateTime<Utc>,
}

/// A report that was read, and is to be written in a format.
#[derive(Debug)]
pub struct Made {
    /// What all reports have in common.
    pub meta: Meta,
    /// Its rows and their totals.
    pub table: Spooled,
    /// What it says beside its rows.
    pub summary: Summary,
    /// Rows of the database that were read for it.
    pub read: u64,
}

/// Where a report reads, and what it has to know.
pub(crate) struct Source<'c> {
    pub(crate) conn: Conn<'c>,
    pub(crate) tenant: i64,
    pub(crate) range: DayRange,
    pub(crate) by: Grouping,
    pub(crate) window: Window,
    pub(crate) decimals: u32,
    /// By what the tenant's movements are valued, if they are.
    pub(crate) scope: Option<String>,
    pub(crate) watch: Watch,
}

/// Reads a report from one snapshot of the database into files of a folder.
///
/// # Errors
/// When it shall stop, when the database can't be read, or a sum is too large to be exact.
pub async fn make(tenant: &Tenant, parameters: Parameters, folder: &Path, watch: Watch) -> Result<Made> {
    let id = tenant.id().await?;
    let mut tx = tenant.fairlane().db().snapshot_for(id).await?;
    let mut conn = tx.conn();
    let profile = profiles::find(&mut conn, id).await?;
    let taken_at = now(&mut conn).await?;
    let scope = reports::valued_scope(&mut conn, id).await?;
    let range = parameters.range;
    let mut source = Source {
        conn,
        tenant: id,
        range,
        by: parameters.by.unwrap_or(Grouping::Day),
        window: Window { start: range.start, end: range.end, currency: profile.currency.clone() },
        decimals: profile.decimals,
        scope,
        watch,
    };
    let columns = match parameters.report {
        ReportType::Sales => sales::columns(source.by),
        ReportType::Inventory => inventory::columns(),
        ReportType::Financial => financial::columns(source.by),
        ReportType::Customer => customer::columns(),
        ReportType::Procurement => procurement::columns(),
    };
    let mut spool = Spool::new(folder, columns, profile.decimals)?;
    let mut summary = match parameters.report {
        ReportType::Sales => sales::read(&mut source, &mut spool).await?,
        ReportType::Inventory => inventory::read(&mut source, &mut spool).await?,
        ReportType::Financial => financial::read(&mut source, &mut spool).await?,
        ReportType::Customer => customer::read(&mut source, &mut spool).await?,
        ReportType::Procurement => procurement::read(&mut source, &mut spool).await?,
    };
    let (read, valued) = (source.watch.read(), source.scope.take());
    // The snapshot is held no longer than the reading takes.
    drop(source);
    tx.rollback().await?;
    if let Some(scope) = valued.filter(|_| parameters.report != ReportType::Customer) {
        summary
            .note(format!("Costs and values are those of the valuation by {}.", scope.replace('_', " and ")));
    }
    let meta = Meta {
        tenant: profile.name,
        parameters,
        currency: profile.currency,
        decimals: profile.decimals,
        taken_at,
    };
    Ok(Made { meta, table: spool.finish()?, summary, read })
}
