//! How other systems are asked: a [`Description`] for each entity, built in or a tenant's own, and Odoo's calls.

mod description;
mod generic;
mod odoo;
mod shopify;
mod telling;
mod woocommerce;

use reqwest::header::{ACCEPT, HeaderValue};
use secrecy::SecretString;
use serde_json::{Map, Value};

use chrono::{DateTime, Utc};

use super::connection::{Connection, Dialect};
use super::http::{Answer, Endpoint, HttpError, Outgoing};
use super::pages::Place;
use super::paths;
use super::record::Record;
pub use description::{
    Apart, Call, Create, Description, EntitySpec, Find, Lines, PageSize, Push, Since, TimeForm,
};
pub use telling::Made;

/// A page of a list, read.
#[derive(Debug)]
pub struct Page {
    /// Its body.
    pub body: Value,
    /// The ids by which the list is paged, of those items that have one.
    pub ids: Vec<String>,
    /// How many items it has.
    pub count: u64,
    /// Its records, or why one could not be read.
    pub records: Vec<Result<Record, (String, String)>>,
}

/// Why an answer is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DialectError {
    /// It is no JSON, or not of the described shape: cut off, or an error page.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The other system's own error inside a good answer.
    #[error("the other system refuses: {0}")]
    Remote(String),
    /// It does not let us in.
    #[error("the other system does not know this login: {0}")]
    Unauthorized(String),
    /// The request cannot be made.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Asks in the language of a connection.
#[derive(Debug)]
pub struct Speaker<'a> {
    /// Whom.
    pub connection: &'a Connection,
    /// Where.
    pub endpoint: &'a Endpoint,
    /// About what.
    pub spec: &'a EntitySpec,
    /// With which secret, where it belongs into the body.
    pub secret: &'a SecretString,
}

impl Speaker<'_> {
    fn page_size(&self) -> Option<u64> {
        let size = self.spec.page_size.as_ref()?;
        Some(self.connection.settings.page_size.unwrap_or(size.size))
    }

    /// How many records a page has at most, where that is said.
    pub fn asked_size(&self) -> Option<u64> {
        self.page_size()
    }

    /// The request for a page.
    ///
    /// # Errors
    /// When its address is none, or leads elsewhere.
    pub fn list(&self, at: &Place, since: Option<DateTime<Utc>>) -> Result<Outgoing, DialectError> {
        if self.connection.dialect == Dialect::Odoo {
            return Ok(odoo::list(self, at, since)?);
        }
        if let Place::Link(link) = at {
            let base = self.endpoint.base();
            return Ok(json(Outgoing::get(self.endpoint.follow("the next page", base, link)?)));
        }
        let mut url = self.endpoint.below(&self.spec.path)?;
        for (name, value) in &self.spec.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        if let (Some(size), Some(asked)) = (&self.spec.page_size, self.page_size()) {
            url.query_pairs_mut().append_pair(&size.param, &asked.to_string());
        }
        if let (Some(spec), Some(since)) = (&self.spec.since, since) {
            url.query_pairs_mut().append_pair(&spec.param, &spec.form.write(since));
        }
        self.spec.paging.ask(at, &mut url);
        Ok(json(Outgoing::get(url)))
    }

    /// What an answer says.
    ///
    /// # Errors
    /// When it is no JSON, or an error.
    pub fn body(&self, answer: &Answer) -> Result<Value, DialectError> {
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|why| DialectError::Unreadable(why.to_string()))?;
        match self.connection.dialect {
            Dialect::Odoo => odoo::result(body),
            _ => Ok(body),
        }
    }

    /// The request for the lines of a page of orders, where those are a list of their own.
    ///
    /// # Errors
    /// When its address is none.
    pub fn lines(&self, page: &Value) -> Result<Option<Outgoing>, DialectError> {
        Ok(match self.apart() {
            Some((lines, apart)) => odoo::lines(self, lines, apart, page)?,
            None => None,
        })
    }

    /// The page with its lines in their place.
    pub fn with_lines(&self, page: Value, lines: &Value) -> Value {
        match self.apart() {
            Some((spec, apart)) => odoo::with_lines(page, lines, &spec.items, &apart.of),
            None => page,
        }
    }

    fn apart(&self) -> Option<(&Lines, &Apart)> {
        let lines = self.spec.lines.as_ref().filter(|_| self.connection.dialect == Dialect::Odoo)?;
        Some((lines, lines.apart.as_ref()?))
    }

    /// Reads a page.
    ///
    /// # Errors
    /// When it is not what was asked for; a record that cannot be read is an error in its place.
    pub fn page(&self, body: Value) -> Result<Page, DialectError> {
        let items = paths::at(&body, &self.spec.items).and_then(Value::as_array).ok_or_else(|| {
            let place = if self.spec.items.is_empty() { "the answer" } else { self.spec.items.as_str() };
            DialectError::Unreadable(format!("{place} is no list"))
        })?;
        let page_id = if self.spec.expand.is_some() { "id" } else { self.spec.id.as_str() };
        let ids = items.iter().filter_map(|item| text_of(item, page_id)).collect();
        let mut records = Vec::with_capacity(items.len());
        for item in items {
            match &self.spec.expand {
                None => records.push(Record::read(self.spec, item)),
                Some(below) => records.extend(self.expand(item, below)),
            }
        }
        Ok(Page { ids, count: items.len() as u64, records, body })
    }

    /// The records inside of an item, each with the item as its `parent`.
    fn expand(&self, item: &Value, below: &str) -> Vec<Result<Record, (String, String)>> {
        let children = paths::at(item, below).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut parent = item.clone();
        if let Some(parent) = parent.as_object_mut() {
            parent.remove(below);
        }
        let with_parent = |child: Value| {
            let mut fields = match child {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            let blank = |value: &Value| {
                value.as_str().is_some_and(|text| self.spec.blank.iter().any(|one| one == text))
            };
            fields.retain(|_, value| !blank(&*value));
            fields.insert("parent".into(), parent.clone());
            Record::read(self.spec, &Value::Object(fields))
        };
        children.into_iter().map(with_parent).collect()
    }
}

fn text_of(value: &Value, expression: &str) -> Option<String> {
    match paths::value(value, expression)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn json(mut request: Outgoing) -> Outgoing {
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

/// The description that is built in for a dialect; the generic one has none.
fn built_in(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Generic => generic::DESCRIPTION,
        Dialect::Shopify => Some(shopify::DESCRIPTION),
        Dialect::Woocommerce => Some(woocommerce::DESCRIPTION),
        Dialect::Odoo => Some(odoo::DESCRIPTION),
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::Entity;
    use super::*;

    #[test]
    fn every_built_in_description_can_be_read() {
        for dialect in Dialect::ALL.iter().filter(|dialect| **dialect != Dialect::Generic) {
            let description = Description::of(*dialect, None).unwrap();
            description.check().unwrap();
            assert!(description.entities.contains_key(&Entity::Products), "{dialect}");
            assert!(description.entities.contains_key(&Entity::Customers), "{dialect}");
            assert!(description.entities.contains_key(&Entity::Inventory), "{dialect}");
        }
    }
}
