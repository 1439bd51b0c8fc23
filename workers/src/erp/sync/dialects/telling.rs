//! What other systems are told: changes of what they have, and new records, which are looked for before they are made.

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Map, Value};

use super::super::connection::Dialect;
use super::super::http::{Answer, Outgoing};
use super::super::paths;
use super::super::record::Record;
use super::{Create, DialectError, Push, Speaker, json, odoo, text_of};

/// A record of the other system, by its names there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// Its other name.
    pub alias: Option<String>,
}

impl Speaker<'_> {
    fn creation(&self) -> Option<(&Push, &Create)> {
        let push = self.spec.push.as_ref()?;
        Some((push, push.create.as_ref()?))
    }

    /// The request that looks whether a new record is there already: a reply was lost, or somebody was first. `None` where
    /// the other system sees to it by the key.
    ///
    /// # Errors
    /// When the record has nothing to be found by; then it must not be made either.
    pub fn find(&self, record: &Record) -> Result<Option<Outgoing>, DialectError> {
        let Some(find) = self.creation().and_then(|(_, create)| create.find.as_ref()) else {
            return Ok(None);
        };
        let mut wanted = Vec::with_capacity(find.query.len());
        for (name, template) in &find.query {
            wanted.push((name.as_str(), filled_in(template, record)?));
        }
        if self.connection.dialect == Dialect::Odoo {
            return Ok(Some(odoo::find(self, find, &wanted)?));
        }
        let mut url = self.endpoint.below(&find.path)?;
        url.query_pairs_mut().extend_pairs(&wanted);
        Ok(Some(json(Outgoing::get(url))))
    }

    /// What was found; of several with the same code none.
    ///
    /// # Errors
    /// When the answer cannot be read, or nobody can say which it is.
    pub fn found(&self, record: &Record, answer: &Answer) -> Result<Option<Made>, DialectError> {
        let Some(find) = self.creation().and_then(|(_, create)| create.find.as_ref()) else {
            return Ok(None);
        };
        let body = self.body(answer)?;
        let items = paths::at(&body, &find.items).and_then(Value::as_array).ok_or_else(|| {
            DialectError::Unreadable("where records are looked for there is no list".into())
        })?;
        let is_it = |item: &&Value| {
            find.same.iter().all(|(theirs, ours)| {
                let theirs = text_of(item, theirs).unwrap_or_default();
                record.text(ours).is_some_and(|ours| ours.to_lowercase() == theirs.to_lowercase())
            })
        };
        let mut same = items.iter().filter(is_it);
        let Some(first) = same.next() else { return Ok(None) };
        if same.next().is_some() {
            return Err(DialectError::Remote("more than one record there has this code".into()));
        }
        let id = text_of(first, &find.id)
            .ok_or_else(|| DialectError::Unreadable(format!("it has no {}", find.id)))?;
        let alias = find.alias.as_deref().and_then(|alias| text_of(first, alias));
        Ok(Some(Made { id, alias }))
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
        let (method, path, wrap, fields) = match (external_id, &push.create) {
            (Some(_), _) => (&push.update.method, &push.update.path, &push.wrap, &push.fields),
            (None, Some(new)) => {
                let fields = if new.fields.is_empty() { &push.fields } else { &new.fields };
                (&new.method, &new.path, if new.wrap.is_some() { &new.wrap } else { &push.wrap }, fields)
            }
            (None, None) => return Ok(None),
        };
        let mut body = Value::Object(Map::new());
        for (name, field) in fields {
            // Nothing is taken away from what is not there yet.
            let value =
                record.pushed(field, external_id).filter(|value| external_id.is_some() || !value.is_null());
            if let Some(value) = value {
                insert_at(&mut body, name, value);
            }
        }
        if self.connection.dialect == Dialect::Odoo {
            return Ok(Some(odoo::write(self, external_id, &record.mark(), body)?));
        }
        let path = path.replace("{id}", &encoded(external_id.unwrap_or_default()));
        let body = match wrap {
            Some(wrap) => Value::Object(Map::from_iter([(wrap.clone(), body)])),
            None => body,
        };
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| DialectError::Remote(format!("{method} is no method")))?;
        let mut request = json(Outgoing::get(self.endpoint.below(&path)?));
        request.method = method;
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(key) = HeaderValue::from_str(key) {
            request.headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        request.body = Some(body.to_string().into_bytes());
        Ok(Some(request))
    }

    /// The names the other system has given to a new record.
    ///
    /// # Errors
    /// When the answer does not say.
    pub fn created(&self, answer: &Answer) -> Result<Made, DialectError> {
        let body = self.body(answer)?;
        let (push, create) = self.creation().unzip();
        let path = create.and_then(|create| create.id.as_deref()).or(push.map(|push| push.id.as_str()));
        let path = path.unwrap_or("id");
        let id = text_of(&body, path).ok_or_else(|| DialectError::Unreadable(format!("it has no {path}")))?;
        let alias = create.and_then(|create| text_of(&body, create.alias.as_deref()?));
        Ok(Made { id, alias })
    }

    /// The record as it is there now, where the answer to a push tells it as a list would.
    pub fn told_back(&self, answer: &Answer) -> Option<Record> {
        let body = self.body(answer).ok()?;
        let inside = self.spec.push.as_ref()?.id.rsplit_once('.').map_or("", |(inside, _)| inside);
        Record::read(self.spec, paths::at(&body, inside)?).ok()
    }

    /// Sees an error inside of a good answer.
    ///
    /// # Errors
    /// That.
    pub fn check(&self, answer: &Answer) -> Result<(), DialectError> {
        if self.connection.dialect == Dialect::Odoo {
            odoo::refusal(&self.body(answer)?)?;
        }
        Ok(())
    }
}

