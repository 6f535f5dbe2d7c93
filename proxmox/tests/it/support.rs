//! A very small HTTPS server that answers from a function and remembers what it was asked.
//!
//! It speaks just enough HTTP/1.1 by hand to send what a well-behaved library would not: any reason phrase,
//! half an answer, none at all.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portico_proxmox::{
    ApiToken, Client, ClusterConfig, Fingerprint, NoObserver, Secret, Timeouts, Trust, Upid, Vm, VmId,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// The id of a task as PVE would give it.
pub(crate) const UPID: &str = "UPID:pve1:000F4A3C:01234567:68A5B0C1:qmstart:100:panel@pve!portico:";
/// An answer of `/version`.
pub(crate) const VERSION: &str = r#"{"data":{"version":"9.2.11","release":"9.2","repoid":"14a22df"}}"#;
/// A list of one VM, 100, on node `pve1`.
pub(crate) const ON_PVE1: &str =
    r#"{"data":[{"id":"qemu/100","type":"qemu","vmid":100,"node":"pve1","status":"running"}]}"#;
/// The same on node `pve2`.
pub(crate) const ON_PVE2: &str =
    r#"{"data":[{"id":"qemu/100","type":"qemu","vmid":100,"node":"pve2","status":"running"}]}"#;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and target, such as `GET /api2/json/version`.
    pub(crate) line: String,
    /// Header names in lower case.
    pub(crate) headers: HashMap<String, String>,
    /// The body.
    pub(crate) body: String,
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with status, reason phrase and body.
    Send(u16, String, String),
    /// Answers when the gate gives a permit.
    Gate(Arc<Semaphore>, String),
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Sends these bytes and nothing more, and keeps the connection.
    Stall(Vec<u8>),
    /// Closes the connection without a word.
    Cut,
    /// Never answers.
    Hang,
}

pub(crate) fn ok(body: &str) -> Reply {
    Reply::Send(200, "OK".to_owned(), body.to_owned())
}

/// An answer of [`UPID`].
pub(crate) fn task_answer() -> String {
    format!(r#"{{"data":"{UPID}"}}"#)
}

/// A failure as PVE sends it now: the text in the body and, its first line, in the status line.
pub(crate) fn fail(status: u16, text: &str) -> Reply {
    let body = serde_json::json!({ "data": null, "message": format!("{text}\n") }).to_string();
    Reply::Send(status, text.lines().next().unwrap_or_default().to_owned(), body)
}

/// A failure without a body, as older versions and the proxy send it.
pub(crate) fn bare(status: u16, phrase: &str) -> Reply {
    Reply::Send(status, phrase.to_owned(), String::new())
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// One that signs itself, as a single node's would be seen by a client that does not know the authority.
    pub(crate) fn alone() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            key: key.into(),
        }
    }

    /// One that is signed by a new authority, whose PEM comes with it.
    pub(crate) fn with_authority() -> (Self, String) {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = root.self_signed(&root_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        (
            Self {
                certificate: certificate.der().clone(),
                key: key.into(),
            },
            pem,
        )
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(self.certificate.as_ref());
        let mut text = String::new();
        for byte in digest {
            write!(text, "{byte:02x}").unwrap();
        }
        text.parse().unwrap()
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

/// A running server. It ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
    seen: Arc<Seen>,
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(Identity::alone(), handler).await
    }

    /// One that gives each request the first reply whose text is in its method and target.
    pub(crate) async fn routed(replies: Vec<(&'static str, Reply)>) -> Self {
        Self::start(move |request| {
            let reply = replies.iter().find(|(text, _)| request.line.contains(text));
            reply.map_or_else(|| bare(501, "not in this test"), |(_, reply)| reply.clone())
        })
        .await
    }

    pub(crate) async fn start_as(
        identity: Identity,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let fingerprint = identity.fingerprint();
        let signer = rustls::crypto::ring::sign::any_supported_type(&identity.key).unwrap();
        // Not checked here whether key and certificate belong together: one test wants them not to.
        let certified = CertifiedKey::new(vec![identity.certificate], signer);
        let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certified));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (handler, for_task): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handler, seen) =
                    (acceptor.clone(), Arc::clone(&handler), Arc::clone(&for_task));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &*handler, &seen).await;
                    }
                });
            }
        });
        Self {
            address,
            fingerprint,
            seen,
        }
    }

    /// Method and target of every request so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// How many requests wait at a gate now.
    pub(crate) fn waiting(&self) -> usize {
        self.seen.waiting.load(Ordering::SeqCst)
    }

    /// How many requests ever waited at a gate together.
    pub(crate) fn most_waiting(&self) -> usize {
        self.seen.most_waiting.load(Ordering::SeqCst)
    }

    /// A client that has only this endpoint and trusts its certificate.
    pub(crate) fn client(&self) -> Client {
        client(config(&[self]))
    }
}

