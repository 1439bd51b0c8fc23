//! How a list goes on: where the next page is, and whether a list goes in circles.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::http::{Answer, Endpoint, HttpError};
use super::paths;

/// How the pages of a list are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "style", rename_all = "snake_case", deny_unknown_fields)]
pub enum Paging {
    /// The `Link` header has the next page.
    Link,
    /// The body has a word that the next request repeats.
    Cursor {
        /// Its query parameter.
        param: String,
        /// Where it stands in the body.
        next: String,
    },
    /// Pages are counted from 1.
    Page {
        /// The query parameter.
        param: String,
        /// The header with the number of pages, where there is one.
        #[serde(default)]
        total_header: Option<String>,
    },
    /// Records are counted from 0.
    Offset {
        /// The query parameter.
        param: String,
    },
    /// Records with a number above the last one seen.
    SinceId {
        /// The query parameter.
        param: String,
    },
    /// There is one page.
    None,
}

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At its beginning.
    #[default]
    Start,
    /// At this address.
    Link(String),
    /// Behind this word.
    Cursor(String),
    /// On this page.
    Page(u64),
    /// Behind so many records.
    Offset(u64),
    /// Behind this number.
    SinceId(u64),
}

/// What a list has given.
#[derive(Debug)]
pub struct Given<'a> {
    /// The whole answer.
    pub answer: &'a Answer,
    /// Its body, read.
    pub body: &'a Value,
    /// The address that was asked.
    pub asked: &'a Url,
    /// The ids of its records, of those that have one.
    pub ids: &'a [String],
    /// How many records it has, those without an id too.
    pub count: u64,
    /// How many records were asked for, where that was said.
    pub page_size: Option<u64>,
}

/// Why a list does not go on.
#[derive(Debug, thiserror::Error)]
pub enum PagingError {
    /// It has been there before.
    #[error("the list goes in circles: {0}")]
    Loop(String),
    /// There is no end to it.
    #[error("the list has more than {0} pages; raise --max-pages")]
    TooMany(u64),
    /// It leads elsewhere.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Paging {
    /// The place behind a page; `None` at the end.
    ///
    /// # Errors
    /// When it leads to another host, or backwards.
    pub fn next(
        &self,
        at: &Place,
        given: &Given<'_>,
        endpoint: &Endpoint,
    ) -> Result<Option<Place>, PagingError> {
        let count = given.count;
        let is_last = count == 0 || given.page_size.is_some_and(|size| count < size);
        Ok(match self {
            Self::None => None,
            Self::Link => match given.answer.header("link").and_then(|header| link(header, "next")) {
                Some(link) => {
                    Some(Place::Link(endpoint.follow("the next page", given.asked, &link)?.to_string()))
                }
                None => None,
            },
            Self::Cursor { next, .. } => match paths::text(given.body, next) {
                Some(cursor) if !cursor.is_empty() => Some(Place::Cursor(cursor)),
                _ => None,
            },
            Self::Page { total_header, .. } => {
                let page = if let Place::Page(page) = at { *page } else { 1 };
                let pages =
                    total_header.as_deref().and_then(|name| given.answer.header(name)?.trim().parse().ok());
                let over = pages.map_or(is_last, |pages: u64| page >= pages || count == 0);
                (!over).then_some(Place::Page(page + 1))
            }
            Self::Offset { .. } => {
                let before = if let Place::Offset(offset) = at { *offset } else { 0 };
                (!is_last).then_some(Place::Offset(before + count))
            }
            Self::SinceId { .. } => {
                let before = if let Place::SinceId(id) = at { *id } else { 0 };
                let last = given.ids.iter().filter_map(|id| id.parse::<u64>().ok()).max();
                match last {
                    _ if is_last => None,
                    Some(last) if last > before => Some(Place::SinceId(last)),
                    _ => return Err(PagingError::Loop(format!("behind {before} there is nothing above it"))),
                }
            }
        })
    }

    /// Sets where a request goes on.
    pub fn ask(&self, at: &Place, url: &mut Url) {
        let (name, value) = match (self, at) {
            (Self::Cursor { param, .. }, Place::Cursor(cursor)) => (param, cursor.clone()),
            (Self::Page { param, .. }, Place::Page(page)) => (param, page.to_string()),
            (Self::Page { param, .. }, Place::Start) => (param, "1".to_owned()),
            (Self::Offset { param }, Place::Offset(offset)) => (param, offset.to_string()),
            (Self::Offset { param }, Place::Start) => (param, "0".to_owned()),
            (Self::SinceId { param }, Place::SinceId(id)) => (param, id.to_string()),
            (Self::SinceId { param }, Place::Start) => (param, "0".to_owned()),
            _ => return,
        };
        url.query_pairs_mut().append_pair(name, &value);
    }
}

