//! Mails as files of a folder: nothing leaves the machine.

use std::path::PathBuf;

use futures::future::BoxFuture;
use uuid::Uuid;

use super::{Handover, Mail, MailError, Mailer, Receipt};

/// Writes each mail into a file named after its message id and its recipient: the same mail again replaces its file, and one
/// to somebody else has a file of its own, whatever its message id.
#[derive(Debug)]
pub struct FolderMailer {
    folder: PathBuf,
}

impl FolderMailer {
    /// The folder is made with the first mail.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of a mail with this message id to this recipient.
    pub fn file(&self, message_id: &str, recipient: &str) -> PathBuf {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '-' | '_' | '.');
        let id = message_id.trim_start_matches('<').trim_end_matches('>');
        let name: String = id.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        let to = Uuid::new_v5(&Uuid::NAMESPACE_URL, recipient.as_bytes()).simple().to_string();
        self.folder.join(format!("{}-{}.eml", name.trim_start_matches('.'), &to[..8]))
    }

    async fn write(&self, mail: &Mail) -> std::io::Result<PathBuf> {
        tokio::fs::create_dir_all(&self.folder).await?;
        let file = self.file(&mail.message_id, mail.recipient());
        // A reader of the folder sees whole mails only.
        let temporary = self.folder.join(format!(".{}.tmp", Uuid::now_v7().simple()));
        tokio::fs::write(&temporary, &mail.bytes).await?;
        match tokio::fs::rename(&temporary, &file).await {
            Ok(()) => Ok(file),
            Err(why) => {
                let _ = tokio::fs::remove_file(&temporary).await;
                Err(why)
            }
        }
    }
}

impl Mailer for FolderMailer {
    fn prepare<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<Box<dyn Handover<'a> + 'a>, MailError>> {
        let ready: Box<dyn Handover<'a> + 'a> = Box::new(Ready { mailer: self, mail });
        Box::pin(std::future::ready(Ok(ready)))
    }

    /// The same mail is the same file.
    fn forgives_repeats(&self) -> bool {
        true
    }
}

/// A mail that is to be written.
struct Ready<'a> {
    mailer: &'a FolderMailer,
    mail: &'a Mail,
}

impl<'a> Handover<'a> for Ready<'a> {
    fn hand_over(self: Box<Self>) -> BoxFuture<'a, Result<Receipt, MailError>> {
        Box::pin(async move {
            let file = self.mailer.write(self.mail).await.map_err(|why| {
                MailError::Unavailable(format!("the folder {}: {why}", self.mailer.folder.display()))
            })?;
            Ok(Receipt { reply: format!("written to {}", file.display()) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Mailbox, check_address, message_id};
    use super::*;

    fn mail(id: String) -> Mail {
        mail_to(id, "ana@example.com")
    }

    fn mail_to(id: String, address: &str) -> Mail {
        let from: Mailbox = "no-reply@localhost".parse().unwrap();
        let to = Mailbox::new(None, check_address(address).unwrap());
        let content = Content { subject: "Héllo".into(), text: "text ü".into(), html: "<p>ü</p>".into() };
        Mail::compose(id, &from, to, content, None).unwrap()
    }

    #[tokio::test]
    async fn the_same_mail_sent_twice_is_one_file_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FolderMailer::new(folder.path().join("outbox"));
        let mail = mail(message_id("key", &"a@localhost".parse().unwrap()));
        mailer.send(&mail).await.unwrap();
        mailer.send(&mail).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path().join("outbox")).unwrap().flatten().collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(mailer.file(&mail.message_id, mail.recipient())).unwrap();
        assert!(text.contains("To: ana@example.com\r\n") && text.contains("multipart/alternative"), "{text}");
        assert!(text.contains(&format!("Message-ID: {}", mail.message_id)), "{text}");
    }

    #[tokio::test]
    async fn a_mail_with_the_message_id_of_another_does_not_replace_it_when_it_goes_to_somebody_else() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FolderMailer::new(folder.path().to_owned());
        for address in ["ana@example.com", "ben@example.com"] {
            mailer.send(&mail_to("<1@localhost>".into(), address)).await.unwrap();
        }
        for address in ["ana@example.com", "ben@example.com"] {
            let text = std::fs::read_to_string(mailer.file("<1@localhost>", address)).unwrap();
            assert!(text.contains(&format!("To: {address}")), "{text}");
        }
    }

    #[test]
    fn a_message_id_cannot_lead_out_of_the_folder() {
        let mailer = FolderMailer::new(PathBuf::from("outbox"));
        for id in ["<../../etc/passwd>", "</etc/passwd>", "<..>", "<a\0b\\c>"] {
            assert_eq!(
                mailer.file(id, "../ana@b").parent().unwrap(),
                std::path::Path::new("outbox"),
                "{id:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_told_by_name_and_may_heal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = FolderMailer::new(file).send(&mail("<a@b>".into())).await.unwrap_err();
        assert!(!error.is_permanent() && error.to_string().contains("file"), "{error}");
    }
}
