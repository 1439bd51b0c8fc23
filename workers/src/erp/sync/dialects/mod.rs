//! How other systems are asked: a [`Description`] for each entity, built in or a tenant's own, and Odoo's calls.

mod description;
mod generic;
mod odoo;
mod shopify;
mod woocommerce;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::SecretString;
use serde_json::{Map, Value};

use chrono::{DateTime, Utc};

use super::connection::{Connection, Dialect};
use super::http::{Answer, Endpoint, HttpError, Outgoing};
use super::pages::Place;
use super::paths;
use super::record::Record;
pub use description::{Call, Description, EntitySpec, Lines, PageSize, Push, Since, TimeForm};

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

    /// Reads a page.
    ///
    /// # Errors
    /// When it is not what was asked for; a record that cannot be read is an error in its place.
    pub fn read(&self, answer: &Answer) -> Result<Page, DialectError> {
        let mut body: Value =
            serde_json::from_slice(&answer.body).map_err(|why| DialectError::Unreadable(why.to_string()))?;
        if self.connection.dialect == Dialect::Odoo {
            body = odoo::result(body)?;
        }
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

    /// The request that tells the other system of a record; `None` where it is not told of new ones.
    ///
    /// # Errors
    /// When the entity is not pushed at all.
    pub fn push(
        &self,
        record: &Record,
        external_id: Option<&str>,
        key: &str,
    ) -> Result<Option<Outgoing>, DialectError> {
        let Some(push) = &self.spec.push else {
            return Err(DialectError::Remote("this entity cannot be pushed to this system".into()));
        };
        let call = match external_id {
            Some(_) => Some(&push.update),
            None => push.create.as_ref(),
        };
        let Some(call) = call else { return Ok(None) };
        let mut body = Map::new();
        for (name, field) in &push.fields {
            let value = record.pushed(field, external_id);
            if let Some(value) = value {
                insert_at(&mut body, name, value);
            }
        }
        if self.connection.dialect == Dialect::Odoo {
            return Ok(Some(odoo::write(self, external_id, Value::Object(body))?));
        }
        let path = call.path.replace("{id}", &encoded(external_id.unwrap_or_default()));
        let body = match &push.wrap {
            Some(wrap) => Value::Object(Map::from_iter([(wrap.clone(), Value::Object(body))])),
            None => Value::Object(body),
        };
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| DialectError::Remote(format!("{} is no method", call.method)))?;
        let mut request = json(Outgoing::get(self.endpoint.below(&path)?));
        request.method = method;
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(key) = HeaderValue::from_str(key) {
            request.headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        request.body = Some(body.to_string().into_bytes());
        Ok(Some(request))
    }

    /// The number the other system has given to a new record.
    ///
    /// # Errors
    /// When the answer does not say.
    pub fn created_id(&self, answer: &Answer) -> Result<String, DialectError> {
        let mut body: Value =
            serde_json::from_slice(&answer.body).map_err(|why| DialectError::Unreadable(why.to_string()))?;
        if self.connection.dialect == Dialect::Odoo {
            body = odoo::result(body)?;
        }
        let path = self.spec.push.as_ref().map_or("id", |push| push.id.as_str());
        text_of(&body, path).ok_or_else(|| DialectError::Unreadable(format!("it has no {path}")))
    }

    /// The record as it is there now, where the answer to a push tells it as a list would.
    pub fn told_back(&self, answer: &Answer) -> Option<Record> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let inside = self.spec.push.as_ref()?.id.rsplit_once('.').map_or("", |(inside, _)| inside);
        Record::read(self.spec, paths::at(&body, inside)?).ok()
    }

    /// Sees an error inside of a good answer.
    ///
    /// # Errors
    /// That.
    pub fn check(&self, answer: &Answer) -> Result<(), DialectError> {
        if self.connection.dialect == Dialect::Odoo {
            let body: Value = serde_json::from_slice(&answer.body)
                .map_err(|why| DialectError::Unreadable(why.to_string()))?;
            odoo::result(body)?;
        }
        Ok(())
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

/// A word as one step of a path.
fn encoded(word: &str) -> String {
    let mut url = match Url::parse("http://x/") {
        Ok(url) => url,
        Err(_) => return String::new(),
    };
    if let Ok(mut steps) = url.path_segments_mut() {
        steps.clear().push(word);
    }
    url.path().trim_start_matches('/').to_owned()
}

/// Puts a value at `a.b` of an object.
fn insert_at(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            body.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let below = body.entry(first.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                insert_at(below, rest, value);
            }
        }
    }
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

    #[test]
    fn a_word_stays_one_step_of_a_path() {
        assert_eq!(encoded("7"), "7");
        assert_eq!(encoded("../admin?x#y"), "..%2Fadmin%3Fx%23y");
    }
}
