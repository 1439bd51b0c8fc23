//! A small SMTP server for tests: real TCP on a free loopback port; it answers as it is told, by address.

mod tls;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use tls::Tls;

/// What AUTH PLAIN says for the login `ana` with the password `secret`.
const ANA_WITH_SECRET: &str = "PLAIN AGFuYQBzZWNyZXQ=";

/// A mail the server took.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// What MAIL FROM said.
    pub(crate) from: String,
    /// What RCPT TO said.
    pub(crate) to: Vec<String>,
    /// Headers and body.
    pub(crate) data: String,
    /// Whether the connection was encrypted.
    pub(crate) encrypted: bool,
    /// Who had logged in.
    pub(crate) login: Option<String>,
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
    /// Keeps the message, and answers once it is told to.
    HoldReply,
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
    /// How often a client was left waiting for an answer to RCPT TO.
    held: usize,
    /// Lets a held answer go.
    release: Arc<Notify>,
    /// How long it keeps a message before it answers.
    think: Duration,
}

impl SmtpServer {
    /// Without encryption and logins.
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// With STARTTLS; takes mails of the login `ana` (`secret`) only. Its authority's certificate is written to `ca`.
    pub(crate) async fn with_starttls(ca: &Path) -> Self {
        Self::listen(Some(Tls::new(ca, false))).await
    }

    /// As [`SmtpServer::with_starttls`], encrypted from the first byte.
    pub(crate) async fn with_tls(ca: &Path) -> Self {
        Self::listen(Some(Tls::new(ca, true))).await
    }

