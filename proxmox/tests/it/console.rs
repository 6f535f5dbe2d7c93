//! Opening a console, against answers that are not as they should be. What a good one does is in `tests/sim`.

use portico_proxmox::Error;

use crate::support::{ON_PVE1, Reply, Request, Server, UPID, bare, fail, ok, vmid};

const TICKET: &str = "a+b/c%d::PVEVNC:68A5B0C1::xyz==";

fn opened(port: &str) -> Reply {
    ok(&format!(
        r#"{{"data":{{"port":{port},"ticket":"{TICKET}","password":"a+b/c%d:","upid":"{UPID}","user":"x","cert":"y"}}}}"#
    ))
}

/// A server that opens a port and answers the WebSocket with this.
async fn server(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        if request.line.starts_with("GET /api2/json/cluster/resources") {
            ok(ON_PVE1)
        } else if request.line.starts_with("POST ") {
            opened("\"5900\"")
        } else {
            answer(request)
        }
    })
    .await
}

async fn refused(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Error {
    let server = server(answer).await;
    let proxy = server.client().vm(vmid()).vnc_proxy().await.unwrap();
    proxy.connect().await.unwrap_err()
}

#[tokio::test]
async fn the_websocket_is_asked_for_with_the_same_token_and_the_ticket_as_it_was_given() {
    let server = server(|_| bare(501, "not today")).await;
    let proxy = server.client().vm(vmid()).vnc_proxy().await.unwrap();
    assert_eq!(proxy.password().expose(), "a+b/c%d:");
    assert!(!format!("{proxy:?}").contains("PVEVNC"), "{proxy:?}");
    proxy.connect().await.unwrap_err();
    let requests = server.requests();
    let [_, open, socket] = &requests[..] else {
        panic!("{:?}", server.lines())
    };
    assert_eq!(open.line, "POST /api2/json/nodes/pve1/qemu/100/vncproxy");
    assert_eq!(open.body, "websocket=1&generate-password=1");
    assert_eq!(
        socket.line,
        "GET /api2/json/nodes/pve1/qemu/100/vncwebsocket?port=5900&\
         vncticket=a%2Bb%2Fc%25d%3A%3APVEVNC%3A68A5B0C1%3A%3Axyz%3D%3D"
    );
    assert_eq!(socket.headers["authorization"], open.headers["authorization"]);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "binary"),
    ] {
        assert_eq!(socket.headers[name], value);
    }
    assert_eq!(socket.headers["sec-websocket-key"].len(), 24);
    // pveproxy understands no compression and says so by ending the connection.
    assert!(!socket.headers.contains_key("sec-websocket-extensions"));
}

#[tokio::test]
async fn an_answer_that_is_no_websocket_is_malformed() {
    let plain = refused(|_| ok(r#"{"data":{"port":"5900"}}"#)).await;
    assert!(matches!(plain, Error::Malformed { .. }), "{plain}");
    let other = refused(|_| {
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        Reply::Raw(answer.as_bytes().to_vec())
    })
    .await;
    assert!(matches!(other, Error::Malformed { .. }), "{other}");
}

#[tokio::test]
async fn a_refused_ticket_is_unauthorized_in_all_versions_and_not_quoted() {
    let text = "permission denied - invalid PVEVNC ticket";
    for answer in [fail(401, text), bare(401, text)] {
        let error = refused(move |_| answer.clone()).await;
        assert!(
            matches!(&error, Error::Unauthorized { text: told, .. } if told == text),
            "{error}"
        );
    }
    let error = refused(|_| fail(500, &format!("bad ticket {TICKET}"))).await;
    assert!(!format!("{error} {error:?}").contains("PVEVNC:"), "{error:?}");
}

#[tokio::test]
async fn a_port_that_pve_never_gives_is_malformed() {
    for port in ["\"22\"", "5899", "6000", "70000", "null", "\"x\""] {
        let answer = opened(port);
        let server = Server::start(move |request: &Request| {
            if request.line.starts_with("GET ") {
                ok(ON_PVE1)
            } else {
                answer.clone()
            }
        })
        .await;
        let error = server.client().vm(vmid()).vnc_proxy().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{port}: {error}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_not_tried_again() {
    let server = server(|_| Reply::Cut).await;
    let proxy = server.client().vm(vmid()).vnc_proxy().await.unwrap();
    let error = proxy.connect().await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    let asked = server
        .lines()
        .iter()
        .filter(|line| line.contains("vncwebsocket"))
        .count();
    assert_eq!(asked, 1);
}
