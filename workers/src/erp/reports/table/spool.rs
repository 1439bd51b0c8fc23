//! Takes the rows of a report, sums its columns, and gives the rows back.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use rust_decimal::Decimal;
use tempfile::NamedTempFile;

use super::{Cell, Column, Kind, Total, percent, quotient};
use crate::erp::reports::error::{ReportError, Result};
use crate::erp::reports::exact::exact_sum;

/// The sum of a column so far.
#[derive(Debug, Clone, Copy)]
enum Sum {
    /// There was nothing to add.
    Nothing,
    Known(Decimal),
    /// A cell was empty.
    Unknown,
}

impl Sum {
    fn and(self, cell: &Cell) -> Result<Self> {
        Ok(match (self, cell.as_number()) {
            (so_far, None) if *cell == Cell::Nothing => so_far,
            (Self::Nothing, Some(number)) => Self::Known(number),
            (Self::Known(sum), Some(number)) => {
                Self::Known(exact_sum(sum, number).ok_or_else(ReportError::too_large)?)
            }
            _ => Self::Unknown,
        })
    }
}

/// Takes the rows of a report.
pub struct Spool {
    columns: Vec<Column>,
    decimals: u32,
    file: NamedTempFile,
    writer: csv::Writer<BufWriter<File>>,
    rows: u64,
    sums: Vec<Sum>,
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Spool {
    /// A spool for these columns, in a file of this folder.
    pub fn new(folder: &Path, columns: Vec<Column>, decimals: u32) -> Result<Self> {
        let file = NamedTempFile::new_in(folder)?;
        let writer = csv::WriterBuilder::new().has_headers(false).from_writer(BufWriter::new(file.reopen()?));
        let sums = vec![Sum::Nothing; columns.len()];
        Ok(Self { columns, decimals, file, writer, rows: 0, sums })
    }

    /// Takes a row: a cell for each column.
    pub fn push(&mut self, cells: &[Cell]) -> Result<()> {
        if cells.len() != self.columns.len() {
            let why = format!("a row has {} cells for {} columns", cells.len(), self.columns.len());
            return Err(ReportError::refused("damaged_row", why));
        }
        for ((column, sum), cell) in self.columns.iter().zip(&mut self.sums).zip(cells) {
            if column.total != Total::Sum {
                continue;
            }
            *sum = sum.and(cell)?;
        }
        // A record of one empty field is written as two quotes, so that no row is lost.
        self.writer.write_record(cells.iter().map(Cell::spooled))?;
        self.rows += 1;
        Ok(())
    }

    /// The rows are all there.
    pub fn finish(mut self) -> Result<Spooled> {
        self.writer.flush()?;
        if self.rows == 0 {
            self.sums.fill(Sum::Known(Decimal::ZERO));
        }
        let totals =
            self.columns.iter().zip(&self.sums).map(|(column, sum)| self.total(column, sum)).collect();
        Ok(Spooled {
            columns: self.columns,
            decimals: self.decimals,
            file: self.file,
            rows: self.rows,
            totals,
        })
    }

    fn total(&self, column: &Column, sum: &Sum) -> Cell {
        match column.total {
            Total::None => Cell::Empty,
            Total::Sum => match sum {
                Sum::Known(sum) if column.kind == Kind::Integer => {
                    i64::try_from(sum.normalize()).map_or(Cell::Number(*sum), Cell::Integer)
                }
                Sum::Known(sum) => Cell::Number(*sum),
                Sum::Unknown => Cell::Empty,
                Sum::Nothing => Cell::Nothing,
            },
            Total::Ratio(of, over) => {
                let (of, over) = (self.sum_of(of), self.sum_of(over));
                Cell::number(match column.kind {
                    Kind::Percent => percent(of, over),
                    _ => quotient(of, over, self.decimals),
                })
            }
        }
    }

    fn sum_of(&self, name: &str) -> Option<Decimal> {
        let at = self.columns.iter().position(|column| column.name == name && column.total == Total::Sum)?;
        match self.sums.get(at)? {
            Sum::Known(sum) => Some(*sum),
            Sum::Unknown | Sum::Nothing => None,
        }
    }
}

/// All rows of a report, with their totals.
#[derive(Debug)]
pub struct Spooled {
    /// Its columns.
    pub columns: Vec<Column>,
    /// The decimals of its currency.
    pub decimals: u32,
    /// How many rows it has.
    pub rows: u64,
    /// What stands below each column.
    pub totals: Vec<Cell>,
    file: NamedTempFile,
}

impl Spooled {
    /// The rows, one by one, from the first.
    pub fn read(&self) -> Result<impl Iterator<Item = Result<Vec<Cell>>> + use<>> {
        let file = BufReader::new(File::open(self.file.path())?);
        let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
        Ok(reader.into_records().map(|record| record?.iter().map(Cell::from_spool).collect()))
    }

