//! What has to be known to ask another system: for each entity its address, its pages, its fields.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use fairlane::{Error, Result};
use serde::{Deserialize, Serialize};

use super::super::connection::{Dialect, Entity};
use super::super::pages::Paging;
use super::super::record;

/// How all that is exchanged is asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// By entity.
    pub entities: BTreeMap<Entity, EntitySpec>,
}

/// How one entity is asked for. Expressions are those of [`super::super::paths`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntitySpec {
    /// The list's address, below the connection's; of Odoo the model.
    pub path: String,
    /// What its query always has.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Where the records stand in the answer; empty: it is the list.
    #[serde(default)]
    pub items: String,
    /// A list inside of each item whose members are the records; the item is their `parent`.
    #[serde(default)]
    pub expand: Option<String>,
    /// Texts of an expanded record that mean nothing.
    #[serde(default)]
    pub blank: Vec<String>,
    /// The record's id, an expression.
    pub id: String,
    /// Another name of it, an expression: by it levels name their products.
    #[serde(default)]
    pub alias: Option<String>,
    /// When it was changed.
    #[serde(default)]
    pub updated_at: Option<String>,
    /// How the list goes on.
    pub paging: Paging,
    /// How only what has changed is asked for.
    #[serde(default)]
    pub since: Option<Since>,
    /// How large pages are.
    #[serde(default)]
    pub page_size: Option<PageSize>,
    /// Our field for an expression each.
    pub fields: BTreeMap<String, String>,
    /// The lines of an order.
    #[serde(default)]
    pub lines: Option<Lines>,
    /// Whether several records tell of parts of one level, as a lot each: then what is there is their sum.
    #[serde(default)]
    pub adds_up: bool,
    /// How it is told of ours.
    #[serde(default)]
    pub push: Option<Push>,
}

/// How only what has changed is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// The query parameter.
    pub param: String,
    /// How the time is written.
    #[serde(default)]
    pub form: TimeForm,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// `2026-02-09T12:00:00Z`.
    #[default]
    Rfc3339,
    /// `2026-02-09T12:00:00`, in UTC.
    Plain,
    /// `2026-02-09 12:00:00`, in UTC.
    Blank,
    /// Seconds since 1970.
    Seconds,
}

impl TimeForm {
    /// Writes a time.
    pub fn write(self, at: DateTime<Utc>) -> String {
        match self {
            Self::Rfc3339 => at.to_rfc3339_opts(SecondsFormat::Secs, true),
            Self::Plain => at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            Self::Blank => at.format("%Y-%m-%d %H:%M:%S").to_string(),
            Self::Seconds => at.timestamp().to_string(),
        }
    }
}

/// How large pages are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    /// The query parameter.
    pub param: String,
    /// How many records.
    pub size: u64,
}

/// The lines of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// Where they stand in the record.
    pub items: String,
    /// Our field for an expression each.
    pub fields: BTreeMap<String, String>,
    /// Where they are, where that is a list of their own; they are put in their place. Of Odoo alone.
    #[serde(default)]
    pub apart: Option<Apart>,
}

/// A list of lines beside that of the orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apart {
    /// The model.
    pub path: String,
    /// Its field that names the order.
    pub of: String,
    /// What its lines must be.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
}

/// How another system is told of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Of one it knows; `{id}` is its id there.
    pub update: Call,
    /// Of a new one; without it only known ones are told of.
    #[serde(default)]
    pub create: Option<Create>,
    /// A field around the body.
    #[serde(default)]
    pub wrap: Option<String>,
    /// Where a new record's id stands in the answer.
    #[serde(default = "id")]
    pub id: String,
    /// The body: their field for ours each.
    pub fields: BTreeMap<String, String>,
}

fn id() -> String {
    "id".into()
}

/// How a new record is made. What is not said is as with those that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// `POST` ...
    pub method: String,
    /// The address below the connection's.
    pub path: String,
    /// A field around the body.
    #[serde(default)]
    pub wrap: Option<String>,
    /// The body: their field for ours each; what has no value is left out.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Where the new record's id stands in the answer.
    #[serde(default)]
    pub id: Option<String>,
    /// Where its other name stands there.
    #[serde(default)]
    pub alias: Option<String>,
    /// How it is looked for before: a reply may have been lost. Without it the other system must know the key.
    #[serde(default)]
    pub find: Option<Find>,
}

/// How a new record is looked for before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// The list's address; of Odoo the model.
    pub path: String,
    /// What is asked for: `{sku}` is the record's; one that has none is not made.
    pub query: BTreeMap<String, String>,
    /// Where the records stand in the answer; empty: it is the list.
    #[serde(default)]
    pub items: String,
    /// The record's id, an expression.
    pub id: String,
    /// Its other name, an expression.
    #[serde(default)]
    pub alias: Option<String>,
    /// What must be the same for it to be the one: their expression for our field each.
    pub same: BTreeMap<String, String>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// `PUT` ...
    pub method: String,
    /// The address below the connection's.
    pub path: String,
}

impl Description {
    /// A dialect's description with what a tenant says otherwise, entity by entity.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(dialect: Dialect, own: Option<&Self>) -> Result<Self> {
        let mut description = match super::built_in(dialect) {
            Some(text) => serde_json::from_str(text)
                .map_err(|why| Error::Damaged(format!("the description of {dialect}: {why}")))?,
            None => Self::default(),
        };
        description.entities.extend(own.cloned().unwrap_or_default().entities);
        if description.entities.is_empty() {
            return Err(Error::Invalid {
                what: "the connection".into(),
                why: "the generic dialect needs --description FILE (docs/ERP.md has an example)".into(),
            });
        }
        Ok(description)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<()> {
        for (entity, spec) in &self.entities {
            let invalid =
                |why: String| Err(Error::Invalid { what: format!("the description of {entity}"), why });
            let known = record::fields_of(*entity);
            if let Some(unknown) = spec.fields.keys().find(|field| !known.contains(&field.as_str())) {
                return invalid(format!("it has no field {unknown}; there are: {}", known.join(", ")));
            }
            let missing = record::required(*entity).iter().find(|field| !spec.fields.contains_key(**field));
            if let Some(missing) = missing {
                return invalid(format!("the field {missing} is missing"));
            }
            if spec.id.is_empty() {
                return invalid("the id is missing".into());
            }
        }
        Ok(())
    }

    /// How an entity is asked for.
    ///
    /// # Errors
    /// When this system has none of it.
    pub fn entity(&self, entity: Entity) -> Result<&EntitySpec> {
        self.entities.get(&entity).ok_or_else(|| Error::Refused {
            what: format!("exchanging {entity}"),
            why: format!(
                "the connection does not describe them; it has: {}",
                self.entities.keys().map(|one| one.as_str()).collect::<Vec<_>>().join(", ")
            ),
        })
    }
}
