//! The ERP's own settings: mail, imports and exchange here, what leaves by HTTP in a file of its own.

mod channels;

use std::path::PathBuf;

use fairlane::config::{Config, ConfigError, Kind, Problem, Setting, Settings, Sources, load};
use lettre::message::Mailbox;
use secrecy::SecretString;

use super::reports::REPORT_SETTINGS;
pub use channels::{
    GatewaySettings, PushSettings, SmsSettings, SmsTransport, TwilioSettings, outbound, sealer,
};

/// The sections `mail`, `import` and `sync`.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "mail.transport",
        Kind::Choice(&["folder", "smtp"]),
        "folder",
        "Where mails go: each into a file of a folder, or to an SMTP server.",
    ),
    Setting::new("mail.folder", Kind::Path, ".fairlane/outbox", "The folder of the .eml files."),
    Setting::new("mail.from", Kind::Text, "Fairlane <no-reply@localhost>", "The sender of every mail."),
    Setting::new("mail.smtp_host", Kind::Text, "", "The SMTP server; needed where transport is smtp."),
    Setting::new(
        "mail.smtp_port",
        Kind::Integer { min: 1, max: 65_535 },
        "587",
        "Its port: 587, 465 for tls, 25.",
    ),
    Setting::new("mail.smtp_username", Kind::Text, "", "The login at the SMTP server; empty = none."),
    Setting::new(
        "mail.smtp_password",
        Kind::Secret,
        "",
        "Its password: better in FAIRLANE_MAIL_SMTP_PASSWORD or the file FAIRLANE_MAIL_SMTP_PASSWORD_FILE names.",
    ),
    Setting::new(
        "mail.smtp_tls",
        Kind::Choice(&["none", "starttls", "tls"]),
        "starttls",
        "How the connection is encrypted; none is refused together with a password.",
    ),
    Setting::new(
        "mail.smtp_ca_file",
        Kind::Path,
        "",
        "A PEM file with the authority of a server that has no public certificate; trusted beside the public ones.",
    ),
    Setting::new(
        "mail.app_url",
        Kind::Text,
        "",
        "Where your application is, such as https://app.example.com: links in mails to users begin with it.",
    ),
    Setting::new(
        "mail.unsubscribe_url",
        Kind::Text,
        "",
        "Where one click stops bulk mails (RFC 8058), such as https://app.example.com/unsubscribe/{token}; empty = by mail \
         alone.",
    ),
    Setting::new(
        "mail.purchase_orders",
        Kind::Bool,
        "false",
        "Whether vendors get a mail when a purchase order to them is approved.",
    ),
    Setting::new(
        "import.folder",
        Kind::Path,
        ".fairlane/files",
        "Where imported files are kept, on a disk that whoever imports and every worker reach; a relative one counts from \
         the working directory of who hands the file in.",
    ),
    Setting::new("import.max_bytes", Kind::Size, "100MB", "Largest file accepted."),
    Setting::new(
        "import.max_rows",
        Kind::Integer { min: 1, max: 1_000_000_000 },
        "1000000",
        "Most rows of a file.",
    ),
    Setting::new(
        "import.chunk_rows",
        Kind::Integer { min: 1, max: 10_000 },
        "500",
        "Rows of one transaction, after which progress is saved.",
    ),
    Setting::new(
        "import.max_unpacked",
        Kind::Size,
        "1GB",
        "What a workbook may come to unpacked, and as a table of text: a small file may be a very large one.",
    ),
    Setting::new(
        "import.undo_days",
        Kind::Integer { min: 0, max: 3650 },
        "30",
        "For how many days an import can be undone; 0 keeps nothing of what was there before.",
    ),
    Setting::new(
        "sync.breaker_failures",
        Kind::Integer { min: 1, max: 1000 },
        "5",
        "After so many failures in a row another system is left alone for a while.",
    ),
    Setting::new("sync.breaker_cooldown", Kind::PositiveDuration, "30s", "For how long, at first."),
    Setting::new(
        "sync.breaker_longest",
        Kind::PositiveDuration,
        "10m",
        "For how long at most: each try that fails doubles it.",
    ),
    Setting::new(
        "sync.retry_wait",
        Kind::Duration,
        "5s",
        "How long an exchange waits after a failure between pages, and where it is asked to wait without a time.",
    ),
];

/// Everything the `fairlane` binary can be told: the engine's settings and the ERP's.
pub fn settings() -> Settings {
    Settings::engine()
        .with(SETTINGS)
        .with(channels::SETTINGS)
        .with(super::campaigns::settings::SETTINGS)
        .with(REPORT_SETTINGS)
        .check(check)
        .check(channels::check)
}

/// Loads the configuration of the `fairlane` binary.
pub fn configure(sources: &Sources) -> Result<Config, ConfigError> {
    load(&settings(), sources)
}

