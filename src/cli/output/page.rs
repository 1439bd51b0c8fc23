//! Pages of lists: rows, and what a reader needs to go on.

use serde::Serialize;

use super::Record;
use crate::store::listing::{DamagedRow, Listing};

/// A list with what a reader needs to go on.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Rows that can't be read.
    pub damaged: Vec<DamagedRow>,
    /// What `--cursor`, or `--after` where that goes on, takes to go on.
    pub next_cursor: Option<String>,
    /// How to see more where `--cursor` is not the way: a flag with its value, or words.
    pub more: Option<String>,
}

/// All rows there are.
impl<T> From<Vec<T>> for Page<T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows, damaged: Vec::new(), next_cursor: None, more: None }
    }
}

impl<T> Page<T> {
    /// The first `limit` of rows of which one more was asked for: by it the page knows that there is more.
    pub fn up_to(rows: Vec<T>, limit: usize) -> Self {
        Self::of_listing(Listing { rows, damaged: Vec::new(), more: false }, limit)
    }

    /// The same of rows some of which can't be read: they were asked for too.
    pub fn of_listing(mut listing: Listing<T>, limit: usize) -> Self {
        let asked_for = listing.rows.len() + listing.damaged.len();
        let more = (asked_for > limit).then(|| "a larger --limit".to_owned());
        listing.rows.truncate(limit);
        Self { damaged: listing.damaged, more, ..Self::from(listing.rows) }
    }

    /// The same where `--after` with the last row's id goes on.
    pub fn going_on_after(self) -> Self
    where
        T: Record,
    {
        self.going_on_after_the(Record::id)
    }

    /// The same where `--after` takes something else of the last row than its id.
    pub fn going_on_after_the(mut self, place: impl FnOnce(&T) -> String) -> Self {
        if let (Some(_), Some(last)) = (&self.more, self.rows.last()) {
            let place = place(last);
            self.more = Some(format!("--after {place}"));
            self.next_cursor = Some(place);
        }
        self
    }

    /// How to see more, where there is more.
    pub fn how_to_go_on(&self) -> Option<String> {
        self.more.clone().or_else(|| self.next_cursor.as_ref().map(|cursor| format!("--cursor {cursor}")))
    }

    /// Whether it goes on, for programs.
    pub fn end(&self) -> PageEnd {
        PageEnd { next_cursor: self.next_cursor.clone(), has_more: self.how_to_go_on().is_some() }
    }

    /// The JSON of a list.
    pub(super) fn document(&self) -> impl Serialize
    where
        T: Record,
    {
        let damaged = self.damaged.iter().map(|row| serde_json::json!({ "id": row.id, "error": row.why }));
        Document { data: &self.rows, page: self.end(), damaged: damaged.collect() }
    }
}

/// Whether a list goes on, and what its flag takes to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PageEnd {
    /// What `--cursor` or `--after` takes, where one of them goes on.
    pub next_cursor: Option<String>,
    /// Whether there may be more.
    pub has_more: bool,
}

#[derive(Serialize)]
struct Document<'a, T> {
    data: &'a [T],
    page: PageEnd,
    damaged: Vec<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(rows: &[i64], damaged: usize) -> Listing<i64> {
        let row = DamagedRow { id: "7".into(), why: "no number".into() };
        Listing { rows: rows.to_vec(), damaged: vec![row; damaged], more: false }
    }

    #[test]
    fn a_row_that_cannot_be_read_does_not_hide_that_there_is_more() {
        let has_more = |page: Page<i64>| page.end().has_more;
        assert!(!has_more(Page::up_to(vec![3, 2], 2)));
        assert!(has_more(Page::up_to(vec![3, 2, 1], 2)));
        assert!(!has_more(Page::of_listing(listing(&[3], 1), 2)));
        assert!(has_more(Page::of_listing(listing(&[3, 2], 1), 2)));
        let end = Page::of_listing(listing(&[3, 2], 1), 2).going_on_after_the(i64::to_string).end();
        assert_eq!(end, PageEnd { next_cursor: Some("2".into()), has_more: true });
    }
}
