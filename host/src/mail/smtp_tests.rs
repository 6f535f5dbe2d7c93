//! The SMTP transport against a server that speaks SMTP over TCP, and misbehaves on request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::secret::{Entropy, Sealer, SealingKey, Secret, SeededEntropy};
use crate::store::{MemoryStore, SharedStore};

/// What the server does with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Take,
    /// Answers RCPT with this line.
    RefuseRecipient(&'static str),
    /// Answers the end of the message with this line.
    RefuseMessage(&'static str),
    /// Takes the message and cuts the connection instead of answering.
    CutAfterData,
    /// Cuts the connection instead of greeting.
    CutAtOnce,
    /// Says nothing at all.
    Silence,
}

#[derive(Clone, Default)]
struct Server {
    turns: Arc<Mutex<VecDeque<Turn>>>,
    /// Every message whose end the server saw: sender, recipient and text.
    seen: Arc<Mutex<Vec<(String, String, String)>>>,
    /// Every line of every conversation outside of messages.
    lines: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(turns: &[Turn]) -> (Self, u16) {
        Self::start_with(turns, None).await
    }

    /// With a certificate the server talks TLS from the first byte (`true`) or after STARTTLS.
    async fn start_with(turns: &[Turn], tls: Option<(TlsAcceptor, bool)>) -> (Self, u16) {
        let server = Self::default();
        server.turns.lock().unwrap().extend(turns);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (accepting.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => drop(server.talk(BufReader::new(stream), true, false).await),
                        Some((tls, true)) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.talk(BufReader::new(stream), true, false).await;
                            }
                        }
                        Some((tls, false)) => {
                            if let Some(stream) = server.talk(BufReader::new(stream), true, true).await
                                && let Ok(stream) = tls.accept(stream).await
                            {
                                server.talk(BufReader::new(stream), false, false).await;
                            }
                        }
                    }
                });
            }
        });
        (server, port)
    }

    fn next(&self) -> Turn {
        self.turns.lock().unwrap().pop_front().unwrap_or(Turn::Take)
    }

    fn peek(&self) -> Turn {
        self.turns.lock().unwrap().front().copied().unwrap_or(Turn::Take)
    }

    /// Talks until the end, or until the client asked for TLS.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: BufReader<S>,
        greet: bool,
        starttls: bool,
    ) -> Option<S> {
        match self.peek() {
            Turn::CutAtOnce => {
                self.next();
                return None;
            }
            Turn::Silence => {
                self.next();
                let mut nothing = Vec::new();
                stream.read_to_end(&mut nothing).await.ok()?;
                return None;
            }
            _ => {}
        }
        let (mut from, mut to) = (String::new(), String::new());
        let mut answer = if greet {
            "220 test ESMTP\r\n".to_owned()
        } else {
            String::new()
        };
        loop {
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            self.lines.lock().unwrap().push(line.clone());
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            answer = match word.as_str() {
                "EHLO" if starttls => "250-test\r\n250 STARTTLS".to_owned(),
                "EHLO" => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME".to_owned(),
                "MAIL" => {
                    from.clone_from(&line);
                    "250 ok".to_owned()
                }
                "RCPT" => {
                    to.clone_from(&line);
                    if let Turn::RefuseRecipient(answer) = self.peek() {
                        self.next();
                        answer.to_owned()
                    } else {
                        "250 ok".to_owned()
                    }
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    stream.flush().await.ok()?;
                    let mut text = String::new();
                    loop {
                        let mut line = String::new();
                        if stream.read_line(&mut line).await.ok()? == 0 {
                            return None;
                        }
                        if line == ".\r\n" {
                            break;
                        }
                        text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    }
                    self.seen.lock().unwrap().push((from.clone(), to.clone(), text));
                    match self.next() {
                        Turn::CutAfterData => return None,
                        Turn::RefuseMessage(answer) => answer.to_owned(),
                        _ => "250 queued".to_owned(),
                    }
                }
                "AUTH" => "235 welcome".to_owned(),
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await.ok()?;
                    return None;
                }
                "STARTTLS" if starttls => {
                    stream.write_all(b"220 go on\r\n").await.ok()?;
                    return Some(stream.into_inner());
                }
                "NOOP" | "RSET" => "250 ok".to_owned(),
                _ => "500 what".to_owned(),
            } + "\r\n";
        }
    }

    fn seen(&self) -> Vec<(String, String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

fn options(port: u16) -> SmtpOptions {
    SmtpOptions {
        port: Some(port),
        timeout: Duration::from_secs(5),
        hello_name: Some("panel.host.example".to_owned()),
        ..SmtpOptions::new("127.0.0.1", SmtpSecurity::Plain)
    }
}

struct Fixture {
    clock: ManualClock,
    outbox: Outbox,
    worker: MailWorker,
}

fn fixture(options: &SmtpOptions) -> Fixture {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock = ManualClock::default();
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
    let sealer = Arc::new(Sealer::new(SealingKey::generate(&*entropy)));
    let outbox = Outbox::new(store, Arc::new(clock.clone()), entropy, sealer);
    let from = EmailAddress::parse("panel@host.example").unwrap();
    let sender = MailSender {
        from,
        name: Some("Größter Hoster".to_owned()),
        reply_to: None,
    };
    let transport = Arc::new(SmtpTransport::new(options).unwrap());
    let policy = RetryPolicy {
        timeout: Duration::from_secs(20),
        ..RetryPolicy::default()
    };
    let worker = MailWorker::new(outbox.clone(), transport, sender, policy, "test");
    Fixture {
        clock,
        outbox,
        worker,
    }
}

fn mail(id: &str) -> Mail {
    Mail {
        id: id.to_owned(),
        to: EmailAddress::parse("me@customer.example").unwrap(),
        subject: "Your VM is ready".to_owned(),
        text: "Hello\n.\n..dots\nBye\n".to_owned(),
        html: Some("<p>Hello</p>".to_owned()),
    }
}

impl Fixture {
    /// Works until the mail is sent or given up, moving the clock on; returns the number of failures.
    async fn work_off(&self, id: &str) -> (MailState, u32, String) {
        for _ in 0..10 {
            self.worker.run_due().await.unwrap();
            let status = self.outbox.status(id).await.unwrap().unwrap();
            if status.state != MailState::Waiting {
                return (status.state, status.failures, status.reason.unwrap_or_default());
            }
            self.clock.advance(Duration::from_hours(2));
        }
        panic!("the mail is neither sent nor given up");
    }
}

#[tokio::test]
async fn a_mail_reaches_the_server_with_its_envelope_and_its_dots() {
    let (server, port) = Server::start(&[]).await;
    let fixture = fixture(&options(port));
    fixture.outbox.send(&mail("a")).await.unwrap();
    let (state, failures, _) = fixture.work_off("a").await;
    assert_eq!(
        (state, failures),
        (
            MailState::Sent {
                at: fixture.clock.now()
            },
            0
        )
    );
    let (from, to, text) = server.seen().remove(0);
    assert!(from.starts_with("MAIL FROM:<panel@host.example>"), "{from}");
    assert_eq!(to, "RCPT TO:<me@customer.example>");
    assert!(text.contains("Hello\r\n.\r\n..dots\r\nBye\r\n"), "{text}");
    assert!(text.contains("<p>Hello</p>"));
    assert!(
        server
            .lines
            .lock()
            .unwrap()
            .contains(&"EHLO panel.host.example".to_owned())
    );
}

#[tokio::test]
async fn a_server_that_is_busy_first_gets_the_mail_once_in_the_end() {
    let turns = [
        Turn::RefuseRecipient("450 4.2.0 greylisted"),
        Turn::CutAtOnce,
        Turn::RefuseMessage("451 4.3.0 disk full"),
        Turn::RefuseRecipient("421 4.3.2 shutting down"),
    ];
    let (server, port) = Server::start(&turns).await;
    let fixture = fixture(&options(port));
    fixture.outbox.send(&mail("a")).await.unwrap();
    let (state, failures, reason) = fixture.work_off("a").await;
    assert!(matches!(state, MailState::Sent { .. }), "{state:?} {reason}");
    assert_eq!(failures, 4, "{reason}");
    // One message was refused at its end, one was taken.
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_connection_cut_after_the_message_leads_to_the_same_message_again() {
    let (server, port) = Server::start(&[Turn::CutAfterData]).await;
    let fixture = fixture(&options(port));
    fixture.outbox.send(&mail("a")).await.unwrap();
    let (state, failures, _) = fixture.work_off("a").await;
    assert!(matches!(state, MailState::Sent { .. }));
    assert_eq!(failures, 1);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        seen[0], seen[1],
        "byte for byte the same, so the receiver can tell"
    );
    assert_eq!(seen[0].2.matches("Message-ID: <").count(), 1);
}

#[tokio::test]
async fn a_refused_recipient_is_a_dead_letter_with_the_servers_words() {
    let (server, port) = Server::start(&[Turn::RefuseRecipient("550 5.1.1 no such user here")]).await;
    let fixture = fixture(&options(port));
    fixture.outbox.send(&mail("a")).await.unwrap();
    let (state, failures, reason) = fixture.work_off("a").await;
    assert!(matches!(state, MailState::Dead { .. }));
    assert_eq!(failures, 1);
    assert!(reason.contains("no such user here"), "{reason}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_silent_server_does_not_hold_the_worker_for_ever() {
    let (_server, port) = Server::start(&[Turn::Silence]).await;
    let options = SmtpOptions {
        timeout: Duration::from_millis(200),
        ..options(port)
    };
    let transport = SmtpTransport::new(&options).unwrap();
    let letter = Letter {
        message_id: "x@host.example".to_owned(),
        queued: jiff::Timestamp::UNIX_EPOCH,
        from: EmailAddress::parse("panel@host.example").unwrap(),
        to: EmailAddress::parse("me@customer.example").unwrap(),
        bytes: b"Subject: x\r\n\r\nx\r\n".to_vec(),
    };
    let sent = tokio::time::timeout(Duration::from_secs(20), transport.send(&letter)).await;
    assert!(matches!(sent, Ok(Err(SendError::Temporary(_)))), "{sent:?}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_mail_nor_password_when_tls_is_wanted() {
    let (server, port) = Server::start(&[]).await;
    let login = SmtpLogin {
        user: "panel".to_owned(),
        password: Secret::new("hunter2"),
    };
    let options = SmtpOptions {
        security: SmtpSecurity::StartTls,
        login: Some(login),
        ..options(port)
    };
    let fixture = fixture(&options);
    fixture.outbox.send(&mail("a")).await.unwrap();
    let report = fixture.worker.run_due().await.unwrap();
    assert_eq!((report.sent, report.postponed), (0, 1));
    assert!(server.seen().is_empty());
    let lines = server.lines.lock().unwrap().join("\n");
    assert!(!lines.contains("AUTH") && !lines.contains("MAIL"), "{lines}");
}

#[tokio::test]
async fn a_login_to_this_machine_is_made_and_to_another_needs_tls() {
    let (server, port) = Server::start(&[]).await;
    let login = SmtpLogin {
        user: "panel".to_owned(),
        password: Secret::new("hunter2"),
    };
    let local = SmtpOptions {
        login: Some(login),
        ..options(port)
    };
    let fixture = fixture(&local);
    fixture.outbox.send(&mail("a")).await.unwrap();
    fixture.work_off("a").await;
    assert!(
        server
            .lines
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.starts_with("AUTH PLAIN "))
    );
    assert!(!format!("{local:?}").contains("hunter2"));
    let remote = SmtpOptions {
        host: "mail.example".to_owned(),
        ..local.clone()
    };
    let refused = SmtpTransport::new(&remote);
    assert!(matches!(refused, Err(SmtpSetupError::LoginInClear { .. })));
    assert!(
        SmtpTransport::new(&SmtpOptions {
            security: SmtpSecurity::Tls,
            ..remote
        })
        .is_ok()
    );
}

#[test]
fn options_that_cannot_work_are_refused_with_the_reason() {
    let wrong = |change: fn(&mut SmtpOptions)| {
        let mut options = options(25);
        change(&mut options);
        SmtpTransport::new(&options).unwrap_err()
    };
    assert!(matches!(
        wrong(|options| options.host = String::new()),
        SmtpSetupError::Host { .. }
    ));
    assert!(matches!(
        wrong(|options| options.host = "a b".to_owned()),
        SmtpSetupError::Host { .. }
    ));
    let injected = wrong(|options| options.hello_name = Some("x\r\nRSET".to_owned()));
    assert!(matches!(injected, SmtpSetupError::Host { .. }));
}

/// A certificate for `name`, as the server uses it and as PEM.
fn certificate(name: &str) -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem().into_bytes())
}

