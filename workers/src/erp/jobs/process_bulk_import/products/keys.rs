//! By what a product is found, and how rows of one handle share their title.

use super::super::import_type::Key;
use super::{BARCODE, HANDLE, LastTitle, SKU};

/// The keys that a row or a product has, the first one identifying it.
pub(super) fn keys(sku: Option<&String>, barcode: Option<&String>, handle_key: Option<&String>) -> Vec<Key> {
    [(SKU, sku), (BARCODE, barcode), (HANDLE, handle_key)]
        .into_iter()
        .filter_map(|(field, value)| Some(Key { field, value: value?.clone() }))
        .collect()
}

/// Handle and options in one text; a bar inside them is written `\|`, so that no two products share a key.
pub(super) fn handle_key(handle: &str, options: [Option<&str>; 3]) -> String {
    let mut key = escape(handle);
    for option in options {
        key.push('|');
        key.push_str(&escape(option.unwrap_or_default()));
    }
    key
}

fn escape(part: &str) -> String {
    part.replace('\\', "\\\\").replace('|', "\\|")
}

/// The title a row has, or that its handle has had.
pub(super) fn title_of_handle(
    handle: Option<&str>,
    own: Option<String>,
    memory: &mut LastTitle,
) -> Option<String> {
    match (handle, own) {
        (Some(handle), Some(title)) => {
            *memory = LastTitle { handle: handle.to_owned(), title: title.clone() };
            Some(title)
        }
        (Some(handle), None) if memory.handle == handle => Some(memory.title.clone()),
        (_, own) => own,
    }
}
