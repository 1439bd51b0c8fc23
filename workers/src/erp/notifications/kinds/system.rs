//! What is told about the system itself, and what people tell each other through it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::erp::notifications::{Action, Class, Note, Notification, Severity};

/// A report is ready.
#[derive(Debug, Clone)]
pub struct ReportGeneratedNotification {
    /// The report.
    pub report_id: i64,
    /// What it is about: `sales` ...
    pub report_type: String,
    /// Its file.
    pub file_name: String,
    /// Where the file is fetched.
    pub download_link: String,
}

impl Notification for ReportGeneratedNotification {
    const TYPE: &'static str = "ReportGeneratedNotification";

    fn note(&self) -> Note {
        Note {
            severity: Severity::Success,
            title: format!("Your {} report is ready", self.report_type),
            message: format!("{} can be downloaded.", self.file_name),
            context: json!({
                "report_id": self.report_id, "report_type": self.report_type, "file_name": self.file_name,
            }),
            action: Some(Action::new("Download report", &*self.download_link)),
        }
    }
}

/// Something everybody shall know.
#[derive(Debug, Clone)]
pub struct AnnouncementNotification {
    /// What it is about, in a few words.
    pub title: String,
    /// What is announced.
    pub message: String,
    /// Where to read more.
    pub action: Option<Action>,
}

impl Notification for AnnouncementNotification {
    const TYPE: &'static str = "AnnouncementNotification";
    const CLASS: Class = Class::Bulk;

    fn note(&self) -> Note {
        Note {
            severity: Severity::Info,
            title: self.title.clone(),
            message: self.message.clone(),
            context: json!({}),
            action: self.action.clone(),
        }
    }
}

/// Something that is to be done, or takes place, at a time.
#[derive(Debug, Clone)]
pub struct ReminderNotification {
    /// What it is about, in a few words.
    pub title: String,
    /// What is to be done.
    pub message: String,
    /// Until when, or when, where that is known.
    pub due_at: Option<DateTime<Utc>>,
    /// The facts, for programs: an object.
    pub context: Value,
    /// Where to do it.
    pub action: Option<Action>,
}

impl Notification for ReminderNotification {
    const TYPE: &'static str = "ReminderNotification";
    const CLASS: Class = Class::Bulk;

    fn note(&self) -> Note {
        let mut context = self.context.clone();
        if let (Some(due), Some(facts)) = (self.due_at, context.as_object_mut()) {
            facts.insert("due_at".into(), json!(due));
        }
        Note {
            severity: Severity::Info,
            title: self.title.clone(),
            message: self.message.clone(),
            context,
            action: self.action.clone(),
        }
    }
}

/// What the system says of itself: something is wrong that a person can repair, or long work that somebody has asked for is
/// done.
#[derive(Debug, Clone)]
pub struct AlertNotification {
    /// How bad it is: a warning, or critical; success where work is done.
    pub severity: Severity,
    /// What it is about, in a few words.
    pub title: String,
    /// What is wrong and what to do about it, or what came of the work.
    pub message: String,
    /// The facts, for programs.
    pub context: Value,
    /// Where to repair it.
    pub action: Option<Action>,
}

impl AlertNotification {
    /// A warning with its facts.
    pub fn warning(title: String, message: String, context: Value) -> Self {
        Self { severity: Severity::Warning, title, message, context, action: None }
    }

    /// Long work is done; a warning where a part of it could not be.
    pub fn done(is_whole: bool, title: String, message: String, context: Value) -> Self {
        let severity = if is_whole { Severity::Success } else { Severity::Warning };
        Self { severity, ..Self::warning(title, message, context) }
    }
}

impl Notification for AlertNotification {
    const TYPE: &'static str = "AlertNotification";

    fn note(&self) -> Note {
        Note {
            severity: self.severity,
            title: self.title.clone(),
            message: self.message.clone(),
            context: self.context.clone(),
            action: self.action.clone(),
        }
    }
}

/// What came in a while, together.
#[derive(Debug, Clone)]
pub struct DigestNotification {
    /// What came, the oldest first.
    pub notes: Vec<Note>,
}

impl Notification for DigestNotification {
    const TYPE: &'static str = "DigestNotification";
    const CLASS: Class = Class::Bulk;

    fn note(&self) -> Note {
        let count = self.notes.len();
        let messages: Vec<Value> = self
            .notes
            .iter()
            .map(|note| {
                json!({ "title": note.title, "message": note.message, "severity": note.severity.as_str() })
            })
            .collect();
        Note {
            severity: Severity::Info,
            title: match self.notes.first() {
                Some(only) if count == 1 => only.title.clone(),
                _ => format!("{count} notifications"),
            },
            message: "This is what has come for you since the last time.".into(),
            context: json!({ "messages": messages }),
            action: None,
        }
    }
}
