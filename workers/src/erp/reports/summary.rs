//! What a report says beside its rows: single figures, small tables, charts, and what has to be known to read it.

use rust_decimal::Decimal;

use super::table::{Cell, Column, Kind};

/// A single figure.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Its name for programs.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its value.
    pub cell: Cell,
}

/// A small table.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name for programs.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

impl Section {
    /// The largest of something, as a chart shows them.
    pub(super) fn top(bars: &[(String, Decimal)]) -> Self {
        Self {
            name: "top",
            title: "The ten largest",
            columns: vec![
                Column::new("name", "Name", Kind::Text),
                Column::new("amount", "Amount", Kind::Money),
            ],
            rows: bars
                .iter()
                .map(|(name, size)| vec![Cell::Text(name.clone()), Cell::Number(*size)])
                .collect(),
        }
    }
}

/// How a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartKind {
    /// Upright bars from left to right, by time.
    Time,
    /// Lying bars, the largest first.
    Top,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// How it is drawn.
    pub kind: ChartKind,
    /// What each bar is, and how long.
    pub bars: Vec<(String, Decimal)>,
}

/// Everything beside the rows.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Single figures.
    pub facts: Vec<Fact>,
    /// Small tables.
    pub sections: Vec<Section>,
    /// Charts.
    pub charts: Vec<Chart>,
    /// What has to be known to read it.
    pub notes: Vec<String>,
}

impl Summary {
    /// Adds a count.
    pub fn count(&mut self, name: &'static str, title: &'static str, count: i64) {
        self.facts.push(Fact { name, title, kind: Kind::Integer, cell: Cell::Integer(count) });
    }

    /// Adds a figure that may not be known.
    pub fn figure(&mut self, name: &'static str, title: &'static str, kind: Kind, number: Option<Decimal>) {
        self.facts.push(Fact { name, title, kind, cell: Cell::number(number) });
    }

    /// Adds what has to be known.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// The largest of a list by a number, the first of equals first by name.
pub(super) fn top(bars: impl IntoIterator<Item = (String, Decimal)>, most: usize) -> Vec<(String, Decimal)> {
    let mut bars: Vec<(String, Decimal)> =
        bars.into_iter().filter(|(_, size)| *size > Decimal::ZERO).collect();
    bars.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    bars.truncate(most);
    bars
}