    /// The total of a column.
    pub fn total(&self, name: &str) -> Option<&Cell> {
        let at = self.columns.iter().position(|column| column.name == name)?;
        self.totals.get(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("name", "Name", Kind::Text),
        Column::new("net", "Net", Kind::Money).sum(),
        Column::new("cost", "Cost", Kind::Money).sum(),
        Column::new("share", "Share", Kind::Percent).ratio("cost", "net"),
    ];

    fn spooled(rows: &[Vec<Cell>]) -> Spooled {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), COLUMNS.to_vec(), 2).unwrap();
        rows.iter().for_each(|row| spool.push(row).unwrap());
        let spooled = spool.finish().unwrap();
        let back: Vec<Vec<Cell>> = spooled.read().unwrap().map(Result::unwrap).collect();
        assert_eq!(back, rows);
        spooled
    }

    #[test]
    fn an_empty_cell_makes_the_total_empty_and_ratios_are_those_of_the_totals() {
        let row = |net: i64, cost: Option<i64>| {
            let money = |cents| Cell::Number(Decimal::new(cents, 2));
            vec![Cell::Text("=1\n\"x\"".into()), money(net), cost.map_or(Cell::Empty, money), Cell::Empty]
        };
        let known = spooled(&[row(300, Some(100)), row(400, Some(100))]);
        assert_eq!(known.totals[2].plain(Kind::Money, 2).unwrap(), "2.00");
        assert_eq!(known.totals[3].plain(Kind::Percent, 2).unwrap(), "28.57");
        let unknown = spooled(&[row(300, Some(100)), row(400, None)]);
        assert_eq!(unknown.totals[1..], [Cell::Number(Decimal::new(700, 2)), Cell::Empty, Cell::Empty]);
    }

    #[test]
    fn where_there_is_nothing_to_be_known_the_total_is_that_of_the_others() {
        let row = |net: i64, cost: Cell| {
            vec![Cell::Text("x".into()), Cell::Number(Decimal::from(net)), cost, Cell::Nothing]
        };
        let one = Cell::Number(Decimal::ONE);
        let some = spooled(&[row(4, Cell::Nothing), row(6, one.clone())]);
        assert_eq!(some.totals[2], one);
        assert_eq!(spooled(&[row(4, Cell::Nothing)]).totals[2..], [Cell::Nothing, Cell::Empty]);
        assert_eq!(spooled(&[row(4, Cell::Nothing), row(6, Cell::Empty)]).totals[2], Cell::Empty);
    }

    #[test]
    fn amounts_have_the_currencys_decimals_and_more_where_they_have_more() {
        let shown = |number: &str| Cell::Number(number.parse().unwrap()).plain(Kind::Money, 2).unwrap();
        assert_eq!(
            [shown("1"), shown("1.2350"), shown("-0.5"), shown("0")],
            ["1.00", "1.235", "-0.50", "0.00"]
        );
    }

    proptest! {
        #[test]
        fn totals_are_the_sum_of_the_rows(
            rows in prop::collection::vec((".{0,6}", -10_000_000i64..10_000_000, 0u32..6, 0i64..1000), 0..40)
        ) {
            let rows: Vec<Vec<Cell>> = rows.into_iter().map(|(name, net, scale, cost)| vec![
                Cell::Text(name), Cell::Number(Decimal::new(net, scale)), Cell::Number(Decimal::new(cost, 2)), Cell::Empty,
            ]).collect();
            let sum: Decimal = rows.iter().filter_map(|row| row[1].as_number()).sum();
            prop_assert_eq!(spooled(&rows).totals[1].as_number(), Some(sum));
        }
    }
}
