//! Settings of what leaves by HTTP: the sections `outbound`, `sms` and `push`.

use std::path::PathBuf;
use std::time::Duration;

use fairlane::config::{Config, ConfigError, Kind, Problem, Setting};
use secrecy::{ExposeSecret, SecretString};

use super::problem;
use crate::erp::outbound::OutboundSettings;
use crate::erp::outbound::seal::Sealer;

/// The sections `outbound`, `sms` and `push`.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(
        "outbound.allow_private",
        Kind::Bool,
        "false",
        "Whether webhooks and providers may be at private addresses and without encryption: for tests and closed networks.",
    ),
    Setting::new(
        "outbound.connect_timeout",
        Kind::PositiveDuration,
        "3s",
        "How long a connection may take to stand.",
    ),
    Setting::new(
        "outbound.timeout",
        Kind::PositiveDuration,
        "10s",
        "How long a request may take as a whole.",
    ),
    Setting::new(
        "outbound.secret_key",
        Kind::Secret,
        "",
        "What encrypts secrets in the database: 32 bytes in base64, as openssl rand -base64 32 prints them, the same for all processes; webhooks and exchanges with other systems need it.",
    ),
    Setting::new(
        "sms.provider",
        Kind::Choice(&["none", "twilio", "http"]),
        "none",
        "Who sends text messages.",
    ),
    Setting::new(
        "sms.from",
        Kind::Text,
        "",
        "The sender: a number, a name, or a messaging service of Twilio (MG...).",
    ),
    Setting::new(
        "sms.country",
        Kind::Text,
        "",
        "The country of numbers that are given without one, such as 49; empty = they are refused.",
    ),
    Setting::new(
        "sms.max_segments",
        Kind::Integer { min: 1, max: 10 },
        "3",
        "Most parts of a message, each of which is paid for; longer ones are cut.",
    ),
    Setting::new(
        "sms.twilio_url",
        Kind::Text,
        "https://api.twilio.com",
        "Where Twilio is, or who speaks as it does.",
    ),
    Setting::new("sms.twilio_account", Kind::Text, "", "The account at Twilio (AC...)."),
    Setting::new("sms.twilio_token", Kind::Secret, "", "Its token, which also signs what Twilio reports."),
    Setting::new(
        "sms.status_url",
        Kind::Text,
        "",
        "Where Twilio reports what became of messages, such as https://app.example.com/twilio/{tenant}; empty = nowhere.",
    ),
    Setting::new(
        "sms.http_url",
        Kind::Text,
        "",
        "Where messages are posted with provider http; a template, such as https://sms.example.com/send.",
    ),
    Setting::new(
        "sms.http_body",
        Kind::Text,
        "{\"to\": {{ to }}, \"from\": {{ from }}, \"text\": {{ text }}, \"id\": {{ id }}}",
        "What is posted there: JSON, as a template; each value comes with its quotes.",
    ),
    Setting::new("sms.http_token", Kind::Secret, "", "The bearer token of that provider; empty = none."),
    Setting::new(
        "sms.http_id",
        Kind::Text,
        "/id",
        "Where in its answer the number of the message is, as a JSON pointer.",
    ),
    Setting::new(
        "sms.http_idempotent",
        Kind::Bool,
        "false",
        "Whether it takes a message with the same Idempotency-Key once: then one whose answer was lost is sent again.",
    ),
    Setting::new(
        "push.fcm_account_file",
        Kind::Path,
        "",
        "The file of the service account that sends to apps (FCM).",
    ),
    Setting::new("push.fcm_url", Kind::Text, "https://fcm.googleapis.com", "Where FCM is."),
    Setting::new(
        "push.vapid_public_key",
        Kind::Text,
        "",
        "The public key that browsers know us by, in base64url.",
    ),
    Setting::new("push.vapid_private_key", Kind::Secret, "", "The private key to it, in base64url."),
    Setting::new("push.vapid_subject", Kind::Text, "", "Whom push services may ask: mailto:ops@example.com."),
    Setting::new(
        "push.ttl",
        Kind::PositiveDuration,
        "1d",
        "How long a message waits for a device that is off.",
    ),
];

