//! Mails: what the deliveries say, against what a mail server has received.

use std::collections::BTreeMap;

use crate::facts::rows;
use crate::support::processes::Site;
use crate::support::smtp::SmtpServer;

/// Lets the workers send to this server.
pub(crate) fn send_to(site: &Site, server: &SmtpServer) {
    let settings = format!(
        "[mail]\ntransport = \"smtp\"\nsmtp_host = \"127.0.0.1\"\nsmtp_port = {}\nsmtp_tls = \"none\"\n",
        server.port
    );
    std::fs::write(site.folder.path().join("fairlane.toml"), settings).unwrap();
}

/// A mail as the observer finds it among the deliveries.
#[derive(Debug)]
struct Delivery {
    key: String,
    status: String,
    recipient: String,
    message_id: String,
}

/// How many deliveries of mails ended how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) sent: usize,
    pub(crate) uncertain: usize,
}

/// Nobody has got a mail twice: what is sent is at the server once, what is uncertain once at most, and nothing else is
/// there. Those a kill left uncertain are listed as such.
pub(crate) async fn assert_no_mail_twice(site: &Site, server: &SmtpServer) -> Ends {
    let statement = "select dedupe_key, status, coalesce(recipient, '') as recipient,
            coalesce(message_id, '') as message_id
        from notification_deliveries where channel = 'mail' and status not in ('skipped', 'suppressed')";
    let deliveries = rows(site, statement, |row| Delivery {
        key: row.get("dedupe_key").unwrap(),
        status: row.get("status").unwrap(),
        recipient: row.get("recipient").unwrap(),
        message_id: row.get("message_id").unwrap(),
    })
    .await;
    let mut arrived = BTreeMap::<String, Vec<String>>::new();
    for mail in server.received() {
        let id = mail.data.lines().find_map(|line| line.strip_prefix("Message-ID: "));
        let id = id.unwrap_or_else(|| panic!("a mail without a name: {}", mail.data)).to_owned();
        arrived.entry(id).or_default().extend(mail.to);
    }
    let mut ends = Ends::default();
    for delivery in &deliveries {
        let here = arrived.remove(&delivery.message_id).unwrap_or_default();
        match delivery.status.as_str() {
            "sent" => {
                assert_eq!(here, std::slice::from_ref(&delivery.recipient), "{}", delivery.key);
                ends.sent += 1;
            }
            "uncertain" => {
                assert!(here.len() <= 1, "{} has arrived {} times", delivery.key, here.len());
                ends.uncertain += 1;
            }
            other => panic!("{} is {other}", delivery.key),
        }
    }
    assert!(arrived.is_empty(), "mails of nobody: {arrived:?}");
    let listed =
        site.run(&["notifications", "list", "--uncertain", "--limit", "10000", "-o", "json", "-t", "acme"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), ends.uncertain, "listed as uncertain");
    ends
}
