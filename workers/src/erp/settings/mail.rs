//! The section `mail`.

use std::path::PathBuf;

use fairlane::config::{Config, ConfigError, Kind, Problem, Setting};
use lettre::message::Mailbox;
use secrecy::SecretString;

use super::problem;

/// The section `mail`.
pub(super) const SETTINGS: &[Setting] = &[
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
];

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

/// What only several of them together can get wrong.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mail = match MailSettings::read(config) {
        Ok(mail) => mail,
        Err(error) => return error.problems().to_vec(),
    };
    let mut problems = mail.check_urls(config);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erp::settings::settings;

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
}