/// Reads the section `outbound`.
pub fn outbound(config: &Config) -> Result<OutboundSettings, ConfigError> {
    Ok(OutboundSettings {
        allow_private: config.boolean("outbound.allow_private")?,
        connect_timeout: config.duration("outbound.connect_timeout")?,
        timeout: config.duration("outbound.timeout")?,
    })
}

/// What seals secrets, by the key of the settings.
pub fn sealer(config: &Config) -> Result<Sealer, ConfigError> {
    Sealer::new(&config.secret("outbound.secret_key")?).map_err(|why| {
        let example = "FAIRLANE_OUTBOUND_SECRET_KEY=$(openssl rand -base64 32)";
        ConfigError::Invalid(vec![problem(config, "outbound.secret_key", &why, example)])
    })
}

/// Who sends text messages.
#[derive(Debug, Clone)]
pub enum SmsTransport {
    /// Nobody.
    None,
    /// Somebody who speaks as Twilio does.
    Twilio(TwilioSettings),
    /// Somebody behind an address of their own.
    Http(GatewaySettings),
}

/// The section `sms`.
#[derive(Debug, Clone)]
pub struct SmsSettings {
    /// Who sends them.
    pub transport: SmsTransport,
    /// The country of numbers without one.
    pub country: Option<String>,
    /// Most parts of a message.
    pub max_segments: usize,
}

/// A provider that speaks as Twilio does.
#[derive(Debug, Clone)]
pub struct TwilioSettings {
    /// Where it is.
    pub url: String,
    /// The account.
    pub account: String,
    /// Its token.
    pub token: SecretString,
    /// The sender.
    pub from: String,
    /// Where it reports, with `{tenant}`; empty = nowhere.
    pub status_url: String,
}

/// A provider behind an address of its own.
#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where messages are posted: a template.
    pub url: String,
    /// What is posted: a template.
    pub body: String,
    /// The bearer token; empty = none.
    pub token: SecretString,
    /// The sender.
    pub from: String,
    /// Where the number of the message is in an answer.
    pub id_pointer: String,
    /// Whether it takes the same message once.
    pub forgives_repeats: bool,
}

impl SmsSettings {
    /// Reads the section `sms`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let transport = match config.text("sms.provider")? {
            "twilio" => SmsTransport::Twilio(TwilioSettings::read(config)?),
            "http" => SmsTransport::Http(GatewaySettings::read(config)?),
            _ => SmsTransport::None,
        };
        let country = config.optional("sms.country")?.map(|text| text.trim_start_matches('+').to_owned());
        Ok(Self { transport, country, max_segments: config.number("sms.max_segments")? })
    }
}

impl TwilioSettings {
    fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            url: config.text("sms.twilio_url")?.to_owned(),
            account: config.text("sms.twilio_account")?.to_owned(),
            token: config.secret("sms.twilio_token")?,
            from: config.text("sms.from")?.to_owned(),
            status_url: config.text("sms.status_url")?.to_owned(),
        })
    }
}

impl GatewaySettings {
    fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            url: config.text("sms.http_url")?.to_owned(),
            body: config.text("sms.http_body")?.to_owned(),
            token: config.secret("sms.http_token")?,
            from: config.text("sms.from")?.to_owned(),
            id_pointer: config.text("sms.http_id")?.to_owned(),
            forgives_repeats: config.boolean("sms.http_idempotent")?,
        })
    }
}

/// The section `push`.
#[derive(Debug, Clone)]
pub struct PushSettings {
    /// The file of a service account.
    pub fcm_account_file: Option<PathBuf>,
    /// Where FCM is.
    pub fcm_url: String,
    /// The public key that browsers know us by.
    pub vapid_public_key: String,
    /// The private key to it.
    pub vapid_private_key: SecretString,
    /// Whom push services may ask.
    pub vapid_subject: String,
    /// How long a message waits for a device that is off.
    pub ttl: Duration,
}

