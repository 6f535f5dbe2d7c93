//! A WebSocket and VNC client by hand, which can break every rule on purpose.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::lab::Lab;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `vncproxy` answered.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) port: String,
    pub(crate) ticket: String,
    pub(crate) password: String,
    pub(crate) upid: Value,
    pub(crate) data: Value,
}

impl Opened {
    /// Reads an answer, by the rule that fits all versions.
    pub(crate) fn of(data: Value) -> Self {
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        let ticket = text("ticket").unwrap();
        Self {
            port: text("port").unwrap_or_else(|| data["port"].to_string()),
            password: text("password").unwrap_or_else(|| ticket.clone()),
            ticket,
            upid: data["upid"].clone(),
            data,
        }
    }

    pub(crate) fn path(&self, node: &str, vmid: u32) -> String {
        let mut escaped = String::new();
        for byte in self.ticket.bytes() {
            write!(escaped, "%{byte:02X}").unwrap();
        }
        format!(
            "/api2/json/nodes/{node}/qemu/{vmid}/vncwebsocket?port={}&vncticket={escaped}",
            self.port
        )
    }
}

/// Opens a port.
pub(crate) async fn ticket(lab: &Lab, node: &str, vmid: u32) -> Opened {
    let path = format!("/nodes/{node}/qemu/{vmid}/vncproxy");
    Opened::of(lab.post(&path, &[("websocket", "1")]).await.data())
}

/// The answer to a handshake.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) status: u16,
    pub(crate) head: String,
}

/// One end of a WebSocket.
pub(crate) struct Viewer {
    stream: TlsStream<TcpStream>,
    /// Payload that was received and not yet read.
    inbox: Vec<u8>,
    pub(crate) pongs: Vec<Vec<u8>>,
    pub(crate) largest_frame: usize,
}

pub(crate) const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n";

impl Viewer {
    /// Connects to a host and sends a request with these header lines; `None` if there is no answer.
    pub(crate) async fn ask(
        lab: &Lab,
        host: SocketAddr,
        path: &str,
        headers: &str,
    ) -> Option<(Self, Greeting)> {
        let mut roots = rustls::RootCertStore::empty();
        let pem = lab.handle.certificate_pem();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(host).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let viewer = Self {
            stream,
            inbox: Vec::new(),
            pongs: Vec::new(),
            largest_frame: 0,
        };
        Some((viewer, Greeting { status, head }))
    }

    /// Connects with a ticket and a token.
    pub(crate) async fn connect(lab: &Lab, node: &str, vmid: u32, ticket: &Opened, token: &str) -> Self {
        let headers = format!("Authorization: {token}\r\n{HANDSHAKE}");
        let path = ticket.path(node, vmid);
        let (viewer, greeting) = Self::ask(lab, lab.handle.addr(), &path, &headers).await.unwrap();
        assert_eq!(greeting.status, 101, "{}", greeting.head);
        viewer
    }

    /// Sends a frame with any first byte and mask bit.
    pub(crate) async fn frame(&mut self, first: u8, masked: bool, payload: &[u8]) {
        let mut out = vec![first];
        let bit = if masked { 0x80 } else { 0 };
        if payload.len() < 126 {
            out.push(bit | u8::try_from(payload.len()).unwrap());
        } else {
            out.push(bit | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
        let mask = if masked { [1, 2, 3, 4] } else { [0; 4] };
        if masked {
            out.extend(mask);
        }
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        // A server that has already cut the connection is what some tests wait for.
        let _ = self.stream.write_all(&out).await;
        let _ = self.stream.flush().await;
    }

    /// Sends data.
    pub(crate) async fn say(&mut self, payload: &[u8]) {
        self.frame(0x82, true, payload).await;
    }

    /// Receives one frame; `false` at the end of the connection.
    pub(crate) async fn receive(&mut self) -> bool {
        let received = tokio::time::timeout(PATIENCE, async {
            let first = self.stream.read_u8().await.ok()?;
            let length = match self.stream.read_u8().await.ok()? {
                126 => usize::from(self.stream.read_u16().await.ok()?),
                127 => usize::try_from(self.stream.read_u64().await.ok()?).unwrap(),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some((first, payload))
        });
        let Some((first, payload)) = received.await.unwrap() else {
            return false;
        };
        self.largest_frame = self.largest_frame.max(payload.len());
        match first {
            0x82 => self.inbox.extend(payload),
            0x8A => self.pongs.push(payload),
            other => panic!("a frame that begins with {other:#x}"),
        }
        true
    }

    /// All that comes until the connection ends, as it is.
    pub(crate) async fn read_raw(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut out));
        // Ending without a farewell is no error here.
        let _ = read.await.unwrap();
        out
    }

    /// Reads some bytes; fewer when the connection ends before.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.inbox.len() < count && self.receive().await {}
        let end = count.min(self.inbox.len());
        self.inbox.drain(..end).collect()
    }

