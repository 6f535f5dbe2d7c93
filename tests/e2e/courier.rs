//! What leaves the panel: mails to a real server, and HTTP requests to other services, sent by a plugin.

use std::sync::{Arc, Mutex};

use portico_host::cli::Exit;
use portico_tests::setup::PASSWORD;
use portico_tests::smtp::{Letter, Server};
use portico_tests::world::at;
use portico_tests::{Browser, Page, Setup, World, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The provider file of the tests with the courier in it. Product `pro` (VM 100) may have `permissions` and has a ticket
/// department, product `brief` (VM 103) may everything and has none.
fn provider(permissions: &str, origins: &str) -> String {
    let seed = Setup::default().provider;
    let plugin = format!(
        "[[plugin]]\nid = \"courier\"\nfile = \"@PLUGINS@/../guests/courier.wasm\"\napprove = \"as-built\"\n{origins}\n\n"
    );
    let (before, after) = seed.split_once("[[product]]").unwrap();
    let text = format!("{before}{plugin}[[product]]{after}");
    let (before, after) = text.split_once("id = \"brief\"").unwrap();
    let before = before.replacen(
        "title = \"Pro\"\npermissions = [\"overview:*\", \"snapshots:*\"]",
        &format!(
            "title = \"Pro\"\ndepartment = \"tickets@host.example\"\npermissions = [\"overview:*\", {permissions}]"
        ),
        1,
    );
    let after = after.replacen("\"snapshots:*\"]", "\"snapshots:*\", \"courier:*\"]", 1);
    format!("{before}id = \"brief\"{after}")
}

fn setup(mail_port: u16) -> Setup {
    Setup {
        provider: provider("\"snapshots:*\", \"courier:owner\", \"courier:department\"", ""),
        mail: Server::section(mail_port),
        ..Setup::default()
    }
}

async fn letters(server: &Server, count: usize) -> Vec<Letter> {
    until("the mails arrive", async || {
        let letters = server.letters();
        Ok((letters.len() >= count).then_some(letters))
    })
    .await
    .unwrap()
}

async fn write(browser: &Browser, to: &str, name: &str, text: &str) -> Page {
    let form = [("to", to), ("name", name), ("text", text)];
    browser.post(&at(100, "courier/write"), &form).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_of_a_plugin_and_of_the_panel_arrive_once_with_their_headers() {
    let server = Server::start().await.unwrap();
    let world = World::inside(setup(server.port())).await.unwrap();
    let anna = world.signed_in("anna@example.com").await.unwrap();

    assert_eq!(write(&anna, "owner", "web1", "All is well.").await.status, 200);
    let first = letters(&server, 1).await.remove(0);
    assert_eq!(
        (first.from.as_str(), first.to.as_slice()),
        ("panel@example.com", &["anna@example.com".to_owned()][..])
    );
    let header = |name: &str| first.headers(name);
    assert_eq!(header("From"), ["\"Portico test\" <panel@example.com>"]);
    assert_eq!(header("To"), ["anna@example.com"]);
    assert_eq!(header("Subject"), ["News for web1"]);
    assert_eq!(header("Auto-Submitted"), ["auto-generated"]);
    assert!(header("Reply-To").is_empty());
    assert_eq!((header("Date").len(), header("Message-ID").len()), (1, 1));
    assert!(header("Message-ID")[0].ends_with("@example.com>"));
    assert!(first.body().contains("All is well."), "{}", first.message);

    // To the department, which answers the customer.
    assert_eq!(
        write(&anna, "department", "web1", "Please look.").await.status,
        200
    );
    let second = letters(&server, 2).await.remove(1);
    assert_eq!(second.to, ["tickets@host.example"]);
    assert_eq!(second.headers("Reply-To"), ["anna@example.com"]);
    assert_ne!(second.headers("Message-ID"), header("Message-ID"));
    // A product without a department refuses it, with a permission for it as well.
    let form = [("to", "department"), ("name", "x"), ("text", "x")];
    let refused = anna.post(&at(103, "courier/write"), &form).await.unwrap();
    assert_eq!(refused.status, 403, "{}", refused.text());

    // The panel's own.
    let form = [
        ("current", PASSWORD),
        ("new", "a-new-portico-password"),
        ("repeat", "a-new-portico-password"),
    ];
    assert_eq!(anna.post("/profile/password", &form).await.unwrap().status, 303);
    let third = letters(&server, 3).await.remove(2);
    assert_eq!(third.to, ["anna@example.com"]);
    assert!(
        !third.message.contains("a-new-portico-password"),
        "{}",
        third.message
    );
    assert_eq!(server.letters().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_mail_adds_no_header_no_recipient_and_no_second_mail() {
    let server = Server::start().await.unwrap();
    let world = World::inside(setup(server.port())).await.unwrap();
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let hostile = [
        ("x\r\nBcc: evil@example.org", "a"),
        ("x\nBcc: evil@example.org\n\nother body", "a"),
        ("x\rBcc: evil@example.org", "a"),
        ("x\u{85}Bcc: evil@example.org", "a"),
        ("x\u{2028}Bcc: evil@example.org", "a"),
        ("=?utf-8?Q?x=0D=0ABcc:_evil@example.org?=", "a"),
        ("Größe \u{202e}gnorw", "a"),
        (
            "x",
            "a\r\n.\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<evil@example.org>\r\nDATA\r\nb",
        ),
        ("x", "a\n.\nMAIL FROM:<evil@example.org>\nb"),
        ("x", "a\r.\rQUIT\rb"),
        ("x", ".\n..\n.hidden"),
    ];
    let mut queued = 0;
    for (name, text) in hostile {
        let page = write(&anna, "owner", name, text).await;
        assert!([200, 422].contains(&page.status), "{name:?}: {}", page.text());
        queued += usize::from(page.status == 200);
    }
    // A subject that is too long is refused, and names no address of the panel.
    assert_eq!(write(&anna, "owner", &"x".repeat(400), "a").await.status, 422);
    assert!(queued >= 5, "{queued}");
    assert_eq!(write(&anna, "owner", "last", "the last").await.status, 200);
    let letters = letters(&server, queued + 1).await;
    assert_eq!(letters.len(), queued + 1);
    for letter in &letters {
        assert_eq!(letter.from, "panel@example.com", "{letter:?}");
        assert_eq!(letter.to, ["anna@example.com"], "{letter:?}");
        for name in ["Bcc", "Cc", "Reply-To", "Sender"] {
            assert!(letter.headers(name).is_empty(), "{name}: {}", letter.message);
        }
        for name in ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version"] {
            assert_eq!(letter.headers(name).len(), 1, "{name}: {}", letter.message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_of_a_job_outlives_a_kill_and_a_server_that_is_down_and_goes_out_once() {
    // Nothing listens there yet.
    let port = Server::start().await.unwrap().port();
    let mut world = World::program(setup(port)).await.unwrap();
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let form = [("name", "the job"), ("text", "It is done.")];
    let page = anna.post(&at(100, "courier/later"), &form).await.unwrap();
    assert_eq!(page.status, 303, "{}", page.text());
    until("the job has ended", async || {
        let head = anna.fragment(&at(100, "-/live?plugin=overview")).await?;
        Ok(head.says("The mail was queued.").then_some(()))
    })
    .await
    .unwrap();
    world.kill().await.unwrap();
    world.restart().await.unwrap();

    let server = until("the port is free", async || Ok(Server::start_at(port).await.ok()))
        .await
        .unwrap();
    let first = letters(&server, 1).await.remove(0);
    assert_eq!(first.headers("Subject"), ["News for the job"]);
    // After a further restart what was acknowledged stays where it is, and a new mail goes out by itself.
    world.kill().await.unwrap();
    world.restart().await.unwrap();
    let anna = world.signed_in("anna@example.com").await.unwrap();
    assert_eq!(write(&anna, "owner", "web1", "Afterwards.").await.status, 200);
    let all = letters(&server, 2).await;
    let subjects: Vec<_> = all.iter().flat_map(|letter| letter.headers("Subject")).collect();
    assert_eq!(subjects, ["News for the job", "News for web1"]);
    world.stop().await.unwrap();
    assert_eq!(server.letters().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_that_is_no_address_is_refused_with_key_and_remedy() {
    let world = World::inside(setup(1)).await.unwrap();
    let printed = world
        .apply_with(
            "tickets@host.example",
            "tickets@host.example\\r\\nBcc: x@y.example",
        )
        .await
        .unwrap();
    assert_ne!(printed.exit, Exit::Done);
    assert!(
        printed.talk.contains("`product[pro].department`"),
        "{}",
        printed.talk
    );
    let printed = world
        .apply_with("tickets@host.example\\r\\nBcc: x@y.example", "tickets")
        .await
        .unwrap();
    assert_ne!(printed.exit, Exit::Done);
    assert!(
        printed.talk.contains("`product[pro].department`") && printed.talk.contains("`tickets@example.com`"),
        "{}",
        printed.talk
    );
}

/// A service that tells what it got, and everything it got.
struct Service {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 16 << 10];
                let read = stream.read(&mut request).await.unwrap_or(0);
                request.truncate(read);
                kept.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
                    .await;
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_leaves_a_plugin_the_origins_it_names_and_secrets_go_where_they_are_bound() {
    let (one, two) = (Service::start().await, Service::start().await);
    let (first, second) = (
        format!("http://127.0.0.1:{}", one.port),
        format!("http://127.0.0.1:{}", two.port),
    );
    let world = World::inside(Setup {
        provider: provider(
            &format!("\"courier:fetch\", \"courier:http.send:{first}\""),
            &format!(
                "settings = {{ token = {{ file = \"secrets/customer-password\" }} }}\n\
                 http_origins = [{{ origin = \"{first}\", secrets = [\"token\"] }}, \"{second}\"]"
            ),
        ),
        ..Setup::default()
    })
    .await
    .unwrap();
    let anna = world.signed_in("anna@example.com").await.unwrap();
    let fetch =
        async |vm: u32, form: &[(&str, &str)]| anna.post(&at(vm, "courier/fetch"), form).await.unwrap();
    // VM 100 is of the product that names the first origin, VM 103 of one that leaves all.
    let page = fetch(100, &[("url", &first), ("secret", "token")]).await;
    assert!(page.says("200: hello"), "{}", page.text());
    assert!(
        one.seen()[0].contains(&format!("x-key: {PASSWORD}\r\n")),
        "{}",
        one.seen()[0]
    );
    let page = fetch(100, &[("url", &second)]).await;
    assert!(page.says("Denied"), "{}", page.text());
    assert!(two.seen().is_empty());
    let page = fetch(103, &[("url", &second)]).await;
    assert!(page.says("200: hello"), "{}", page.text());
    // The secret is the first one's.
    let page = fetch(103, &[("url", &second), ("secret", "token")]).await;
    assert!(page.says("Denied"), "{}", page.text());
    for header in ["Host", "Connection", "Transfer-Encoding", "Content-Length"] {
        let page = fetch(103, &[("url", &second), ("header", header)]).await;
        assert!(page.says("Invalid"), "{header}: {}", page.text());
    }
    assert_eq!(two.seen().len(), 1);
    assert!(!two.seen()[0].contains(PASSWORD));
    // What is not listed at all, this machine's metadata or the panel itself, is nobody's.
    for url in ["http://169.254.169.254/", &world.origin()] {
        assert!(fetch(103, &[("url", url)]).await.says("Denied"), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_that_cannot_be_enforced_are_refused_when_the_file_is_applied() {
    let world = World::inside(Setup {
        provider: provider("\"courier:fetch\"", "http_origins = [\"https://one.example\"]"),
        ..Setup::default()
    })
    .await
    .unwrap();
    let good = std::fs::read_to_string(world.provider()).unwrap();
    for (entry, part) in [
        (
            "courier:http.send:https://two.example",
            "add the origin to `http_origins` of the plugin",
        ),
        (
            "courier:http.send:https://one.example/v1",
            "does not end in an origin",
        ),
        ("courier:http.send:one.example", "does not end in an origin"),
        ("courier:mail.owner:anna", "says more than a scope"),
        ("courier:http.fetch", "not approved for `http.fetch`"),
    ] {
        let printed = world
            .apply_with("\"courier:fetch\"]", &format!("\"courier:fetch\", \"{entry}\"]"))
            .await
            .unwrap();
        assert_ne!(printed.exit, Exit::Done, "{entry}");
        assert!(
            printed.talk.contains("`product[pro].permissions`") && printed.talk.contains(part),
            "{entry}: {}",
            printed.talk
        );
        std::fs::write(world.provider(), &good).unwrap();
    }
}