impl PushSettings {
    /// Reads the section `push`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            fcm_account_file: config.optional("push.fcm_account_file")?.map(PathBuf::from),
            fcm_url: config.text("push.fcm_url")?.to_owned(),
            vapid_public_key: config.text("push.vapid_public_key")?.to_owned(),
            vapid_private_key: config.secret("push.vapid_private_key")?,
            vapid_subject: config.text("push.vapid_subject")?.to_owned(),
            ttl: config.duration("push.ttl")?,
        })
    }

    /// Nothing is set: nobody is pushed anything.
    pub fn none() -> Self {
        Self {
            fcm_account_file: None,
            fcm_url: String::new(),
            vapid_public_key: String::new(),
            vapid_private_key: SecretString::default(),
            vapid_subject: String::new(),
            ttl: Duration::from_secs(86_400),
        }
    }
}

/// What only several settings together can get wrong.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let read = || -> Result<(SmsSettings, PushSettings), ConfigError> {
        sealer(config)?;
        Ok((SmsSettings::read(config)?, PushSettings::read(config)?))
    };
    let (sms, push) = match read() {
        Ok(read) => read,
        Err(error) => return error.problems().to_vec(),
    };
    let mut problems = Vec::new();
    match &sms.transport {
        SmsTransport::Twilio(twilio) => {
            let unset = twilio.token.expose_secret().is_empty();
            if twilio.account.is_empty() || twilio.from.is_empty() || unset {
                let message = "twilio needs sms.twilio_account, sms.twilio_token and sms.from";
                problems.push(problem(config, "sms.provider", message, "twilio_account = \"AC...\""));
            }
        }
        SmsTransport::Http(gateway) if gateway.url.is_empty() => {
            let example = "http_url = \"https://sms.example.com/send\"";
            problems.push(problem(config, "sms.provider", "http needs sms.http_url", example));
        }
        SmsTransport::Http(_) | SmsTransport::None => {}
    }
    let paired = push.vapid_private_key.expose_secret().is_empty() == push.vapid_public_key.is_empty();
    if !paired || !push.vapid_public_key.is_empty() && push.vapid_subject.is_empty() {
        let message = "push.vapid_public_key, vapid_private_key and vapid_subject go together";
        let example = "vapid_subject = \"mailto:ops@example.com\"";
        problems.push(problem(config, "push.vapid_public_key", message, example));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::settings;
    use super::*;

    #[test]
    fn nobody_sends_text_messages_until_a_provider_is_named_with_all_it_needs() {
        let sms = SmsSettings::read(&settings().defaults().unwrap()).unwrap();
        assert!(matches!(sms.transport, SmsTransport::None));
        let error = settings().read("[sms]\nprovider = \"twilio\"").unwrap_err().to_string();
        assert!(error.contains("sms.twilio_account"), "{error}");
        let error = settings().read("[sms]\nprovider = \"http\"").unwrap_err().to_string();
        assert!(error.contains("sms.http_url"), "{error}");
        let error = settings().read("[push]\nvapid_public_key = \"BA\"").unwrap_err().to_string();
        assert!(error.contains("vapid_subject"), "{error}");
        let error = settings().read("[outbound]\nsecret_key = \"hunter2!\"").unwrap_err().to_string();
        assert!(error.contains("outbound.secret_key") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn secrets_of_providers_are_not_printed() {
        let text = "[sms]\nprovider = \"twilio\"\nfrom = \"+15005550006\"\ntwilio_account = \"AC1\"\ntwilio_token = \"hunter2\"\n\
                    [push]\nvapid_public_key = \"BA\"\nvapid_private_key = \"hunter3\"\nvapid_subject = \"mailto:a@example.com\"\n";
        let config = settings().read(text).unwrap();
        let (sms, push) = (SmsSettings::read(&config).unwrap(), PushSettings::read(&config).unwrap());
        let printed = format!("{config:?} {:?} {sms:?} {push:?}", config.show());
        assert!(!printed.contains("hunter"), "{printed}");
    }
}
