//! A mail server that takes everything and forgets it, but for addresses that begin with `bad-`. Mails to addresses that begin
//! with `invoice-` are counted; it thinks about all others for as long as it is told to.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The server; it ends with this value.
pub(super) struct Sink {
    pub(super) port: u16,
    /// How many mails to addresses that begin with `invoice-` have come.
    pub(super) invoices: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Sink {
    /// On a free port of this machine; it keeps each mail for a while before it answers.
    pub(super) async fn start(think: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (counted, invoices) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = counted.clone();
                tokio::spawn(async move {
                    // A client that hangs up has seen enough.
                    let _ = converse(stream, think, &counted).await;
                });
            }
        });
        Ok(Self { port, invoices, task })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(stream: TcpStream, think: Duration, invoices: &watch::Sender<u64>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink\r\n").await?;
    let (mut line, mut is_invoice) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let reply: &[u8] = match line.get(..4).unwrap_or_default() {
            "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
            "RCPT" if line.contains("<bad-") => b"550 5.1.1 no such user\r\n",
            "RCPT" => {
                is_invoice = line.contains("<invoice-");
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line.trim_end() == "." {
                        break;
                    }
                }
                match is_invoice {
                    true => invoices.send_modify(|count| *count += 1),
                    false => tokio::time::sleep(think).await,
                }
                b"250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(reply).await?;
    }
}
