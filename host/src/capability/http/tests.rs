//! Requests to a server on this machine that does what hostile servers do.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portico_runtime::bindings::CapabilityError;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::secret::{Sealer, SealingKey, SeededEntropy};

/// What the server answers, by the path of the request.
type Answer = fn(port: u16, path: &str) -> Vec<u8>;

/// A server that keeps what it got, each request whole.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port, answer, Arc::clone(&kept)));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers one request and closes the connection. An empty answer is silence.
async fn serve(mut stream: TcpStream, port: u16, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.unwrap_or(0);
        got.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&got);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse::<usize>()
                    .ok()
            });
            body.len() >= length.unwrap_or(0)
        });
        if whole || read == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&got).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(text);
    let answer = answer(port, &path);
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn to(location: &str, status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// Knows a few names. `rebinding.example` is this machine when asked first and a metadata service afterwards.
#[derive(Debug, Default)]
struct Names {
    asked: Mutex<u32>,
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        Ok(match name {
            "inside.example" | "other.example" | "localhost" => vec![address("127.0.0.1")],
            "metadata.example" => vec![address("169.254.169.254"), address("fd00:ec2::254")],
            "rebinding.example" if *asked == 1 => vec![address("127.0.0.1")],
            "rebinding.example" => vec![address("169.254.169.254")],
            _ => Vec::new(),
        })
    }
}

fn tls() -> rustls::ClientConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

struct Lab {
    sender: Sender,
    vault: Vault,
    plugin: PluginId,
    settings: Settings,
    origins: Vec<HttpOrigin>,
    _folder: tempfile::TempDir,
}

const SECRET: &str = "hunter2-hunter2";

impl Lab {
    /// A plugin with the secrets `token` and `zones/0/key` in its settings.
    fn new(origins: Vec<HttpOrigin>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        let reference = json!({"$secret": {"file": file}});
        let settings = json!({"token": reference, "zones": [{"key": reference}], "name": "plain"});
        Self {
            sender: Sender::new(&tls(), &(Arc::new(Names::default()) as _)).unwrap(),
            vault: Vault::new(Arc::new(Sealer::new(SealingKey::generate(&SeededEntropy::new(
                1,
            ))))),
            plugin: "rdns".parse().unwrap(),
            settings: Settings::new(settings.as_object().unwrap().clone()),
            origins,
            _folder: folder,
        }
    }

    async fn send(&self, request: Request) -> Result<Response, CapabilityError> {
        let exchange = Exchange {
            sender: &self.sender,
            vault: &self.vault,
            plugin: &self.plugin,
            origins: self.origins.iter().collect(),
            settings: &self.settings,
        };
        exchange.within(Duration::from_secs(5), request).await
    }
}

fn origin(text: &str, secrets: &[&str]) -> HttpOrigin {
    HttpOrigin {
        origin: text.to_owned(),
        allow_private: true,
        secrets: secrets.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Body::Empty,
        timeout: 1_000,
    }
}

fn with_token(url: &str) -> Request {
    let value = Value::PrefixedSecret(("Bearer ".to_owned(), "token".to_owned()));
    Request {
        headers: vec![("Authorization".to_owned(), value)],
        ..get(url)
    }
}

fn is_denied<T>(result: &Result<T, CapabilityError>) -> bool {
    matches!(result, Err(CapabilityError::Denied(_)))
}