    async fn listen(tls: Option<Tls>) -> Self {
        let tls = tls.map(Arc::new);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let state = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (state.clone(), tls.clone());
                tokio::spawn(async move {
                    let _ = converse(stream, tls, state).await;
                });
            }
        });
        Self { port, shared, task }
    }

    pub(crate) fn answer(&self, address: &str, answer: Answer) {
        self.shared.lock().unwrap().answers.insert(address.to_owned(), answer);
    }

    /// From now on it keeps each message for a while before it answers.
    pub(crate) fn think(&self, time: Duration) {
        self.shared.lock().unwrap().think = time;
    }

    pub(crate) fn forget_answers(&self) {
        self.shared.lock().unwrap().answers.clear();
    }

    /// The words the clients began their lines with.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.lock().unwrap().commands.clone()
    }

    /// How often a client was left waiting for an answer to RCPT TO.
    pub(crate) fn held(&self) -> usize {
        self.shared.lock().unwrap().held
    }

    /// Lets an answer go that was held back.
    pub(crate) fn release(&self) {
        self.shared.lock().unwrap().release.notify_one();
    }

    /// Waits until clients have said a word so often.
    pub(crate) async fn until_said(&self, word: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.commands().iter().filter(|said| *said == word).count() < times {
            assert!(Instant::now() < deadline, "{word} was not said {times} times: {:?}", self.commands());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the server has taken so many mails.
    pub(crate) async fn until_received(&self, mails: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.received().len() < mails {
            assert!(Instant::now() < deadline, "{} mails, not {mails}", self.received().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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

/// One connection, from the greeting on.
async fn converse(stream: TcpStream, tls: Option<Arc<Tls>>, shared: Arc<Mutex<Shared>>) -> io::Result<()> {
    let mut dialogue = Dialogue { shared, ..Dialogue::default() };
    let Some(tls) = tls else {
        return dialogue.hold(stream, Some("220 test ESMTP")).await.map(drop);
    };
    dialogue.wants_login = true;
    let mut greeting = Some("220 test ESMTP");
    let stream = match tls.from_the_start {
        true => stream,
        false => {
            dialogue.offers_starttls = true;
            match dialogue.hold(stream, greeting.take()).await? {
                Some(stream) => stream,
                None => return Ok(()),
            }
        }
    };
    dialogue.encrypted = true;
    dialogue.offers_starttls = false;
    dialogue.hold(tls.acceptor.accept(stream).await?, greeting).await.map(drop)
}

/// What is said on one connection.
#[derive(Default)]
struct Dialogue {
    shared: Arc<Mutex<Shared>>,
    offers_starttls: bool,
    encrypted: bool,
    wants_login: bool,
    login: Option<String>,
    from: String,
    to: Vec<String>,
}

impl Dialogue {
    /// Talks until the client goes; gives the stream back when the client wants to encrypt it.
    async fn hold<S>(&mut self, stream: S, greeting: Option<&str>) -> io::Result<Option<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        if let Some(greeting) = greeting {
            say(&mut stream, greeting).await?;
        }
        while let Some(line) = hear(&mut stream).await? {
            let (verb, argument) = line.split_once(' ').unwrap_or((line.as_str(), ""));
            self.shared.lock().unwrap().commands.push(verb.to_owned());
            let reply = match verb.to_ascii_uppercase().as_str() {
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    let data = hear_message(&mut stream).await?;
                    match self.message(data).await {
                        Some(reply) => reply,
                        None => return Ok(None),
                    }
                }
                "STARTTLS" if self.offers_starttls => {
                    say(&mut stream, "220 go on").await?;
                    return Ok(Some(stream.into_inner()));
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return Ok(None);
                }
                verb => self.answer(verb, argument).await,
            };
            say(&mut stream, &reply).await?;
        }
        Ok(None)
    }

    async fn answer(&mut self, verb: &str, argument: &str) -> String {
        match verb {
            "EHLO" | "HELO" if self.offers_starttls => "250-test\r\n250-STARTTLS\r\n250 8BITMIME".into(),
            "EHLO" | "HELO" if self.wants_login => "250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME".into(),
            "EHLO" | "HELO" => "250-test\r\n250 8BITMIME".into(),
            "AUTH" if self.encrypted && argument == ANA_WITH_SECRET => {
                self.login = Some("ana".into());
                "235 2.7.0 welcome".into()
            }
            "AUTH" => "535 5.7.8 authentication failed".into(),
            "MAIL" if self.wants_login && self.login.is_none() => "530 5.7.0 authenticate first".into(),
            "MAIL" => {
                self.from = address(argument);
                self.to.clear();
                "250 ok".into()
            }
            "RCPT" => self.recipient(address(argument)).await,
            _ => "500 what?".into(),
        }
    }

    async fn recipient(&mut self, address: String) -> String {
        let answer = self.shared.lock().unwrap().answers.get(&address).cloned();
        self.to.push(address);
        match answer {
            Some(Answer::Recipient(reply)) => reply.into(),
            Some(Answer::SilentToRecipient) => {
                self.shared.lock().unwrap().held += 1;
                std::future::pending().await
            }
            Some(Answer::RecipientOnce(reply)) => {
                self.shared.lock().unwrap().answers.remove(self.to.last().unwrap());
                reply.into()
            }
            _ => "250 ok".into(),
        }
    }

    /// The reply to a message; none where the connection shall be lost.
    async fn message(&self, data: String) -> Option<String> {
        let answer = self.to.first().and_then(|to| self.shared.lock().unwrap().answers.get(to).cloned());
        if let Some(Answer::SilentToMessage) = &answer {
            std::future::pending::<()>().await;
        }
        let (from, to, login) = (self.from.clone(), self.to.clone(), self.login.clone());
        let reply = take(&self.shared, Received { from, to, data, encrypted: self.encrypted, login });
        if let Some(Answer::HoldReply) = &answer {
            let release = self.shared.lock().unwrap().release.clone();
            release.notified().await;
        }
        let think = self.shared.lock().unwrap().think;
        tokio::time::sleep(think).await;
        reply
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), reply: &str) -> io::Result<()> {
    stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// The next line without its end; none when the client has gone.
async fn hear(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The whole message; a client that goes before its end has sent none.
async fn hear_message(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut data = String::new();
    loop {
        let line = hear(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line == "." {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
        data.push_str("\r\n");
    }
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
