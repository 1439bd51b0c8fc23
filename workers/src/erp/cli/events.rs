//! `erp events`.

use fairlane::cli::{CommandEnv, Page, Record};
use serde::Serialize;

use crate::erp::events::CATALOGUE;
use crate::erp::registry;

#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    alias: &'static str,
    version: i32,
    listeners: Vec<&'static str>,
}

impl Record for Listed {
    const COLUMNS: &'static [&'static str] = &["EVENT", "ALIAS", "VERSION", "LISTENERS"];

    fn cells(&self) -> Vec<String> {
        let listeners = if self.listeners.is_empty() { "-".to_owned() } else { self.listeners.join(", ") };
        vec![self.name.to_owned(), self.alias.to_owned(), self.version.to_string(), listeners]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

pub(super) fn run(env: &CommandEnv) -> anyhow::Result<()> {
    let registry = registry();
    let listening = registry.subscriptions();
    let listed = CATALOGUE.iter().map(|event| Listed {
        name: event.name,
        alias: event.alias,
        version: event.version,
        listeners: listening
            .iter()
            .filter(|follows| follows.event == event.name)
            .map(|follows| follows.listener)
            .collect(),
    });
    Ok(env.output.page(&Page::from(listed.collect::<Vec<_>>()), "")?)
}
