//! Composing a mail out of texts that customers wrote.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::address::{Address, Envelope};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use uuid::Uuid;

use super::{Content, MailError};

/// A mail ready to be sent.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `<...@domain>`, the same for every attempt.
    pub message_id: String,
    /// The sender and the one recipient, as the mail server is told.
    pub envelope: Envelope,
    /// Headers and body, lines ended by CR LF.
    pub bytes: Vec<u8>,
}

impl Mail {
    /// A mail with a text and an HTML part; a bulk mail says how to stop it.
    pub fn compose(
        message_id: String,
        from: &Mailbox,
        to: Mailbox,
        content: Content,
        stop: Option<&Stop>,
    ) -> Result<Self, MailError> {
        let refused = |why: &dyn std::fmt::Display| MailError::MessageRefused(why.to_string());
        let mut builder = Message::builder()
            .date(SystemTime::now())
            .message_id(Some(message_id.clone()))
            .from(from.clone())
            .to(to)
            .subject(plain_text(&content.subject));
        if let Some(stop) = stop {
            builder = builder.header(ListUnsubscribe(stop.ways(from)));
            if stop.url.is_some() {
                builder = builder.header(ListUnsubscribePost("List-Unsubscribe=One-Click".into()));
            }
        }
        let message = builder
            .multipart(MultiPart::alternative_plain_html(content.text, content.html))
            .map_err(|why| refused(&why))?;
        Ok(Self { message_id, envelope: message.envelope().clone(), bytes: message.formatted() })
    }

    /// The address it goes to.
    pub fn recipient(&self) -> &str {
        self.envelope.to().first().map(AsRef::as_ref).unwrap_or_default()
    }
}

/// How a reader stops bulk mails: with the token of this mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// What names the reader and the kind of mail.
    pub token: String,
    /// Where one click (RFC 8058) does it, where there is such a place.
    pub url: Option<String>,
}

impl Stop {
    /// The token at the place of `{token}` in the setting `mail.unsubscribe_url`; an empty one is no place.
    pub fn new(token: &str, url: &str) -> Self {
        let url = (!url.is_empty()).then(|| url.replace("{token}", token));
        Self { token: token.to_owned(), url }
    }

    fn ways(&self, from: &Mailbox) -> String {
        let by_mail = format!("<mailto:{}?subject=unsubscribe%20{}>", from.email, self.token);
        match &self.url {
            Some(url) => format!("<{url}>, {by_mail}"),
            None => by_mail,
        }
    }
}

