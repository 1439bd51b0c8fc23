//! Mails over encrypted connections with a login: through the shipped binary, and step by step.

use std::path::Path;

use fairlane::backend_test;
use fairlane_workers::erp::mail::{Content, Mail, MailError, Mailbox, Mailer, SmtpMailer, check_address};
use fairlane_workers::erp::settings::{SmtpSettings, SmtpTls};

use crate::support::processes::Site;
use crate::support::shop::{approve, count, enter, lines, shop};
use crate::support::smtp::SmtpServer;

/// A mail to `ana@example.com` as the login `ana`.
async fn send(
    server: &SmtpServer,
    tls: SmtpTls,
    password: &str,
    ca: Option<&Path>,
) -> Result<String, MailError> {
    let login = Some(("ana".to_owned(), password.to_owned().into()));
    let ca_file = ca.map(Into::into);
    let settings = SmtpSettings { host: "127.0.0.1".into(), port: server.port, login, tls, ca_file };
    let from = "Fairlane <no-reply@localhost>".parse().unwrap();
    let to = Mailbox::new(None, check_address("ana@example.com").unwrap());
    let content = Content { subject: "Hello".into(), text: "text".into(), html: "<p>ü</p>".into() };
    let mail = Mail::compose("<1@localhost>".into(), &from, to, content, None).unwrap();
    SmtpMailer::new(settings).send(&mail).await.map(|receipt| receipt.reply)
}

backend_test!(migrations: lines;
    async fn an_invoice_goes_out_over_starttls_with_the_login_of_the_settings(t: TestDb) {
        let site = Site::new(t).await;
        let ca = site.folder.path().join("ca.pem");
        let server = SmtpServer::with_starttls(&ca).await;
        let acme = shop(&site.t).await;
        let order = enter(&acme).await;
        approve(&acme, order.id).await.unwrap();
        let mut worker = site.fairlane(&["work", "--stop-when-empty"]);
        let settings = [
            ("FAIRLANE_MAIL_TRANSPORT", "smtp"),
            ("FAIRLANE_MAIL_SMTP_HOST", "127.0.0.1"),
            ("FAIRLANE_MAIL_SMTP_PORT", &server.port.to_string()),
            ("FAIRLANE_MAIL_SMTP_TLS", "starttls"),
            ("FAIRLANE_MAIL_SMTP_CA_FILE", "ca.pem"),
            ("FAIRLANE_MAIL_SMTP_USERNAME", "ana"),
            ("FAIRLANE_MAIL_SMTP_PASSWORD", "secret"),
        ];
        worker.envs(settings);
        let ended = tokio::task::spawn_blocking(move || worker.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{ended:?}");
        let mails = server.received();
        assert_eq!(mails.len(), 1, "{said}");
        assert!(mails[0].encrypted && mails[0].data.contains("121.69 EUR"), "{:?}", mails[0]);
        assert_eq!(mails[0].login.as_deref(), Some("ana"));
        assert_eq!(server.commands(), ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]);
        let sent = "select count(*) as n from notification_deliveries where status = 'sent'";
        assert_eq!(count(&site.t, sent).await, 1);
        assert!(!said.contains("secret"), "{said}");
    }
);

#[tokio::test]
async fn a_mail_goes_out_over_a_connection_that_is_encrypted_from_the_first_byte() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let server = SmtpServer::with_tls(&ca).await;
    assert_eq!(send(&server, SmtpTls::Tls, "secret", Some(&ca)).await.unwrap(), "250 taken");
    let mail = server.received().remove(0);
    assert_eq!((mail.encrypted, mail.login.as_deref()), (true, Some("ana")));
    assert_eq!(server.commands(), ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]);
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_the_name_of_its_login_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    for (server, tls) in [
        (SmtpServer::with_starttls(&ca).await, SmtpTls::Starttls),
        (SmtpServer::with_tls(&folder.path().join("other.pem")).await, SmtpTls::Tls),
    ] {
        let ca = if tls == SmtpTls::Tls { folder.path().join("other.pem") } else { ca.clone() };
        let error = send(&server, tls, "wrong-password", Some(&ca)).await.unwrap_err();
        assert_eq!((error.code(), error.is_permanent()), ("mail_server_refused", false));
        let error = error.to_string();
        for part in ["the login \"ana\" was refused", "authentication failed", "mail.smtp_password"] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
        assert!(!error.contains("wrong-password"), "{error}");
        assert!(server.received().is_empty());
    }
}

#[tokio::test]
async fn a_server_whose_authority_is_not_trusted_gets_neither_password_nor_mail() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let starttls = SmtpServer::with_starttls(&ca).await;
    let tls = SmtpServer::with_tls(&folder.path().join("other.pem")).await;
    for error in [
        send(&starttls, SmtpTls::Starttls, "secret", None).await.unwrap_err(),
        send(&tls, SmtpTls::Tls, "secret", Some(&ca)).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(!error.is_permanent());
    }
    let missing = send(&tls, SmtpTls::Tls, "secret", Some(Path::new("missing.pem"))).await.unwrap_err();
    assert!(missing.to_string().contains("mail.smtp_ca_file missing.pem"), "{missing}");
    let heard = [starttls.commands(), tls.commands()].concat();
    assert!(!heard.iter().any(|command| command == "AUTH" || command == "MAIL"), "{heard:?}");
}
