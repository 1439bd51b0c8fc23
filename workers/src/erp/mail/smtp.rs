//! Mails through an SMTP server: one connection for each mail, so that the step an error belongs to is known.

use std::time::Duration;

use futures::future::BoxFuture;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::{Error, response::Response};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;

use super::{Handover, Mail, MailError, Mailer, Receipt};
use crate::erp::settings::{SmtpSettings, SmtpTls};

/// How long the server may take for each part.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// The connection and its handshake.
    connect: Duration,
    /// Everything up to the message, the connection included.
    dialogue: Duration,
    /// The message and the answer to it, which scanners may delay.
    message: Duration,
}

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    dialogue: Duration::from_secs(20),
    message: Duration::from_secs(30),
};

/// Hands mails over to an SMTP server.
#[derive(Debug)]
pub struct SmtpMailer {
    settings: SmtpSettings,
    patience: Patience,
}

impl SmtpMailer {
    /// Connects with the first mail.
    pub fn new(settings: SmtpSettings) -> Self {
        Self { settings, patience: PATIENCE }
    }

    /// The same with less patience: this long for each part of the dialogue.
    pub fn within(mut self, time: Duration) -> Self {
        self.patience = Patience { connect: time, dialogue: time, message: time };
        self
    }

    /// What the log and the delivery say when nothing comes.
    fn late(&self, stage: &str) -> String {
        format!("{}:{}: no answer {stage}", self.settings.host, self.settings.port)
    }

    async fn within_patience(&self, mail: &Mail) -> Result<AsyncSmtpConnection, MailError> {
        let prepared = tokio::time::timeout(self.patience.dialogue, self.talk(mail)).await;
        prepared.map_err(|_| MailError::Unavailable(self.late("before the message")))?
    }

    /// Connects and talks up to the point where the server waits for the message.
    async fn talk(&self, mail: &Mail) -> Result<AsyncSmtpConnection, MailError> {
        let mut connection = self.connect().await?;
        let options = mail_options(&connection, mail)?;
        let sender = MailFrom::new(mail.envelope.from().cloned(), options);
        connection.command(sender).await.map_err(before_recipient)?;
        for recipient in mail.envelope.to() {
            let taken = connection.command(Rcpt::new(recipient.clone(), Vec::new())).await;
            taken.map_err(|error| recipient_refused(recipient.as_ref(), &error))?;
        }
        connection.command(Data).await.map_err(|error| match error.is_permanent() {
            true => MailError::MessageRefused(explain(&error)),
            false => MailError::Unavailable(explain(&error)),
        })?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let SmtpSettings { login, tls, .. } = &self.settings;
        let hello = ClientId::default();
        let mut connection = match tls {
            SmtpTls::Tls => self.connect_encrypted(&hello).await?,
            SmtpTls::Starttls | SmtpTls::None => self.connect_plain(&hello).await?,
        };
        if *tls == SmtpTls::Starttls {
            connection.starttls(self.encryption().await?, &hello).await.map_err(before_recipient)?;
        }
        if let Some((name, password)) = login {
            let credentials = Credentials::new(name.clone(), password.expose_secret().to_owned());
            let answer = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            answer.map_err(|error| login_refused(name, error))?;
        }
        Ok(connection)
    }

    async fn connect_encrypted(&self, hello: &ClientId) -> Result<AsyncSmtpConnection, MailError> {
        let server = (self.settings.host.as_str(), self.settings.port);
        let (patience, encryption) = (Some(self.patience.connect), Some(self.encryption().await?));
        let connected = AsyncSmtpConnection::connect_tokio1(server, patience, hello, encryption, None).await;
        connected.map_err(before_recipient)
    }

    /// Without delay: a message and the dot that ends it are two writes, and the second would wait for the server to
    /// acknowledge the first: 40 ms for each mail, and 60 mails a second by four connections instead of 405.
    async fn connect_plain(&self, hello: &ClientId) -> Result<AsyncSmtpConnection, MailError> {
        let server = (self.settings.host.as_str(), self.settings.port);
        let unreachable = |why: String| MailError::Unavailable(format!("{}:{}: {why}", server.0, server.1));
        let connected = tokio::time::timeout(self.patience.connect, TcpStream::connect(server)).await;
        let stream = connected
            .map_err(|_| unreachable("no connection in time".into()))?
            .map_err(|why| unreachable(why.to_string()))?;
        stream.set_nodelay(true).map_err(|why| unreachable(why.to_string()))?;
        let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await;
        greeted.map_err(before_recipient)
    }