/// Where mails go.
#[derive(Debug, Clone)]
pub enum MailTransport {
    /// Each into an `.eml` file of this folder.
    Folder(PathBuf),
    /// To an SMTP server.
    Smtp(SmtpSettings),
}

/// How the connection to the SMTP server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// Not at all.
    None,
    /// Plain first, then encrypted.
    Starttls,
    /// From the first byte.
    Tls,
}

/// The SMTP server.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Login and password.
    pub login: Option<(String, SecretString)>,
    /// The encryption.
    pub tls: SmtpTls,
    /// A file with an authority to be trusted beside the public ones.
    pub ca_file: Option<PathBuf>,
}

/// The section `mail`.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Where mails go.
    pub transport: MailTransport,
    /// The sender of every mail.
    pub from: Mailbox,
    /// What links in mails to users begin with; empty = there are none.
    pub app_url: String,
    /// Where one click stops bulk mails, with `{token}`; empty = by mail alone.
    pub unsubscribe_url: String,
    /// Whether vendors get their purchase orders by mail.
    pub purchase_orders: bool,
}

impl MailSettings {
    /// Reads the section `mail`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let transport = match config.text("mail.transport")? {
            "smtp" => MailTransport::Smtp(SmtpSettings::read(config)?),
            _ => MailTransport::Folder(config.path("mail.folder")?),
        };
        Ok(Self {
            transport,
            from: read_sender(config)?,
            app_url: config.text("mail.app_url")?.to_owned(),
            unsubscribe_url: config.text("mail.unsubscribe_url")?.to_owned(),
            purchase_orders: config.boolean("mail.purchase_orders")?,
        })
    }

    /// Links that mail programs would not follow, or that lead nowhere.
    fn check_urls(&self, config: &Config) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.app_url.is_empty() && !self.app_url.starts_with("http") {
            let example = "app_url = \"https://app.example.com\"";
            problems.push(problem(config, "mail.app_url", "it must begin with https:// or http://", example));
        }
        let stop = &self.unsubscribe_url;
        let leads_there = stop.starts_with("https://") && stop.contains("{token}");
        if !stop.is_empty() && !leads_there {
            let message = "it must begin with https:// and contain {token}";
            let example = "unsubscribe_url = \"https://app.example.com/unsubscribe/{token}\"";
            problems.push(problem(config, "mail.unsubscribe_url", message, example));
        }
        problems
    }
}

fn read_sender(config: &Config) -> Result<Mailbox, ConfigError> {
    let text = config.text("mail.from")?;
    text.parse().map_err(|why| {
        let message = format!("\"{}\" is no sender: {why}", text.escape_debug());
        let example = "from = \"Acme Billing <billing@example.com>\"";
        ConfigError::Invalid(vec![problem(config, "mail.from", &message, example)])
    })
}

impl SmtpSettings {
    fn read(config: &Config) -> Result<Self, ConfigError> {
        let tls = [("none", SmtpTls::None), ("starttls", SmtpTls::Starttls), ("tls", SmtpTls::Tls)];
        let login = match config.optional("mail.smtp_username")? {
            Some(name) => Some((name.to_owned(), config.secret("mail.smtp_password")?)),
            None => None,
        };
        Ok(Self {
            host: config.text("mail.smtp_host")?.to_owned(),
            port: config.number("mail.smtp_port")?,
            login,
            tls: config.choose("mail.smtp_tls", tls)?,
            ca_file: config.optional("mail.smtp_ca_file")?.map(PathBuf::from),
        })
    }
}

/// The section `import`.
#[derive(Debug, Clone)]
pub struct ImportSettings {
    /// Where files are kept.
    pub folder: PathBuf,
    /// Largest file accepted.
    pub max_bytes: u64,
    /// Most rows of a file.
    pub max_rows: u64,
    /// Rows of one transaction.
    pub chunk_rows: usize,
    /// What a workbook may come to unpacked.
    pub max_unpacked: u64,
    /// For how many days an import can be undone.
    pub undo_days: i64,
}

impl ImportSettings {
    /// Reads the section `import`.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            folder: config.path("import.folder")?,
            max_bytes: config.bytes("import.max_bytes")?,
            max_rows: config.number("import.max_rows")?,
            chunk_rows: config.number("import.chunk_rows")?,
            max_unpacked: config.bytes("import.max_unpacked")?,
            undo_days: config.number("import.undo_days")?,
        })
    }
}

/// What only several mail settings together can get wrong, and a key that is none.
fn check(config: &Config) -> Vec<Problem> {
    let mail = match MailSettings::read(config) {
        Ok(mail) => mail,
        Err(error) => return error.problems().to_vec(),
    };
    let mut problems = mail.check_urls(config);
    if let Err(error) = super::sync::SyncRuntime::read(config) {
        problems.extend(error.problems().iter().cloned());
    }
    let MailTransport::Smtp(smtp) = mail.transport else { return problems };
    if smtp.host.is_empty() {
        problems.push(problem(
            config,
            "mail.transport",
            "smtp needs mail.smtp_host",
            "smtp_host = \"smtp.example.com\"",
        ));
    }
    if smtp.login.is_some() && smtp.tls == SmtpTls::None {
        let message = "none would send the password in the clear";
        problems.push(problem(config, "mail.smtp_tls", message, "smtp_tls = \"starttls\""));
    }
    problems
}

