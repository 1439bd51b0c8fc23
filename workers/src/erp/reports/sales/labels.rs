//! The words that say what a row stands for.

use chrono::NaiveDate;

use super::amounts::Amounts;
use crate::erp::reports::range::Step;
use crate::erp::reports::request::Grouping;
use crate::erp::reports::table::{Cell, Column, Kind};
use crate::erp::store::report_rows::sales::SaleLine;

/// The columns that say what a row stands for.
pub(super) fn labels(by: Grouping) -> Vec<Column> {
    let text = |name, title| Column::new(name, title, Kind::Text);
    match by {
        Grouping::Day => vec![Column::new("day", "Day", Kind::Date)],
        Grouping::Week => vec![text("week", "Week")],
        Grouping::Month => vec![text("month", "Month")],
        Grouping::Product => vec![text("sku", "Product"), text("product", "Name")],
        Grouping::Category => vec![text("category", "Category")],
        Grouping::Customer => vec![text("customer", "Customer"), text("customer_name", "Name")],
        Grouping::Country => vec![text("country", "Country")],
        Grouping::Location => vec![text("location", "Location")],
        Grouping::Line => vec![
            Column::new("day", "Day", Kind::Date),
            text("document", "Document"),
            Column::new("line", "Line", Kind::Integer),
            text("sku", "Product"),
            text("product", "Name"),
            text("customer", "Customer"),
            text("country", "Country"),
        ],
    }
}

pub(super) fn labels_of(by: Grouping, step: Step, line: &SaleLine, day: NaiveDate) -> Vec<Cell> {
    let or = |name: &Option<String>, otherwise: &str| {
        Cell::Text(name.clone().unwrap_or_else(|| otherwise.to_owned()))
    };
    match by {
        Grouping::Day => vec![Cell::Date(day)],
        Grouping::Week | Grouping::Month | Grouping::Line => {
            vec![Cell::Text(step.label(step.start(day)))]
        }
        Grouping::Product if line.product_id.is_none() => {
            vec![Cell::Empty, Cell::Text("(not of the catalogue)".into())]
        }
        Grouping::Product => vec![Cell::text(line.sku.clone()), Cell::Text(line.product.clone())],
        Grouping::Category => vec![or(&line.category, "(none)")],
        Grouping::Customer => {
            vec![Cell::Text(line.customer.clone()), Cell::Text(line.customer_name.clone())]
        }
        Grouping::Country => vec![or(&line.country, "(not known)")],
        Grouping::Location => vec![or(&line.location, "(not named)")],
    }
}

/// A row of one line.
pub(super) fn detail(line: &SaleLine, day: NaiveDate, amounts: &Amounts) -> Vec<Cell> {
    let mut cells = vec![
        Cell::Date(day),
        Cell::Text(line.document.clone()),
        Cell::Integer(line.line_no),
        Cell::text(line.sku.clone()),
        Cell::Text(line.product.clone()),
        Cell::Text(line.customer.clone()),
        Cell::text(line.country.clone()),
    ];
    cells.extend(amounts.cells());
    cells
}
