//! What customers and vendors have in common: code, name, address, days.

mod party_type;
pub(super) mod store;

use fairlane::Result;
use serde_json::{Map, Value};

use super::import_type::{Cells, Field, FieldChange, Key, Reading, RowError};
use super::products::{change, set};

pub use party_type::PartyType;

pub(super) const CODE: usize = 0;
pub(super) const NAME: usize = 1;
pub(super) const EMAIL: usize = 2;
const PHONE: usize = 3;
const DAYS: usize = 4;
const ACTIVE: usize = 5;
const ADDRESS: usize = 6;

/// The names of a person, behind the parts of the address: what stands for the name where there is none.
const FIRST_NAME: usize = ADDRESS + PARTS.len();
const LAST_NAME: usize = FIRST_NAME + 1;

/// The parts of an address, in order of their fields behind [`ADDRESS`].
const PARTS: [&str; 6] = ["contact", "street", "city", "region", "postal_code", "country"];

/// The fields of both, with the name that their days have.
const fn fields(days: &'static str) -> [Field; 14] {
    [
        Field::text("code"),
        Field::text("name").required(),
        Field::text("email"),
        Field::text("phone"),
        Field::number(days),
        Field::text("active"),
        Field::text("contact"),
        Field::text("street"),
        Field::text("city"),
        Field::text("region"),
        Field::text("postal_code"),
        Field::text("country"),
        Field::text("first_name"),
        Field::text("last_name"),
    ]
}

/// What one row says; `None` where it says nothing.
#[derive(Debug, Default, Hash)]
pub struct PartyRow {
    pub(super) code: Option<String>,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    phone: Option<String>,
    days: Option<i64>,
    active: Option<bool>,
    address: [Option<String>; PARTS.len()],
}

/// A customer or a vendor as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub(super) id: i64,
    pub(super) code: Option<String>,
    pub(super) name: String,
    pub(super) email: Option<String>,
    phone: Option<String>,
    address: Map<String, Value>,
    days: Option<i64>,
    active: bool,
    pub(super) version: i64,
}

/// Reads a row that has to have a code, or what it is found by without one.
fn read(cells: &Cells<'_>, second: usize, missing: &'static str) -> Result<Reading<PartyRow>, RowError> {
    let mut address = <[Option<String>; PARTS.len()]>::default();
    for (at, part) in address.iter_mut().enumerate() {
        *part = cells.text_within(ADDRESS + at, 500)?;
    }
    let row = PartyRow {
        code: one_line(cells, CODE, 64)?,
        name: name(cells)?,
        email: one_line(cells, EMAIL, 320)?,
        phone: one_line(cells, PHONE, 64)?,
        days: days(cells)?,
        active: cells.boolean(ACTIVE)?,
        address,
    };
    let found_by = if second == EMAIL { &row.email } else { &row.name };
    if row.code.is_none() && found_by.is_none() {
        return Err(RowError::row("missing_key", missing));
    }
    Ok(Reading::Row(row))
}

/// The name; a private person's is made of first and last name, because shops keep the company's in its place.
fn name(cells: &Cells<'_>) -> Result<Option<String>, RowError> {
    if let Some(name) = one_line(cells, NAME, 200)? {
        return Ok(Some(name));
    }
    let parts = [one_line(cells, FIRST_NAME, 100)?, one_line(cells, LAST_NAME, 99)?];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join(" ")))
}

fn days(cells: &Cells<'_>) -> Result<Option<i64>, RowError> {
    match cells.whole(DAYS)? {
        Some(days) if !(0..=3650).contains(&days) => {
            Err(RowError::cell("out_of_range", DAYS, &days.to_string(), "not 0 to 3650 days"))
        }
        days => Ok(days),
    }
}

/// A text that services take as well: one line.
fn one_line(cells: &Cells<'_>, field: usize, longest: usize) -> Result<Option<String>, RowError> {
    match cells.text_within(field, longest)? {
        Some(text) if text.chars().any(char::is_control) => {
            let message = "contains a line break or another control character";
            Err(RowError::cell("control_character", field, &text, message))
        }
        text => Ok(text),
    }
}

impl PartyRow {
    /// The code alone, where there is one; else what stands for it.
    pub(super) fn keys(&self, second: usize) -> Vec<Key> {
        let found_by = if second == EMAIL { &self.email } else { &self.name };
        match (&self.code, found_by) {
            (Some(code), _) => vec![Key { field: CODE, value: code.clone() }],
            (None, Some(text)) => vec![Key { field: second, value: folded(text) }],
            (None, None) => Vec::new(),
        }
    }

    /// The parts of the address that the row has.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &String)> {
        PARTS.iter().zip(&self.address).filter_map(|(part, value)| Some((*part, value.as_ref()?)))
    }
}

/// A key that is the same in either case: of ASCII only, as both databases fold it.
pub(super) fn folded(text: &str) -> String {
    text.to_ascii_lowercase()
}

impl Party {
    pub(super) fn keys(&self, second: usize) -> Vec<Key> {
        let found_by = if second == EMAIL { self.email.as_deref() } else { Some(self.name.as_str()) };
        let code = self.code.iter().map(|code| Key { field: CODE, value: code.clone() });
        code.chain(found_by.map(|text| Key { field: second, value: folded(text) })).collect()
    }

    pub(super) fn new(row: &PartyRow, code: Option<String>, days: Option<i64>) -> Result<Self, RowError> {
        let Some(name) = &row.name else {
            return Err(RowError::cell("required", NAME, "", "a name is needed"));
        };
        Ok(Self {
            id: 0,
            code,
            name: name.clone(),
            email: row.email.clone(),
            phone: row.phone.clone(),
            address: row.parts().map(|(part, value)| (part.to_owned(), value.clone().into())).collect(),
            days: row.days.or(days),
            active: row.active.unwrap_or(true),
            version: 1,
        })
    }

    pub(super) fn merge(&mut self, row: &PartyRow, days: &'static str) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        if let Some(name) = row.name.as_ref().filter(|name| **name != self.name) {
            changes.push(change("name", &self.name, name));
            self.name.clone_from(name);
        }
        set("email", &mut self.email, row.email.as_ref(), &mut changes);
        set("phone", &mut self.phone, row.phone.as_ref(), &mut changes);
        set(days, &mut self.days, row.days.as_ref(), &mut changes);
        let before = self.address.clone();
        self.address.extend(row.parts().map(|(part, value)| (part.to_owned(), value.clone().into())));
        if before != self.address {
            changes.push(change("address", &before, &self.address));
        }
        if let Some(active) = row.active.filter(|active| *active != self.active) {
            changes.push(change("active", &self.active, &active));
            self.active = active;
        }
        self.version += i64::from(!changes.is_empty());
        changes
    }

    pub(super) fn label(&self) -> String {
        self.code.clone().unwrap_or_else(|| self.name.clone())
    }
}
