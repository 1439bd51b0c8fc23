//! What the driver says: the texts of statements, and the notices with plans.

use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Everything the driver said since it was last asked.
static SAID: Mutex<String> = Mutex::new(String::new());

/// Keeps the texts of statements and the notices with plans.
struct Listener;

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("sqlx") {
            let mut said = Said(String::new());
            event.record(&mut said);
            SAID.lock().unwrap().push_str(&said.0);
        }
    }
}

struct Said(String);

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if ["summary", "db.statement", "message"].contains(&field.name()) {
            write!(self.0, "\u{1}{} {value}", field.name()).unwrap();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "\u{1}message {value:?}").unwrap();
        }
    }
}

pub(crate) fn listen() {
    static LISTENING: OnceLock<()> = OnceLock::new();
    LISTENING.get_or_init(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listener)).unwrap();
    });
    SAID.lock().unwrap().clear();
}

pub(crate) fn said() -> Vec<String> {
    let said = std::mem::take(&mut *SAID.lock().unwrap());
    said.split('\u{1}').map(str::to_owned).collect()
}

/// The texts of the engine's statements: whole, where the log says only their beginning.
pub(crate) fn statements(said: Vec<String>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut summary = String::new();
    for line in said {
        if let Some(text) = line.strip_prefix("summary ") {
            summary = text.to_owned();
        } else if let Some(text) = line.strip_prefix("db.statement ") {
            let text = if text.trim().is_empty() { summary.clone() } else { text.trim().to_owned() };
            if text.contains("fairlane_jobs") {
                texts.push(text);
            }
        }
    }
    texts
}