    /// Whom to trust: the public authorities, and the one of the settings.
    async fn encryption(&self) -> Result<TlsParameters, MailError> {
        let mut builder = TlsParameters::builder(self.settings.host.clone());
        if let Some(file) = &self.settings.ca_file {
            let unusable = |why: String| {
                MailError::ServerRefused(format!("mail.smtp_ca_file {}: {why}", file.display()))
            };
            let pem = tokio::fs::read(file).await.map_err(|why| unusable(why.to_string()))?;
            let authority = Certificate::from_pem(&pem).map_err(|why| unusable(explain(&why)))?;
            builder = builder.add_root_certificate(authority);
        }
        builder.build().map_err(before_recipient)
    }
}

/// The server's words do not say which login it was.
fn login_refused(name: &str, error: Error) -> MailError {
    match before_recipient(error) {
        MailError::ServerRefused(why) => MailError::ServerRefused(format!(
            "the login \"{name}\" was refused: {why}; see mail.smtp_username and mail.smtp_password"
        )),
        other => other,
    }
}

impl Mailer for SmtpMailer {
    fn prepare<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Box<dyn Handover<'a> + 'a>, MailError>> {
        Box::pin(async move {
            let connection = self.within_patience(mail).await?;
            Ok(Box::new(Ready { connection, mailer: self, mail }) as Box<dyn Handover<'a> + 'a>)
        })
    }
}

/// A connection whose server waits for the message.
struct Ready<'a> {
    connection: AsyncSmtpConnection,
    mailer: &'a SmtpMailer,
    mail: &'a Mail,
}

impl Ready<'_> {
    async fn hand_over(mut self) -> Result<Receipt, MailError> {
        let patience = self.mailer.patience.message;
        let answer = tokio::time::timeout(patience, self.connection.message(&self.mail.bytes)).await;
        let answer = answer.map_err(|_| MailError::Uncertain(self.mailer.late("to the message")))?;
        let receipt = answer.map(|response| Receipt { reply: words(&response) }).map_err(after_message)?;
        // The mail is out; how the server says goodbye does not matter.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.connection.quit()).await;
        Ok(receipt)
    }
}

impl<'a> Handover<'a> for Ready<'a> {
    fn hand_over(self: Box<Self>) -> BoxFuture<'a, Result<Receipt, MailError>> {
        Box::pin(Self::hand_over(*self))
    }
}

fn mail_options(connection: &AsyncSmtpConnection, mail: &Mail) -> Result<Vec<MailParameter>, MailError> {
    let server = connection.server_info();
    let mut options = Vec::new();
    let sender: &str = mail.envelope.from().map(AsRef::as_ref).unwrap_or_default();
    if !sender.is_ascii() || !mail.recipient().is_ascii() {
        if !server.supports_feature(Extension::SmtpUtfEight) {
            let why = format!("\"{}\": the mail server takes ASCII addresses only", mail.recipient());
            return Err(MailError::AddressInvalid(why));
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if !mail.bytes.is_ascii() {
        if !server.supports_feature(Extension::EightBitMime) {
            return Err(MailError::MessageRefused("the mail server takes ASCII messages only".into()));
        }
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(options)
}

/// A refusal of a recipient is about the address, unless the server says that it is about us: a login that is missing
/// (530 and the like), or its policy (X.7.X: no relaying, we are on somebody's list). Those must not suppress addresses.
fn recipient_refused(recipient: &str, error: &Error) -> MailError {
    let said = format!("\"{recipient}\": {}", explain(error));
    let code = error.status().map(|code| code.to_string()).unwrap_or_default();
    let of_policy = said.contains(" 5.7.") || said.contains("(5.7.") || said.contains(": 5.7.");
    match error.is_permanent() {
        false => MailError::Unavailable(explain(error)),
        true if matches!(code.as_str(), "530" | "534" | "535" | "538") => MailError::ServerRefused(said),
        true if of_policy => MailError::MessageRefused(said),
        true => MailError::AddressRefused(said),
    }
}

/// Before the recipient is named a refusal is no matter of this mail: somebody repairs the settings, or it heals.
fn before_recipient(error: Error) -> MailError {
    match error.is_permanent() || error.is_client() {
        true => MailError::ServerRefused(explain(&error)),
        false => MailError::Unavailable(explain(&error)),
    }
}

fn after_message(error: Error) -> MailError {
    if error.is_permanent() {
        MailError::MessageRefused(explain(&error))
    } else if error.is_transient() {
        MailError::Unavailable(explain(&error))
    } else {
        MailError::Uncertain(explain(&error))
    }
}

/// The error with its causes: the server's own words are among them.
fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

fn words(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
}