macro_rules! text_header {
    ($type:ident, $name:literal) => {
        #[derive(Clone)]
        struct $type(String);

        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }

            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

text_header!(ListUnsubscribe, "List-Unsubscribe");
text_header!(ListUnsubscribePost, "List-Unsubscribe-Post");

/// A text for a header: one line, no control characters, so that it cannot begin a header of its own.
pub fn plain_text(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if is_break(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(200).collect()
}

fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The address in a text, or what is wrong with it.
pub fn check_address(text: &str) -> Result<Address, String> {
    let text = text.trim();
    let named = || text.escape_debug();
    if text.len() > 254 {
        return Err(format!("an address of {} bytes is longer than the 254 allowed", text.len()));
    }
    if text.chars().any(|c| is_break(c) || c.is_whitespace()) {
        return Err(format!("\"{}\" contains a space or a control character", named()));
    }
    let address: Address =
        text.parse().map_err(|why| format!("\"{}\" is no mail address: {why}", named()))?;
    // What the syntax allows and no mail server takes.
    let domain = address.domain();
    if domain.starts_with('.') || domain.ends_with('.') || domain.contains("..") {
        return Err(format!("\"{}\" is no mail address: empty label in its domain", named()));
    }
    Ok(address)
}

/// A message id that depends on the key and the sender's domain alone.
pub fn message_id(key: &str, from: &Mailbox) -> String {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, key.as_bytes());
    format!("<{}@{}>", id.simple(), from.email.domain())
}

/// The message id of a delivery: the same for every attempt at it, also after its database was restored. When it was decided
/// is part of it, for slug and key come again: in another installation, and in a database restored to before it. One that
/// has an id keeps it.
pub fn message_id_of(
    tenant: &str,
    dedupe_key: &str,
    (created_at, earlier): (DateTime<Utc>, Option<&str>),
    from: &Mailbox,
) -> String {
    let new = || message_id(&format!("{tenant}/{dedupe_key}/{}", created_at.timestamp_micros()), from);
    earlier.map_or_else(new, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> Mailbox {
        "Fairlane <no-reply@localhost>".parse().unwrap()
    }

    fn headers(subject: &str, name: &str) -> String {
        let to = Mailbox::new(Some(plain_text(name)), check_address("ana@example.com").unwrap());
        let content = Content { subject: subject.into(), text: "text".into(), html: "<p>html</p>".into() };
        let mail = Mail::compose(message_id("key", &from()), &from(), to, content, None).unwrap();
        let text = String::from_utf8(mail.bytes).unwrap();
        text.split_once("\r\n\r\n").unwrap().0.to_owned()
    }

    #[test]
    fn a_subject_or_name_with_line_breaks_adds_no_header() {
        for attack in [
            "Hello\r\nBcc: eve@example.com",
            "Hello\nBcc: eve@example.com",
            "Hello\rBcc: eve@example.com",
            "Hello\u{2028}Bcc: eve@example.com",
            "Hello\r\n\r\nBcc: eve@example.com",
            "\0Bcc: eve@example.com",
        ] {
            for text in [headers(attack, "Ana"), headers("Hello", attack)] {
                let unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ");
                assert_eq!(unfolded.matches("\r\n").count() + 1, 7, "{unfolded}");
                assert!(!unfolded.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{text}");
            }
        }
    }

    #[test]
    fn a_bulk_mail_says_how_to_stop_it_by_one_click_where_there_is_a_place_and_by_mail() {
        let headers = |stop: Option<&Stop>| {
            let to = Mailbox::new(None, check_address("ana@example.com").unwrap());
            let content = Content { subject: "s".into(), text: "t".into(), html: "<p>h</p>".into() };
            let mail = Mail::compose("<1@localhost>".into(), &from(), to, content, stop).unwrap();
            let text = String::from_utf8(mail.bytes).unwrap().replace("\r\n ", " ");
            text.split_once("\r\n\r\n").unwrap().0.to_owned()
        };
        assert!(!headers(None).contains("List-Unsubscribe"));
        let by_mail = headers(Some(&Stop::new("abc", "")));
        assert!(
            by_mail.contains("List-Unsubscribe: <mailto:no-reply@localhost?subject=unsubscribe%20abc>"),
            "{by_mail}"
        );
        assert!(!by_mail.contains("List-Unsubscribe-Post"), "{by_mail}");
        let both = headers(Some(&Stop::new("abc", "https://example.com/stop/{token}")));
        assert!(both.contains("<https://example.com/stop/abc>, <mailto:"), "{both}");
        assert!(both.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{both}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for text in [
            "",
            "ana",
            "ana@",
            "@example.com",
            "ana(at)example.com",
            "ana@exa mple.com",
            "ana@example.com\r\nRCPT",
            "ana@example.com, eve@example.com",
            "ana@example..com",
            "ana@@example.com",
            "<ana@example.com>",
            "ana@.com",
        ] {
            assert!(check_address(text).is_err(), "{text:?} was taken");
        }
        let why = check_address("ana\n@example.com").unwrap_err();
        assert!(!why.contains('\n') && why.contains("\\n"), "{why}");
        assert!(check_address(&format!("{}@example.com", "a".repeat(250))).unwrap_err().contains("254"));
        assert_eq!(
            check_address(" ana.b+c@mail.example.com ").unwrap().as_ref() as &str,
            "ana.b+c@mail.example.com"
        );
    }

    #[test]
    fn the_same_key_in_another_database_is_another_message_and_one_that_has_an_id_keeps_it() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap();
        let id = |at, earlier| message_id_of("acme", "inv:1:mail", (at, earlier), &from());
        assert_eq!(id(at, None), id(at, None));
        assert_ne!(id(at, None), id(at + chrono::Duration::microseconds(1), None));
        assert_eq!(id(at, Some("<1@before>")), "<1@before>");
    }

    #[test]
    fn the_message_id_is_the_same_for_every_attempt_and_differs_between_mails() {
        assert_eq!(message_id("acme/inv:1:mail", &from()), message_id("acme/inv:1:mail", &from()));
        assert_ne!(message_id("acme/inv:1:mail", &from()), message_id("beta/inv:1:mail", &from()));
        assert!(message_id("acme/inv:1:mail", &from()).ends_with("@localhost>"));
    }
}
