//! The cases of `data/http/http-facts.json` that are about exchange.

use std::path::Path;

use fairlane_workers::erp::outbound::retry_after;
use fairlane_workers::erp::sync::pages::link;
use serde_json::Value;

fn facts(name: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/http/http-facts.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let facts: Value = serde_json::from_str(&text).unwrap();
    Some(facts[name].as_array().unwrap().clone())
}

#[test]
fn link_headers_are_read_as_the_facts_say() {
    for fact in facts("link_header").unwrap_or_default() {
        let header = fact["value"].as_str().unwrap();
        for rel in ["next", "previous"] {
            assert_eq!(link(header, rel).as_deref(), fact[rel].as_str(), "{rel} of {header}");
        }
    }
}

#[test]
fn retry_after_is_read_as_the_facts_say() {
    for fact in facts("retry_after").unwrap_or_default() {
        let (value, now) = (fact["value"].as_str().unwrap(), fact["now"].as_str().unwrap());
        let wait = retry_after::parse(value, now.parse().unwrap()).unwrap();
        assert_eq!(wait.as_secs(), fact["seconds"].as_u64().unwrap(), "{value}");
    }
}
