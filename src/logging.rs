//! Log lines on standard error: text for people, JSON for machines, no line that a field could forge.

use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};

use crate::config::{LogFormat, LogSettings};

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `log.filter` cannot be read.
    #[error("log.filter {filter:?} is not a log filter: {reason}")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process already has a log.
    #[error("the log is already set up in this process")]
    AlreadySet,
}

impl LoggingError {
    /// A stable word for this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "log_filter_invalid",
            Self::AlreadySet => "log_already_set",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Filter { .. } => "for example: info,sqlx=warn",
            Self::AlreadySet => "call logging::init once, at the start of main",
        }
    }
}

/// Sends the process's log to standard error.
pub fn init(settings: &LogSettings) -> Result<(), LoggingError> {
    let terminal = io::stderr().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(settings, terminal, colours, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::AlreadySet)
}

/// Times are UTC with microseconds, tracing-subscriber's own default.
fn subscriber<W>(
    settings: &LogSettings,
    terminal: bool,
    colours: bool,
    out: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.filter).map_err(|error| LoggingError::Filter {
        filter: settings.filter.clone(),
        reason: error.to_string(),
    })?;
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let lines = fmt::Subscriber::builder().with_env_filter(filter).with_writer(OneLine {
        out,
        json,
        colours: colours && !json,
    });
    Ok(if json {
        Box::new(lines.json().flatten_event(true).with_current_span(false).finish())
    } else {
        Box::new(lines.compact().with_ansi(colours).finish())
    })
}

/// Makes every event exactly one line.
///
/// The text formatter escapes control characters in `Debug` values and terminal codes in the
/// message, but writes the line ends of `Display` values as they are (the tests below show it), so
/// a file name with a line end could forge a line. The last word is therefore here, below any formatter.
struct OneLine<W> {
    out: W,
    json: bool,
    colours: bool,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = OneLineWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLineWriter { out: self.out.make_writer(), json: self.json, colours: self.colours }
    }
}

struct OneLineWriter<W> {
    out: W,
    json: bool,
    colours: bool,
}

impl<W: Write> Write for OneLineWriter<W> {
    /// The formatter hands over a whole event at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = one_line(text.trim_end_matches('\n'), self.json, self.colours);
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Escapes what ends a line, moves the cursor or turns the direction of writing.
fn one_line(text: &str, json: bool, colours: bool) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    for (at, c) in text.char_indices() {
        if c == '\x1b' && colours && is_formatter_colour(&text[at..]) {
            line.push(c);
        } else if forges(c) && json {
            // All of them lie below U+10000, so one JSON escape each.
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else if forges(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

fn forges(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Only the colours the formatter itself uses may pass: `ESC [ 0-3 m`, `ESC [ 31-36 m`.
fn is_formatter_colour(text: &str) -> bool {
    let code = text.strip_prefix("\x1b[").and_then(|rest| rest.split_once('m')).map(|(code, _)| code);
    matches!(code, Some("0" | "1" | "2" | "3" | "31" | "32" | "33" | "34" | "35" | "36"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const HOSTILE: &str = "a\n2026-01-01 ERROR forged\r\x1b[2J\x1b]0;title\x07\u{202e}\u{2028}\u{9b}b\0";

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, terminal: bool, act: impl FnOnce()) -> String {
        let (captured, settings) = (Captured::default(), LogSettings { filter: "info".into(), format });
        let out = captured.clone();
        let subscriber = subscriber(&settings, terminal, terminal, move || out.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn hostile_events() {
        let span = tracing::info_span!("job", tenant = %HOSTILE, kind = HOSTILE);
        let _entered = span.enter();
        tracing::info!(file = %HOSTILE, text = HOSTILE, debug = ?HOSTILE, "{HOSTILE}");
        let error = io::Error::other(HOSTILE);
        tracing::warn!(error = &error as &dyn std::error::Error, "refused");
    }

    fn assert_two_plain_lines(text: &str) {
        assert_eq!(text.lines().count(), 2, "{text:?}");
        for c in text.chars().filter(|c| *c != '\n') {
            assert!(!forges(c), "{c:?} in {text:?}");
        }
    }

    #[test]
    fn no_field_span_or_message_can_forge_a_line_of_text() {
        assert_two_plain_lines(&logged(LogFormat::Text, false, hostile_events));
    }

    #[test]
    fn no_field_span_or_message_can_forge_a_line_of_json() {
        let text = logged(LogFormat::Json, false, hostile_events);
        assert_two_plain_lines(&text);
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["spans"][0]["name"], "job");
        }
    }

    #[test]
    fn on_a_terminal_only_the_formatters_colours_reach_it() {
        let text = logged(LogFormat::Auto, true, hostile_events);
        assert!(text.contains("\x1b[32m"), "levels are coloured: {text:?}");
        assert_eq!(text.lines().count(), 2);
        for (at, _) in text.match_indices('\x1b') {
            assert!(is_formatter_colour(&text[at..]), "{:?}", &text[at..]);
        }
    }

    #[test]
    fn the_default_formatter_alone_would_let_a_line_be_forged() {
        let captured = Captured::default();
        let out = captured.clone();
        let plain = fmt::Subscriber::builder().with_ansi(false).with_writer(move || out.clone()).finish();
        tracing::subscriber::with_default(plain, || tracing::info!(file = %"a\nb", "read"));
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "if this fails, OneLine may have become unnecessary: {text:?}");
    }

    #[test]
    fn auto_is_json_where_nobody_watches_and_fields_stand_at_the_top() {
        let text = logged(LogFormat::Auto, false, || tracing::info!(attempt = 2, "job failed"));
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&event["level"], &event["attempt"]), (&"INFO".into(), &2.into()));
        assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_filter_holds_and_a_bad_one_is_an_error() {
        assert_eq!(logged(LogFormat::Text, false, || tracing::debug!("quiet")), "");
        let settings = LogSettings { filter: "info,=,x=loud".into(), format: LogFormat::Text };
        let error = subscriber(&settings, false, false, io::sink).err().unwrap();
        assert_eq!(error.code(), "log_filter_invalid");
        assert!(error.to_string().contains("x=loud"));
    }
}