/// A template with the record's texts in it.
fn filled_in(template: &str, record: &Record) -> Result<String, DialectError> {
    let Some((before, rest)) = template.split_once('{') else { return Ok(template.to_owned()) };
    let Some((field, after)) = rest.split_once('}') else { return Ok(template.to_owned()) };
    let value = record.pushed(field, None);
    let text = value.as_ref().and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| {
        DialectError::Remote(format!("it has no {field}, by which it would be known again there"))
    })?;
    Ok(format!("{before}{text}{}", filled_in(after, record)?))
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

/// Puts a value at `a.0.b` of a body: a number counts in a list.
fn insert_at(body: &mut Value, path: &str, value: Value) {
    let (step, rest) = path.split_once('.').map_or((path, None), |(step, rest)| (step, Some(rest)));
    let place = match step.parse::<usize>() {
        Ok(number) => {
            if !body.is_array() {
                *body = Value::Array(Vec::new());
            }
            let Value::Array(items) = body else { return };
            if items.len() <= number {
                items.resize(number + 1, Value::Null);
            }
            items.get_mut(number)
        }
        Err(_) => {
            if !body.is_object() {
                *body = Value::Object(Map::new());
            }
            let Value::Object(fields) = body else { return };
            Some(fields.entry(step.to_owned()).or_insert(Value::Null))
        }
    };
    match (place, rest) {
        (Some(place), Some(rest)) => insert_at(place, rest, value),
        (Some(place), None) => *place = value,
        (None, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_stays_one_step_of_a_path() {
        assert_eq!(encoded("7"), "7");
        assert_eq!(encoded("../admin?x#y"), "..%2Fadmin%3Fx%23y");
    }

    #[test]
    fn values_are_put_into_objects_and_lists() {
        let mut body = Value::Object(Map::new());
        for (path, value) in
            [("title", "Tiles"), ("variants.0.sku", "A"), ("variants.0.price", "1"), ("a.b", "c")]
        {
            insert_at(&mut body, path, value.into());
        }
        assert_eq!(
            body,
            json!({"title": "Tiles", "variants": [{"sku": "A", "price": "1"}], "a": {"b": "c"}})
        );
    }

    #[test]
    fn who_has_nothing_to_be_found_by_is_not_looked_for() {
        let record =
            |email: Value| Record { fields: [("email".to_owned(), email)].into(), ..Record::default() };
        let filled = |record: &Record| filled_in("email:{email}", record).map_err(|error| error.to_string());
        assert_eq!(filled(&record(json!("ana@example.com"))).unwrap(), "email:ana@example.com");
        assert!(filled(&record(Value::Null)).unwrap_err().contains("it has no email"));
    }
}