    pub(crate) async fn read_u16(&mut self) -> u16 {
        u16::from_be_bytes(self.read(2).await.try_into().unwrap())
    }

    pub(crate) async fn read_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.read(4).await.try_into().unwrap())
    }

    /// Whether the connection ends, whatever is still sent before.
    pub(crate) async fn ends(&mut self) -> bool {
        while self.receive().await {}
        true
    }

    /// Speaks the protocol up to the answer to the challenge; gives the server's verdict.
    pub(crate) async fn authenticate(&mut self, password: &str) -> u32 {
        assert_eq!(self.read(12).await, b"RFB 003.008\n");
        self.say(b"RFB 003.008\n").await;
        assert_eq!(self.read(2).await, [1, 2], "VNC authentication and nothing else");
        self.say(&[2]).await;
        let challenge = self.read(16).await;
        let mut key = [0_u8; 8];
        for (to, from) in key.iter_mut().zip(password.bytes()) {
            *to = from.reverse_bits();
        }
        let cipher = Des::new(&Array::from(key));
        let mut answer = Vec::new();
        for half in challenge.chunks(8) {
            let mut block = Array::try_from(half).unwrap();
            cipher.encrypt_block(&mut block);
            answer.extend_from_slice(&block);
        }
        self.say(&answer).await;
        self.read_u32().await
    }

    /// The whole beginning; gives width, height and name.
    pub(crate) async fn begin(&mut self, password: &str) -> (u16, u16, String) {
        assert_eq!(self.authenticate(password).await, 0);
        self.say(&[1]).await;
        let (width, height) = (self.read_u16().await, self.read_u16().await);
        self.read(16).await;
        let length = self.read_u32().await;
        let name = self.read(usize::try_from(length).unwrap()).await;
        (width, height, String::from_utf8(name).unwrap())
    }

    /// Asks for pixels of one byte, so that pictures are easy to look at.
    pub(crate) async fn small_pixels(&mut self) {
        self.say(&[0, 0, 0, 0, 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6, 0, 0, 0])
            .await;
    }

    pub(crate) async fn encodings(&mut self, list: &[i32]) {
        let mut out = vec![2, 0];
        out.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
        for encoding in list {
            out.extend(encoding.to_be_bytes());
        }
        self.say(&out).await;
    }

    pub(crate) async fn request(&mut self, incremental: bool, size: (u16, u16)) {
        let mut out = vec![3, u8::from(incremental), 0, 0, 0, 0];
        out.extend(size.0.to_be_bytes());
        out.extend(size.1.to_be_bytes());
        self.say(&out).await;
    }

    /// One update in small pixels: places and encodings of its rectangles, and whether anything is lit in them.
    pub(crate) async fn update(&mut self) -> Vec<([u16; 4], i32, bool)> {
        assert_eq!(self.read(2).await, [0, 0], "an update");
        let mut out = Vec::new();
        for _ in 0..self.read_u16().await {
            let place = [
                self.read_u16().await,
                self.read_u16().await,
                self.read_u16().await,
                self.read_u16().await,
            ];
            let encoding = self.read_u32().await.cast_signed();
            let lit = match encoding {
                0 => {
                    let pixels = usize::from(place[2]) * usize::from(place[3]);
                    self.read(pixels).await.iter().any(|pixel| *pixel != 0)
                }
                6 => {
                    let length = self.read_u32().await;
                    !self.read(usize::try_from(length).unwrap()).await.is_empty()
                }
                -308 => {
                    let screens = self.read(4).await[0];
                    self.read(16 * usize::from(screens)).await;
                    false
                }
                _ => false,
            };
            out.push((place, encoding, lit));
        }
        out
    }

    pub(crate) async fn key(&mut self, keysym: u32) {
        for down in [1, 0] {
            let mut out = vec![4, down, 0, 0];
            out.extend(keysym.to_be_bytes());
            self.say(&out).await;
        }
    }

    /// Types a line and Enter.
    pub(crate) async fn line(&mut self, text: &str) {
        for character in text.chars() {
            self.key(u32::from(character)).await;
        }
        self.key(0xFF0D).await;
    }
}