#[tokio::test]
async fn a_mail_and_a_login_go_over_tls_to_a_server_whose_certificate_is_trusted() {
    for (security, from_first_byte) in [(SmtpSecurity::Tls, true), (SmtpSecurity::StartTls, false)] {
        let (acceptor, pem) = certificate("127.0.0.1");
        let (server, port) = Server::start_with(&[], Some((acceptor, from_first_byte))).await;
        let login = SmtpLogin {
            user: "panel".to_owned(),
            password: Secret::new("hunter2"),
        };
        let options = SmtpOptions {
            security,
            login: Some(login),
            ca_pem: Some(pem),
            ..options(port)
        };
        let fixture = fixture(&options);
        fixture.outbox.send(&mail("a")).await.unwrap();
        let (state, failures, reason) = fixture.work_off("a").await;
        assert!(matches!(state, MailState::Sent { .. }), "{security:?}: {reason}");
        assert_eq!((failures, server.seen().len()), (0, 1));
        assert!(
            server
                .lines
                .lock()
                .unwrap()
                .iter()
                .any(|line| line.starts_with("AUTH PLAIN "))
        );
    }
}

#[tokio::test]
async fn a_server_whose_certificate_is_unknown_or_for_another_name_gets_nothing() {
    for security in [SmtpSecurity::Tls, SmtpSecurity::StartTls] {
        let (acceptor, other_name) = certificate("mail.example");
        let (_, other_key) = certificate("127.0.0.1");
        for ca_pem in [None, Some(other_name), Some(other_key)] {
            let tls = (acceptor.clone(), security == SmtpSecurity::Tls);
            let (server, port) = Server::start_with(&[], Some(tls)).await;
            let options = SmtpOptions {
                security,
                ca_pem,
                ..options(port)
            };
            let fixture = fixture(&options);
            fixture.outbox.send(&mail("a")).await.unwrap();
            assert_eq!(fixture.worker.run_due().await.unwrap().postponed, 1);
            let reason = fixture.outbox.status("a").await.unwrap().unwrap().reason.unwrap();
            assert!(reason.to_lowercase().contains("certificate"), "{reason}");
            assert!(
                !server
                    .lines
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|line| line.starts_with("MAIL"))
            );
        }
    }
}

#[test]
fn certificates_that_are_none_are_refused() {
    let broken = b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n".to_vec();
    let options = SmtpOptions {
        security: SmtpSecurity::Tls,
        ca_pem: Some(broken),
        ..options(465)
    };
    assert!(SmtpTransport::new(&options).is_err());
}