/// A server that has VM 100 on `pve1` and gives one answer to all else.
pub(crate) async fn serving(reply: Reply) -> (Server, Vm) {
    let server = Server::routed(vec![("/cluster/resources", ok(ON_PVE1)), ("", reply.clone())]).await;
    let vm = server.client().vm(vmid());
    (server, vm)
}

/// The last request's line and body, without the path that all have in common.
pub(crate) fn last(server: &Server) -> String {
    let request = server.requests().pop().unwrap();
    let line = request.line.replace("/api2/json/nodes/pve1", "");
    if request.body.is_empty() {
        line
    } else {
        format!("{line} {}", request.body)
    }
}

pub(crate) fn data(json: &str) -> Reply {
    ok(&format!(r#"{{"data":{json}}}"#))
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, handler: &Handler, seen: &Seen) {
    while let Some(request) = read(&mut stream).await {
        seen.requests.lock().unwrap().push(request.clone());
        let (status, phrase, body) = match handler(&request) {
            Reply::Send(status, phrase, body) => (status, phrase, body),
            Reply::Gate(gate, body) => {
                let now = seen.waiting.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most_waiting.fetch_max(now, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                seen.waiting.fetch_sub(1, Ordering::SeqCst);
                (200, "OK".to_owned(), body)
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                std::future::pending().await
            }
            Reply::Cut => return,
            Reply::Hang => std::future::pending().await,
        };
        // Like PVE: errors close the connection.
        let close = if status >= 400 {
            "Connection: close\r\n"
        } else {
            ""
        };
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} {phrase}\r\nContent-Length: {length}\r\n{close}\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        if status >= 400 {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

pub(crate) fn token() -> ApiToken {
    ApiToken::new(
        "panel@pve!portico",
        Secret::new("5ec2e7ab-0000-4000-8000-123456789abc"),
    )
    .unwrap()
}

/// A config of these servers in this order, with their certificates pinned and short time-outs.
pub(crate) fn config(servers: &[&Server]) -> ClusterConfig {
    let endpoints = servers
        .iter()
        .map(|s| format!("https://{}", s.address).parse().unwrap())
        .collect();
    let pins = servers.iter().map(|s| s.fingerprint).collect();
    let mut config = ClusterConfig::new("prod", endpoints, token(), Trust::Fingerprints(pins));
    let long = Duration::from_secs(20);
    config.timeouts = Timeouts {
        connect: long,
        read: long,
        write: long,
    };
    config
}

pub(crate) fn client(config: ClusterConfig) -> Client {
    Client::new(config, Arc::new(NoObserver)).unwrap()
}

/// An address where nobody listens.
pub(crate) async fn dead_endpoint() -> url::Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    format!("https://{address}").parse().unwrap()
}

pub(crate) fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

pub(crate) fn upid() -> Upid {
    UPID.parse().unwrap()
}

/// Polls until the condition holds, for ten seconds at most.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