fn problem(config: &Config, key: &str, message: &str, example: &str) -> Problem {
    let problem = Problem::new(key, message).hint(format!("for example: {example}"));
    match config.origin(key) {
        Some(origin) => problem.at(origin.clone()),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use fairlane::config::Origin;

    use super::*;

    const DEFAULT: &str = include_str!("../../../config/default.toml");
    const PRODUCTION: &str = include_str!("../../../config/production.toml");

    #[test]
    fn the_file_of_defaults_is_the_template_byte_for_byte() {
        let template = settings().template();
        if std::env::var_os("FAIRLANE_TEST_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/default.toml");
            std::fs::write(path, &template).unwrap();
        }
        assert!(
            template == DEFAULT,
            "config/default.toml is stale: FAIRLANE_TEST_BLESS=1 with this test rewrites it"
        );
    }

    #[test]
    fn the_file_of_defaults_parses_back_to_the_defaults() {
        let shown = |config: Config| config.show().into_iter().map(|s| (s.key, s.value)).collect::<Vec<_>>();
        assert_eq!(shown(settings().read(DEFAULT).unwrap()), shown(settings().defaults().unwrap()));
    }

    #[test]
    fn the_production_file_is_valid_and_says_only_what_differs() {
        let (production, defaults) = (settings().read(PRODUCTION).unwrap(), settings().defaults().unwrap());
        let mut different = 0;
        for (set, default) in production.show().iter().zip(&defaults.show()) {
            if set.origin != Origin::Default {
                assert_ne!(set.value, default.value, "{} does not differ from its default", set.key);
                different += 1;
            }
        }
        assert!(different > 0);
    }

    #[test]
    fn mail_goes_into_a_folder_until_a_server_is_named() {
        let mail = MailSettings::read(&settings().defaults().unwrap()).unwrap();
        assert!(matches!(mail.transport, MailTransport::Folder(folder) if folder.ends_with("outbox")));
        let error = settings().read("[mail]\ntransport = \"smtp\"").unwrap_err();
        assert_eq!(error.to_string(), "mail.transport: smtp needs mail.smtp_host (file fairlane.toml:2)");
        let text = "[mail]\ntransport = \"smtp\"\nsmtp_host = \"localhost\"\nsmtp_tls = \"none\"";
        let mail = MailSettings::read(&settings().read(text).unwrap()).unwrap();
        let MailTransport::Smtp(smtp) = mail.transport else { panic!("not smtp") };
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.tls), ("localhost", 587, SmtpTls::None));
    }

    #[test]
    fn a_sender_that_is_no_address_is_an_error_of_the_configuration() {
        let error = settings().read("[mail]\nfrom = \"nobody\"").unwrap_err().to_string();
        assert!(error.starts_with("mail.from: \"nobody\" is no sender") && error.ends_with(":2)"), "{error}");
        assert!(settings().read("[mail]\nfrom = \"Acme <billing@example.com>\"").is_ok());
    }

    #[test]
    fn links_in_mails_lead_to_the_web_and_the_one_that_stops_them_names_its_reader() {
        let error = |text: &str| settings().read(&format!("[mail]\n{text}")).unwrap_err().to_string();
        assert!(error("app_url = \"app.example.com\"").contains("https://"));
        assert!(error("unsubscribe_url = \"https://example.com/stop\"").contains("{token}"));
        assert!(error("unsubscribe_url = \"http://example.com/{token}\"").contains("https://"));
        assert!(settings().read("[mail]\nunsubscribe_url = \"https://example.com/{token}\"").is_ok());
    }

    #[test]
    fn a_password_is_not_sent_in_the_clear_nor_printed() {
        let text = "[mail]\ntransport = \"smtp\"\nsmtp_host = \"h\"\nsmtp_username = \"ana\"\nsmtp_password = \"hunter2\"\n";
        let config = settings().read(text).unwrap();
        let printed = format!("{config:?} {:?} {:?}", config.show(), MailSettings::read(&config).unwrap());
        assert!(!printed.contains("hunter2"), "{printed}");
        let error = settings().read(&format!("{text}smtp_tls = \"none\"")).unwrap_err();
        assert!(error.to_string().contains("in the clear"));
    }

    #[test]
    fn imports_are_limited_by_default() {
        let import = ImportSettings::read(&settings().defaults().unwrap()).unwrap();
        assert_eq!((import.max_bytes, import.max_rows, import.chunk_rows), (100_000_000, 1_000_000, 500));
    }
}
