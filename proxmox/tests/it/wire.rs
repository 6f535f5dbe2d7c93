//! How requests look on the wire, who is trusted, and that no answer, however wrong, does harm.

use portico_proxmox::{ConfigUpdate, Error, Lock, NewSnapshot, Reason, Secret, SnapshotName, Trust};

use crate::support::*;

// ---- on the wire

#[tokio::test]
async fn a_read_has_the_token_and_neither_body_nor_length() {
    let server = Server::start(|_| ok(VERSION)).await;
    assert_eq!(server.client().version().await.unwrap().major(), Some(9));
    let request = &server.requests()[0];
    assert_eq!(request.line, "GET /api2/json/version");
    assert_eq!(
        request.headers["authorization"],
        "PVEAPIToken=panel@pve!portico=5ec2e7ab-0000-4000-8000-123456789abc"
    );
    for absent in [
        "content-length",
        "content-type",
        "transfer-encoding",
        "accept-encoding",
        "cookie",
    ] {
        assert!(!request.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn a_write_is_a_form_with_its_length_even_when_empty() {
    let server = Server::routed(vec![("resources", ok(ON_PVE1)), ("", ok(&task_answer()))]).await;
    let vm = server.client().vm(vmid());
    assert_eq!(vm.start().await.unwrap(), upid());
    let name = SnapshotName::new("before").unwrap();
    let new = NewSnapshot {
        name,
        description: Some("a & b = c;\n+ ü".to_owned()),
        with_memory: true,
    };
    vm.create_snapshot(&new).await.unwrap();
    let [_, start, snapshot] = &server.requests()[..] else {
        panic!()
    };
    assert_eq!(start.line, "POST /api2/json/nodes/pve1/qemu/100/status/start");
    assert_eq!(start.headers["content-length"], "0");
    assert_eq!(
        snapshot.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        snapshot.body,
        "snapname=before&description=a+%26+b+%3D+c%3B%0A%2B+%C3%BC&vmstate=1"
    );
    assert!(!snapshot.headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn a_delete_has_no_body_and_no_length() {
    let server = Server::routed(vec![("resources", ok(ON_PVE1)), ("", ok(&task_answer()))]).await;
    let name = SnapshotName::new("before").unwrap();
    server.client().vm(vmid()).remove_snapshot(&name).await.unwrap();
    let request = &server.requests()[1];
    assert_eq!(
        request.line,
        "DELETE /api2/json/nodes/pve1/qemu/100/snapshot/before"
    );
    assert!(!request.headers.contains_key("content-length") && request.body.is_empty());
}

// ---- trust

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused_and_named_and_nothing_is_sent() {
    let server = Server::start(|_| ok(VERSION)).await;
    let mut config = config(&[&server]);
    config.trust = Trust::Fingerprints(vec![Identity::alone().fingerprint()]);
    let error = client(config).version().await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    let text = error.with_causes();
    assert!(text.contains(&server.fingerprint.to_string()), "{text}");
    assert!(!error.may_have_happened() && server.requests().is_empty());
}

#[tokio::test]
async fn the_pinned_certificate_without_its_key_is_refused() {
    let (shown, other) = (Identity::alone(), Identity::alone());
    let thief = Identity {
        certificate: shown.certificate,
        key: other.key,
    };
    let server = Server::start_as(thief, |_| ok(VERSION)).await;
    let error = server.client().version().await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_accepted_and_one_of_another_is_not() {
    let (identity, pem) = Identity::with_authority();
    let server = Server::start_as(identity, |_| ok(VERSION)).await;
    let mut trusting = config(&[&server]);
    trusting.trust = Trust::CaPem(pem.into_bytes());
    client(trusting).version().await.unwrap();
    let mut wary = config(&[&server]);
    wary.trust = Trust::CaPem(Identity::with_authority().1.into_bytes());
    let error = client(wary).version().await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

// ---- hostile answers

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_with_and_without_a_stated_length() {
    let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(5000)).into_bytes();
    for reply in [ok(&"x".repeat(5000)), Reply::Raw(endless)] {
        let server = Server::start(move |_| reply.clone()).await;
        let mut config = config(&[&server]);
        config.limits.max_body = 1000;
        let error = client(config).version().await.unwrap_err();
        assert!(
            matches!(&error, Error::Malformed { problem, .. } if problem.contains("1000")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_huge_body_of_an_error_does_not_hide_the_error() {
    let server =
        Server::start(|_| Reply::Send(500, "VM is locked (backup)".to_owned(), "x".repeat(5000))).await;
    let mut config = config(&[&server]);
    config.limits.max_body = 1000;
    let error = client(config).version().await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::Locked(Lock::Backup)));
}

#[tokio::test]
async fn nonsense_is_an_error_and_never_a_panic() {
    let bodies = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        r#"{"data":null}"#.to_owned(),
        r#"{"data":{"version":9}}"#.to_owned(),
        format!(r#"{{"data":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000)),
        "\u{0}\u{1}".to_owned(),
    ];
    for body in bodies {
        let reply = ok(&body);
        let server = Server::start(move |_| reply.clone()).await;
        let error = server.client().version().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let trap = Server::start(|_| ok(VERSION)).await;
    let answer = format!(
        "HTTP/1.1 301 Moved\r\nLocation: https://{}/\r\nContent-Length: 0\r\n\r\n",
        trap.address
    );
    let server = Server::start(move |_| Reply::Raw(answer.clone().into_bytes())).await;
    let error = client(config(&[&server, &trap])).version().await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 301, .. }), "{error:?}");
    assert!(trap.requests().is_empty());
}

#[tokio::test]
async fn the_reason_phrase_is_read_where_an_old_version_sends_no_message() {
    let text = "VM 100 not running";
    let server =
        Server::start(move |_| Reply::Send(500, text.to_owned(), r#"{"data":null}"#.to_owned())).await;
    let error = server.client().version().await.unwrap_err();
    assert_eq!(
        (error.reason(), error.provider_text()),
        (Some(&Reason::NotRunning), Some(text))
    );
}

#[tokio::test]
async fn neither_token_nor_password_ever_shows_in_an_error() {
    // A server that throws back whatever it got.
    let server = Server::start(|request| {
        if request.line.contains("resources") {
            return ok(ON_PVE1);
        }
        fail(400, &format!("{} {:?}", request.body, request.headers))
    })
    .await;
    let update = ConfigUpdate::new()
        .set_secret("cipassword", Secret::new("hunter2hunter2"))
        .unwrap();
    assert!(!format!("{update:?}").contains("hunter2"));
    let client = server.client();
    let error = client.vm(vmid()).update_config(&update).await.unwrap_err();
    let shown = format!("{error} {error:?} {client:?}");
    assert!(
        shown.contains("[secret]"),
        "the server did throw it back: {shown}"
    );
    assert!(
        !shown.contains("hunter2") && !shown.contains("5ec2e7ab"),
        "{shown}"
    );
}
