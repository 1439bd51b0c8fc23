//! What a push message says, cut to what push services take.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a push message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushNote {
    /// The same for the same message: a second one replaces the first.
    pub tag: String,
    /// The kind of notification.
    pub kind: String,
    /// What it is about, in a few words.
    pub title: String,
    /// What has happened.
    pub message: String,
    /// Where its reader can go.
    pub target: Option<String>,
    /// Whether it should ring at once.
    pub urgent: bool,
}

impl PushNote {
    /// The tag of a key: 32 characters, as a topic of Web Push may have at most.
    pub fn tag_of(key: &str) -> String {
        URL_SAFE_NO_PAD.encode(&Sha256::digest(key.as_bytes())[..24])
    }

    /// The payload of a browser, in at most so many bytes.
    pub fn to_browser(&self, most: usize) -> String {
        self.fitting(most, |title, message| {
            json!({ "title": title, "body": message, "tag": self.tag, "type": self.kind, "target": self.target })
        })
        .to_string()
    }

    /// The notification and the data of an app, in at most so many bytes together.
    pub fn to_app(&self, most: usize) -> Value {
        self.fitting(most, |title, message| {
            let mut data = json!({ "tag": self.tag, "type": self.kind });
            if let Some(target) = &self.target {
                data["target"] = json!(target);
            }
            json!({ "notification": { "title": title, "body": message }, "data": data })
        })
    }

    /// Cuts the message, then the title, until the whole is small enough.
    fn fitting(&self, most: usize, shape: impl Fn(&str, &str) -> Value) -> Value {
        let fits = |title: &str, message: &str| shape(title, message).to_string().len() <= most;
        if fits(&self.title, &self.message) {
            return shape(&self.title, &self.message);
        }
        let message = longest(&self.message, |cut| fits(&self.title, cut));
        if fits(&self.title, &message) {
            return shape(&self.title, &message);
        }
        shape(&longest(&self.title, |cut| fits(cut, &message)), &message)
    }
}

/// The longest beginning that fits with dots behind it; nothing where not even the dots do.
fn longest(text: &str, fits: impl Fn(&str) -> bool) -> String {
    let cut = |end: usize| format!("{}...", &text[..end]);
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    // What is longer does not fit either, so the place is found by halving.
    let count = ends.partition_point(|end| fits(&cut(*end)));
    ends[..count].last().map(|end| cut(*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(title: &str, message: &str) -> PushNote {
        PushNote {
            tag: PushNote::tag_of("low:1"),
            kind: "LowStockNotification".into(),
            title: title.into(),
            message: message.into(),
            target: Some("product/T-1".into()),
            urgent: false,
        }
    }

    #[test]
    fn a_long_message_is_cut_to_what_fits_and_stays_json() {
        for text in ["a", "ж", "😀", "\"\n"] {
            for most in [300, 3993, 4096] {
                let note = note("Low stock", &text.repeat(5000));
                let (browser, app) = (note.to_browser(most), note.to_app(most).to_string());
                assert!(
                    browser.len() <= most && app.len() <= most,
                    "{most}: {} {}",
                    browser.len(),
                    app.len()
                );
                assert!(browser.len() > most - 40, "not more than needed: {} of {most}", browser.len());
                let read: Value = serde_json::from_str(&browser).unwrap();
                assert!(read["body"].as_str().unwrap().ends_with("..."));
                assert_eq!(read["title"], "Low stock");
            }
        }
        let short = note("Low stock", "3 left");
        assert_eq!(short.to_app(4096)["notification"]["body"], "3 left");
        assert!(note(&"t".repeat(9000), "m").to_browser(4000).len() <= 4000);
    }

    #[test]
    fn a_tag_is_short_enough_for_a_topic_and_the_same_for_the_same() {
        assert_eq!(PushNote::tag_of(&"x".repeat(300)).len(), 32);
        assert_eq!(PushNote::tag_of("low:1"), PushNote::tag_of("low:1"));
        assert_ne!(PushNote::tag_of("low:1"), PushNote::tag_of("low:2"));
    }
}
