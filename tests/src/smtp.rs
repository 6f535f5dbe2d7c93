//! A mail server: what the panel's SMTP talks to, with everything it was told.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A mail as the server got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The message, its lines joined by `\n`, without the dots that were put in for the way.
    pub message: String,
}

impl Letter {
    /// The values of all headers of a name, unfolded.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let head = self
            .message
            .split_once("\n\n")
            .map_or(self.message.as_str(), |(head, _)| head);
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        unfolded
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    /// The body as it was sent.
    pub fn body(&self) -> &str {
        self.message.split_once("\n\n").map_or("", |(_, body)| body)
    }
}

/// A server without TLS on this machine. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    port: u16,
    taken: Arc<Mutex<Vec<Letter>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(0).await
    }

    /// Starts on a port; 0 is a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_at(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let taken = Arc::<Mutex<Vec<Letter>>>::default();
        let kept = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    // A connection that breaks off is the other side's to notice.
                    let _ = talk(stream, &kept).await;
                });
            }
        });
        Ok(Self { port, taken, task })
    }

    /// The `[mail]` section of a panel that sends to the server on `port`.
    pub fn section(port: u16) -> String {
        format!(
            "transport = \"smtp\"\nretry_secs = 1\nsmtp = {{ host = \"127.0.0.1\", port = {port}, security = \"plain\" }}"
        )
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mails it has acknowledged, in that order.
    pub fn letters(&self) -> Vec<Letter> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One conversation (RFC 5321), as far as a client needs it.
async fn talk(stream: TcpStream, taken: &Mutex<Vec<Letter>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink.example ESMTP\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let text = line.trim_end();
        let verb = text.get(..4).unwrap_or(text).to_ascii_uppercase();
        let address = || {
            text.split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'))
                .map_or_else(String::new, |(address, _)| address.to_owned())
        };
        let answer: &[u8] = match verb.as_str() {
            "EHLO" | "HELO" => b"250-sink.example\r\n250 8BITMIME\r\n",
            "MAIL" => {
                from = address();
                to = Vec::new();
                b"250 ok\r\n"
            }
            "RCPT" => {
                to.push(address());
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let message = message(&mut stream).await?;
                let letter = Letter {
                    from: std::mem::take(&mut from),
                    to: std::mem::take(&mut to),
                    message,
                };
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
                b"250 taken\r\n"
            }
            "RSET" | "NOOP" => b"250 ok\r\n",
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"500 what\r\n",
        };
        stream.write_all(answer).await?;
    }
}

async fn message(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut message = String::new();
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.strip_suffix("\r\n").unwrap_or(&line);
        if text == "." {
            return Ok(message);
        }
        message.push_str(text.strip_prefix('.').unwrap_or(text));
        message.push('\n');
    }
}