/// The target with a relation in a `Link` header (RFC 8288).
pub fn link(header: &str, rel: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        // Parameters end where the next target begins: a comma outside of quotes.
        let mut quoted = false;
        let end = after.find(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, after) = after.split_at(end.unwrap_or(after.len()));
        let has = parameters.split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(rel))
        });
        if has {
            return Some(target.trim().to_owned());
        }
        rest = after;
    }
    None
}

/// Sees that a list comes back to where it was, with one mark of memory (Brent's algorithm).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watch {
    mark: String,
    steps: u64,
    power: u64,
    pages: u64,
}

impl Watch {
    /// Notes a page and the place behind it.
    ///
    /// # Errors
    /// When it was there before, or there are too many.
    pub fn note(&mut self, ids: &[String], next: Option<&Place>, most: u64) -> Result<(), PagingError> {
        self.pages += 1;
        let Some(next) = next else { return Ok(()) };
        if self.pages >= most {
            return Err(PagingError::TooMany(most));
        }
        // Where the next place is a count, it always moves on: then the records tell, where they have names.
        let print = match next {
            Place::Link(word) | Place::Cursor(word) => fingerprint(&[word]),
            _ if ids.is_empty() => return Ok(()),
            _ => fingerprint(ids),
        };
        if print == self.mark {
            return Err(PagingError::Loop(format!("page {} leads to where it was before", self.pages)));
        }
        if self.steps == self.power {
            self.mark = print;
            self.power = (self.power * 2).max(1);
            self.steps = 0;
        }
        self.steps += 1;
        Ok(())
    }

    /// How many pages there were.
    pub fn pages(&self) -> u64 {
        self.pages
    }
}

fn fingerprint(words: &[impl AsRef<str>]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_ref().as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_header_with_several_targets_and_commas_in_them() {
        let header = "<https://s.example/p?a=1,2>; rel=\"previous\", <https://s.example/p?b=3,4>; title=\"x, y\"; rel=\"next last\"";
        assert_eq!(link(header, "next").as_deref(), Some("https://s.example/p?b=3,4"));
        assert_eq!(link(header, "previous").as_deref(), Some("https://s.example/p?a=1,2"));
        for nothing in ["", "<", "<x", "<x>", "<x>; rel=prev", "rel=next", "<x>; title=\"rel=next"] {
            assert_eq!(link(nothing, "next"), None, "{nothing}");
        }
    }

    fn pages_until_seen(lead: u64, circle: u64) -> u64 {
        let mut watch = Watch::default();
        for page in 0.. {
            let place = if page < lead { page } else { lead + (page - lead) % circle };
            if watch.note(&[], Some(&Place::Cursor(format!("c{place}"))), 100_000).is_err() {
                return page;
            }
        }
        unreachable!()
    }

    #[test]
    fn every_circle_is_seen_soon() {
        for lead in [0, 1, 3, 10, 100] {
            for circle in [1, 2, 3, 7, 50] {
                let seen = pages_until_seen(lead, circle);
                assert!(seen <= 3 * (lead + circle) + 3, "lead {lead}, circle {circle}: {seen} pages");
            }
        }
    }

    #[test]
    fn a_list_that_gives_the_same_page_again_goes_in_circles_and_a_straight_one_does_not() {
        let ids = ["1".to_owned(), "2".to_owned()];
        let mut watch = Watch::default();
        watch.note(&ids, Some(&Place::Page(2)), 10).unwrap();
        assert!(matches!(watch.note(&ids, Some(&Place::Page(3)), 10), Err(PagingError::Loop(_))));
        let mut watch = Watch::default();
        for page in 1..1000 {
            watch.note(&[page.to_string()], Some(&Place::Page(page + 1)), 10_000).unwrap();
        }
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let mut watch = Watch::default();
        let seen =
            (1..10).find(|page: &u64| watch.note(&[], Some(&Place::Cursor(page.to_string())), 5).is_err());
        assert_eq!(seen, Some(5));
        assert!(Watch::default().note(&[], None, 1).is_ok());
    }
}
