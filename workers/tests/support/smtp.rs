//! A small SMTP server for tests: real TCP on a free loopback port; it answers as it is told, by address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A mail the server took.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// What MAIL FROM said.
    pub(crate) from: String,
    /// What RCPT TO said.
    pub(crate) to: Vec<String>,
    /// Headers and body.
    pub(crate) data: String,
}

/// What the server does with a recipient.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Says this to RCPT TO: `550 no such user`.
    Recipient(&'static str),
    /// Says this to RCPT TO, the first time.
    RecipientOnce(&'static str),
    /// Says this to the message.
    Message(&'static str),
    /// Says nothing to RCPT TO and keeps the line open.
    SilentToRecipient,
    /// Keeps the message, says nothing and keeps the line open.
    SilentToMessage,
    /// Keeps the message and hangs up without an answer, once.
    LoseReply,
}

/// The server; it ends with this value.
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    commands: Vec<String>,
    received: Vec<Received>,
    answers: HashMap<String, Answer>,
}

impl SmtpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let state = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move {
                    let _ = serve(stream, state).await;
                });
            }
        });
        Self { port, shared, task }
    }

    pub(crate) fn answer(&self, address: &str, answer: Answer) {
        self.shared.lock().unwrap().answers.insert(address.to_owned(), answer);
    }

    pub(crate) fn forget_answers(&self) {
        self.shared.lock().unwrap().answers.clear();
    }

    /// The words the clients began their lines with.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.lock().unwrap().commands.clone()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.lock().unwrap().received.clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, shared: Arc<Mutex<Shared>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut from, mut to) = (String::new(), Vec::<String>::new());
    write.write_all(b"220 test ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        shared.lock().unwrap().commands.push(line.split(' ').next().unwrap_or_default().to_owned());
        let (verb, argument) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let reply = match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => "250-test\r\n250 8BITMIME".to_owned(),
            "MAIL" => {
                from = address(argument);
                to.clear();
                "250 ok".into()
            }
            "RCPT" => {
                let address = address(argument);
                let answer = shared.lock().unwrap().answers.get(&address).cloned();
                to.push(address);
                match answer {
                    Some(Answer::Recipient(reply)) => reply.into(),
                    Some(Answer::SilentToRecipient) => std::future::pending().await,
                    Some(Answer::RecipientOnce(reply)) => {
                        shared.lock().unwrap().answers.remove(to.last().unwrap());
                        reply.into()
                    }
                    _ => "250 ok".into(),
                }
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut data = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    data.push_str("\r\n");
                }
                let answer = to.first().and_then(|to| shared.lock().unwrap().answers.get(to).cloned());
                if let Some(Answer::SilentToMessage) = answer {
                    std::future::pending::<()>().await;
                }
                match take(&shared, Received { from: from.clone(), to: to.clone(), data }) {
                    Some(reply) => reply,
                    None => return Ok(()),
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "500 what?".into(),
        };
        write.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// The reply to a message; none where the connection shall be lost.
fn take(shared: &Mutex<Shared>, mail: Received) -> Option<String> {
    let mut shared = shared.lock().unwrap();
    let recipient = mail.to.first().cloned().unwrap_or_default();
    match shared.answers.get(&recipient).cloned() {
        Some(Answer::Message(reply)) => Some(reply.into()),
        Some(Answer::LoseReply) => {
            shared.answers.remove(&recipient);
            shared.received.push(mail);
            None
        }
        _ => {
            shared.received.push(mail);
            Some("250 taken".into())
        }
    }
}

/// `FROM:<a@b> BODY=8BITMIME` is `a@b`.
fn address(argument: &str) -> String {
    argument.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