#[tokio::test]
async fn only_approved_origins_are_called_in_whatever_way_another_one_is_written() {
    let server = Server::start(|_, _| ok("hello")).await;
    let port = server.port;
    let lab = Lab::new(vec![origin(&format!("http://127.0.0.1:{port}"), &[])]);
    let answer = lab
        .send(get(&format!("http://127.0.0.1:{port}/a?b")))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    // The same machine by another spelling of its address is the same origin.
    assert!(lab.send(get(&format!("http://0x7f.1:{port}/"))).await.is_ok());
    let before = server.seen().len();
    for url in [
        format!("http://localhost:{port}/"),
        format!("http://inside.example:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://127.0.0.1:{}/", port ^ 1),
        "http://127.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        assert!(is_denied(&lab.send(get(&url)).await), "{url}");
    }
    let credentials = lab.send(get(&format!("http://me:pw@127.0.0.1:{port}/"))).await;
    assert!(matches!(credentials, Err(CapabilityError::Invalid(_))));
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn a_name_leads_to_a_private_address_only_where_the_provider_says_so() {
    let server = Server::start(|_, _| ok("hello")).await;
    let base = format!("http://inside.example:{}", server.port);
    let mut closed = origin(&base, &[]);
    closed.allow_private = false;
    let refused = Lab::new(vec![closed]).send(get(&base)).await;
    assert_eq!(refused.unwrap_err(), CapabilityError::Unavailable);
    assert!(server.seen().is_empty());
    assert!(Lab::new(vec![origin(&base, &[])]).send(get(&base)).await.is_ok());
    // Whoever writes `localhost` means this machine.
    let local = HttpOrigin::public(format!("http://localhost:{}", server.port));
    let url = local.origin.clone();
    assert!(Lab::new(vec![local]).send(get(&url)).await.is_ok());
}

#[tokio::test]
async fn a_name_never_leads_to_a_metadata_service() {
    let lab = Lab::new(vec![origin("http://metadata.example", &[])]);
    let refused = lab.send(get("http://metadata.example/latest/meta-data/")).await;
    assert_eq!(refused.unwrap_err(), CapabilityError::Unavailable);
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let server = Server::start(|_, _| ok("hello")).await;
    let base = format!("http://rebinding.example:{}", server.port);
    let names = Arc::new(Names::default());
    let mut lab = Lab::new(vec![origin(&base, &[])]);
    lab.sender = Sender::new(&tls(), &(Arc::clone(&names) as _)).unwrap();
    // Were the name looked up a second time before connecting, it would lead elsewhere.
    assert!(lab.send(get(&base)).await.is_ok());
    assert_eq!(*names.asked.lock().unwrap(), 1);
    // The next connection is checked anew.
    assert_eq!(
        lab.send(get(&base)).await.unwrap_err(),
        CapabilityError::Unavailable
    );
    assert_eq!(*names.asked.lock().unwrap(), 2);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_secret_is_filled_in_for_its_origin_only() {
    let server = Server::start(|_, _| ok("hello")).await;
    let (own, other) = (
        format!("http://127.0.0.1:{}", server.port),
        format!("http://other.example:{}", server.port),
    );
    let lab = Lab::new(vec![origin(&own, &["token"]), origin(&other, &["zones/0/key"])]);
    lab.send(with_token(&own)).await.unwrap();
    let form = |url: &str, name: &str| Request {
        method: Method::Post,
        body: Body::Form(vec![
            ("a".to_owned(), Value::Text("b&c".to_owned())),
            ("key".to_owned(), Value::Secret(name.to_owned())),
        ]),
        ..get(url)
    };
    lab.send(form(&other, "zones/0/key")).await.unwrap();
    let seen = server.seen();
    assert!(
        seen[0].contains(&format!("authorization: Bearer {SECRET}\r\n")),
        "{}",
        seen[0]
    );
    assert!(
        seen[1].ends_with(&format!("\r\n\r\na=b%26c&key={SECRET}")),
        "{}",
        seen[1]
    );
    for refused in [
        with_token(&other),
        form(&own, "zones/0/key"),
        // Not a secret, not there, and other spellings of one that is.
        form(&own, "name"),
        form(&own, "nothing"),
        form(&other, "zones/00/key"),
        form(&other, "/zones/0/key"),
        form(&own, ""),
    ] {
        assert!(is_denied(&lab.send(refused).await));
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_redirect_stays_within_the_approved_origins_and_takes_no_secret_along() {
    let server = Server::start(|port, path| match path {
        "/here" => to("/there", 302),
        "/there" => ok("arrived"),
        "/metadata" => to("http://169.254.169.254/", 302),
        "/name" => to(&format!("http://inside.example:{port}/"), 307),
        "/other" => to(&format!("http://other.example:{port}/stolen"), 307),
        "/file" => to("file:///etc/passwd", 302),
        "/me" => to(&format!("http://me:pw@127.0.0.1:{port}/"), 302),
        "/round" => to("/round", 302),
        "/strange" => to("http://[", 302),
        _ => ok("hello"),
    })
    .await;
    let (own, other) = (
        format!("http://127.0.0.1:{}", server.port),
        format!("http://other.example:{}", server.port),
    );
    let lab = Lab::new(vec![origin(&own, &["token"]), origin(&other, &[])]);
    let at = |path: &str| format!("{own}{path}");
    // Within the origin it goes on, with the secret; a POST becomes a GET without its body.
    let posted = Request {
        method: Method::Post,
        body: Body::Json("{\"a\":1}".to_owned()),
        ..with_token(&at("/here"))
    };
    assert_eq!(lab.send(posted).await.unwrap().body, b"arrived");
    let seen = server.seen();
    assert!(seen[0].starts_with("POST /here ") && seen[0].ends_with("{\"a\":1}"));
    assert!(seen[1].starts_with("GET /there ") && seen[1].ends_with("\r\n\r\n"));
    assert!(seen[1].contains(SECRET));
    for path in ["/metadata", "/name", "/file"] {
        assert!(is_denied(&lab.send(get(&at(path))).await), "{path}");
    }
    assert!(matches!(
        lab.send(get(&at("/me"))).await,
        Err(CapabilityError::Invalid(_))
    ));
    // To another approved origin without a secret it goes, with one it ends.
    assert!(lab.send(get(&at("/other"))).await.is_ok());
    assert!(is_denied(&lab.send(with_token(&at("/other"))).await));
    let stolen = |text: &&String| text.starts_with("GET /stolen");
    let seen = server.seen();
    assert_eq!(seen.iter().filter(stolen).count(), 1);
    assert!(seen.iter().filter(stolen).all(|text| !text.contains(SECRET)));
    // An address that is none is no redirect: the answer is the plugin's to read.
    assert_eq!(lab.send(get(&at("/strange"))).await.unwrap().status, 302);
    let before = server.seen().len();
    assert!(matches!(
        lab.send(get(&at("/round"))).await,
        Err(CapabilityError::Failed(_))
    ));
    assert_eq!(server.seen().len() - before, 6, "one and five redirects");
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_never_ends_or_never_comes_is_given_up() {
    let server = Server::start(|_, path| match path {
        "/announced" => b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec(),
        "/long" => {
            let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            answer.resize(ANSWER + 1_000, b'x');
            answer
        }
        "/full" => ok(&"x".repeat(ANSWER)),
        "/headers" => format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "y".repeat(HEADERS)).into_bytes(),
        "/many" => format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5_000)).into_bytes(),
        "/broken" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec(),
        "/nonsense" => b"\0\x01\x02\r\n\r\n".to_vec(),
        "/smuggled" => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc".to_vec(),
        _ => Vec::new(),
    })
    .await;
    let own = format!("http://127.0.0.1:{}", server.port);
    let lab = Lab::new(vec![origin(&own, &[])]);
    let send = async |path: &str| lab.send(get(&format!("{own}{path}"))).await;
    assert_eq!(send("/full").await.unwrap().body.len(), ANSWER);
    for path in ["/announced", "/long", "/headers"] {
        let answer = send(path).await;
        assert!(
            matches!(answer, Err(CapabilityError::Quota(_))),
            "{path}: {answer:?}"
        );
    }
    for path in ["/many", "/broken", "/nonsense", "/smuggled"] {
        assert_eq!(
            send(path).await.unwrap_err(),
            CapabilityError::Unavailable,
            "{path}"
        );
    }
    let exchange = Exchange {
        sender: &lab.sender,
        vault: &lab.vault,
        plugin: &lab.plugin,
        origins: lab.origins.iter().collect(),
        settings: &lab.settings,
    };
    let silent = exchange.within(Duration::from_millis(200), get(&own));
    assert_eq!(silent.await.unwrap_err(), CapabilityError::Unavailable);
}

#[tokio::test]
async fn the_type_of_a_json_body_is_the_hosts_and_is_said_once() {
    let server = Server::start(|_, _| ok("hello")).await;
    let own = format!("http://127.0.0.1:{}", server.port);
    let lab = Lab::new(vec![origin(&own, &[])]);
    let request = Request {
        method: Method::Put,
        headers: vec![("Content-Type".to_owned(), Value::Text("text/html".to_owned()))],
        body: Body::Json("{}".to_owned()),
        ..get(&own)
    };
    lab.send(request).await.unwrap();
    let seen = server.seen().remove(0).to_lowercase();
    assert_eq!(seen.matches("content-type:").count(), 1, "{seen}");
    assert!(seen.contains("content-type: application/json\r\n"), "{seen}");
    assert!(
        seen.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)),
        "{seen}"
    );
}
