//! Consoles: tickets, the WebSocket's rules, VNC authentication, the screen.

use pve_sim::{Action, Control, Major, Options};
use serde_json::Value;

use crate::lab::{AUDITOR, Lab, PANEL};
use crate::viewer::{HANDSHAKE, Opened, Viewer, ticket};

const PROXY: &str = "/nodes/pve1/qemu/100/vncproxy";

/// Slower than other tests: a port waits ten seconds for its connection, which must be a time that a busy machine has.
const TIME_SCALE: f64 = 5.0;

async fn lab() -> Lab {
    Lab::with(Options {
        time_scale: TIME_SCALE,
        ..Options::default()
    })
    .await
}

async fn old(pve: Major) -> Lab {
    Lab::with(Options {
        pve,
        time_scale: TIME_SCALE,
        old_vnc_tickets: true,
        ..Options::default()
    })
    .await
}

fn text(control: &Control, vmid: u32) -> String {
    control.console(vmid).map(|view| view.text()).unwrap_or_default()
}

#[tokio::test]
async fn a_console_shows_the_prompt_and_echoes_what_is_typed() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    let (width, height, name) = viewer.begin(&given.password).await;
    assert_eq!((width, height, name.as_str()), (720, 400, "QEMU (web1)"));
    viewer.small_pixels().await;
    viewer.encodings(&[0]).await;
    viewer.request(false, (width, height)).await;
    let first = viewer.update().await;
    assert_eq!(first.len(), 25, "every line of text is a band");
    assert!(first.iter().any(|(_, _, lit)| *lit), "there is something to see");
    assert!(text(&lab.control(), 100).ends_with("web1 login:"));

    viewer.request(true, (width, height)).await;
    viewer.key(u32::from('r')).await;
    let change = viewer.update().await;
    assert_eq!(change.len(), 1, "only the line with the prompt: {change:?}");
    assert!(text(&lab.control(), 100).ends_with("web1 login: r"));
    viewer.line("oot").await;
    viewer.line("a password").await;
    viewer.line("hostname").await;
    lab.until("the guest answers", |control| {
        text(control, 100).ends_with("root@web1:~# hostname\nweb1\nroot@web1:~#")
    })
    .await;
    assert!(!text(&lab.control(), 100).contains("a password"));
    assert!(viewer.largest_frame <= 128 * 1024);
}

#[tokio::test]
async fn the_answer_has_all_that_a_client_needs_in_both_ages() {
    for pve in [Major::V8, Major::V9] {
        let lab = Lab::with(Options {
            pve,
            time_scale: TIME_SCALE,
            ..Options::default()
        })
        .await;
        let given = ticket(&lab, "pve1", 100).await;
        assert_eq!(given.data["user"], "portico@pve!panel");
        assert_eq!(given.data["cert"], lab.handle.certificate_pem());
        assert_eq!(given.data["port"], "5900", "a text");
        assert_eq!(given.password.len(), 8);
        assert!(given.ticket.starts_with(&format!("{}:PVEVNC:", given.password)));

        let lab = old(pve).await;
        let given = ticket(&lab, "pve1", 100).await;
        assert_eq!(given.data["port"], 5900, "a number");
        assert_eq!(given.data["password"], Value::Null);
        assert!(given.ticket.starts_with("PVEVNC:"));
        let form = [("websocket", "1"), ("generate-password", "1")];
        let with = Opened::of(lab.post(PROXY, &form).await.data());
        assert!(with.ticket.starts_with("PVEVNC:") && with.password.len() == 8);
        assert_eq!(with.port, "5901", "the first one still waits");
        for given in [given, with] {
            let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
            assert_eq!(viewer.authenticate(&given.password).await, 0);
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_with_a_reason_and_the_task_fails() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    assert_eq!(viewer.authenticate("wrong").await, 1);
    let length = viewer.read_u32().await;
    let reason = viewer.read(usize::try_from(length).unwrap()).await;
    assert_eq!(reason, b"Authentication failed");
    assert!(viewer.ends().await);
    assert_eq!(lab.exit_of(&given.upid).await, "Failed to run vncproxy.");
}

#[tokio::test]
async fn a_password_is_good_for_thirty_seconds() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    // Once the server has spoken, its time runs.
    assert_eq!(viewer.read(12).await.len(), 12);
    let late = Action::SetClockSkew { seconds: 31 };
    lab.control().act(late).unwrap();
    viewer.say(b"RFB 003.008\n").await;
    viewer.read(2).await;
    viewer.say(&[2]).await;
    viewer.read(16).await;
    viewer.say(&[0; 16]).await;
    assert_eq!(viewer.read_u32().await, 1);
}

#[tokio::test]
async fn a_port_waits_ten_seconds() {
    let lab = Lab::with(Options {
        time_scale: 1000.0,
        ..Options::default()
    })
    .await;
    let given = ticket(&lab, "pve1", 100).await;
    assert_eq!(lab.exit_of(&given.upid).await, "connection timed out");
    let headers = format!("Authorization: {PANEL}\r\n{HANDSHAKE}");
    let path = given.path("pve1", 100);
    assert!(
        Viewer::ask(&lab, lab.handle.addr(), &path, &headers)
            .await
            .is_none(),
        "nobody waits any more"
    );
}

#[tokio::test]
async fn a_port_takes_one_connection() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let first = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    let headers = format!("Authorization: {PANEL}\r\n{HANDSHAKE}");
    let path = given.path("pve1", 100);
    let second = Viewer::ask(&lab, lab.handle.addr(), &path, &headers).await;
    assert!(second.is_none(), "the place is taken");
    drop(first);
}

#[tokio::test]
async fn a_viewer_that_leaves_ends_the_task_well() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.begin(&given.password).await;
    viewer.frame(0x88, true, &1000_u16.to_be_bytes()).await;
    assert!(viewer.ends().await, "without a close frame, as pveproxy does");
    assert_eq!(lab.exit_of(&given.upid).await, "OK");
}

#[tokio::test]
async fn a_stopped_vm_gives_a_ticket_and_the_connection_dies_at_once() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 102).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 102, &given, PANEL).await;
    assert!(viewer.ends().await);
    assert_eq!(lab.exit_of(&given.upid).await, "Failed to run vncproxy.");
    let answer = lab.post("/nodes/pve1/qemu/777/vncproxy", &[]).await;
    assert_eq!(answer.status, 500);
    assert_eq!(
        answer.reason,
        "Configuration file 'nodes/pve1/qemu-server/777.conf' does not exist"
    );
}

#[tokio::test]
async fn a_vm_that_stops_or_moves_takes_its_consoles_along() {
    for action in [
        Action::SetRunning {
            vmid: 100,
            running: false,
        },
        Action::MoveVm {
            vmid: 100,
            node: "pve2".to_owned(),
        },
        Action::SetNodeOnline {
            node: "pve1".to_owned(),
            online: false,
            stale: false,
        },
        Action::SetApiDown { down: true },
    ] {
        let lab = lab().await;
        let given = ticket(&lab, "pve1", 100).await;
        let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
        viewer.begin(&given.password).await;
        lab.control().act(action).unwrap();
        assert!(viewer.ends().await);
    }
}

#[tokio::test]
async fn tickets_are_bound_to_time_holder_vm_and_port() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let ask = |path: String, token: &str| {
        let headers = format!("Authorization: {token}\r\n{HANDSHAKE}");
        let lab = &lab;
        async move {
            let (mut viewer, greeting) = Viewer::ask(lab, lab.handle.addr(), &path, &headers)
                .await
                .unwrap();
            (greeting, String::from_utf8(viewer.read_raw().await).unwrap())
        }
    };
    let invalid = "permission denied - invalid PVEVNC ticket";
    let other_port = Opened {
        port: "5950".to_owned(),
        ..given.clone()
    };
    let (greeting, _) = ask(given.path("pve1", 100), AUDITOR).await;
    assert_eq!(greeting.status, 403, "an auditor may not look: {}", greeting.head);
    for path in [given.path("pve1", 101), other_port.path("pve1", 100)] {
        let (greeting, body) = ask(path, PANEL).await;
        assert_eq!(greeting.status, 401);
        assert!(greeting.head.starts_with(&format!("HTTP/1.1 401 {invalid}\r\n")));
        assert!(
            body.contains(invalid),
            "with a body, as refusals by a handler have: {body}"
        );
    }
    for (skew, status) in [(-25, 401), (60, 401)] {
        lab.control().act(Action::SetClockSkew { seconds: skew }).unwrap();
        let (greeting, _) = ask(given.path("pve1", 100), PANEL).await;
        assert_eq!(greeting.status, status, "{skew}");
    }
    lab.control().act(Action::SetClockSkew { seconds: 0 }).unwrap();
    let unknown = Viewer::ask(&lab, lab.handle.addr(), &given.path("pve1", 100), HANDSHAKE).await;
    let head = unknown.unwrap().1.head;
    assert!(head.starts_with("HTTP/1.1 401 No ticket\r\n"), "{head}");
}

#[tokio::test]
async fn another_auth_id_with_the_same_rights_does_not_fit_the_ticket() {
    let mut lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    lab.root().await;
    let path = given.path("pve1", 100).replace("/api2/json", "");
    let answer = lab.get(&path).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.reason, "permission denied - invalid PVEVNC ticket");
}

#[tokio::test]
async fn a_cookie_serves_as_well_as_a_token_and_without_upgrade_there_is_an_answer() {
    let mut lab = lab().await;
    lab.root().await;
    let given = ticket(&lab, "pve2", 104).await;
    assert!(
        given.upid.as_str().unwrap().starts_with("UPID:pve1:"),
        "not forwarded"
    );
    let path = given.path("pve2", 104);
    let plain = lab.get(&path.replace("/api2/json", "")).await.data();
    assert_eq!(plain["port"], given.port);
    let headers = format!("{}{HANDSHAKE}", lab.header_lines());
    let (mut viewer, greeting) = Viewer::ask(&lab, lab.handle.addr(), &path, &headers)
        .await
        .unwrap();
    assert_eq!(greeting.status, 101);
    assert!(
        greeting
            .head
            .to_lowercase()
            .contains("sec-websocket-protocol: binary\r\n")
    );
    assert_eq!(viewer.begin(&given.password).await.2, "QEMU (windows)");
}

#[tokio::test]
async fn a_port_is_only_on_the_host_that_opened_it() {
    let lab = Lab::with(Options {
        time_scale: TIME_SCALE,
        more_hosts: vec![([127, 0, 0, 1], 0).into()],
        ..Options::default()
    })
    .await;
    let given = ticket(&lab, "pve1", 100).await;
    let (path, headers) = (
        given.path("pve1", 100),
        format!("Authorization: {PANEL}\r\n{HANDSHAKE}"),
    );
    let [first, second] = lab.handle.hosts() else {
        unreachable!("two addresses were given")
    };
    assert!(Viewer::ask(&lab, *second, &path, &headers).await.is_none());
    let (_, greeting) = Viewer::ask(&lab, *first, &path, &headers).await.unwrap();
    assert_eq!(greeting.status, 101);
}

#[tokio::test]
async fn a_handshake_that_is_not_right_is_refused_in_words() {
    let lab = lab().await;
    for (wrong, instead, reason) in [
        ("Version: 13", "Version: 12", "unsupported websocket-version '12'"),
        ("Sec-WebSocket-Key", "X-Key", "missing websocket-key"),
        (
            "Upgrade: websocket",
            "Upgrade: h2c",
            "unable to upgrade to protocol 'h2c'",
        ),
    ] {
        let given = ticket(&lab, "pve1", 100).await;
        let headers = format!(
            "Authorization: {PANEL}\r\n{}",
            HANDSHAKE.replacen(wrong, instead, 1)
        );
        let path = given.path("pve1", 100);
        let (_, greeting) = Viewer::ask(&lab, lab.handle.addr(), &path, &headers)
            .await
            .unwrap();
        let expected = format!("HTTP/1.1 501 {reason}\r\n");
        assert!(greeting.head.starts_with(&expected), "{}", greeting.head);
    }
}

#[tokio::test]
async fn frames_against_the_rules_end_the_connection() {
    let lab = lab().await;
    let large = vec![0; 128 * 1024 + 1];
    for (first, masked, payload) in [
        (0x82, false, &b"RFB 003.008\n"[..]),
        (0x02, true, b"RFB 003.008\n"),
        (0xC2, true, b"RFB 003.008\n"),
        (0x83, true, b"x"),
        (0x82, true, &large),
    ] {
        let given = ticket(&lab, "pve1", 100).await;
        let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
        viewer.frame(first, masked, payload).await;
        assert!(viewer.ends().await, "{first:#x} {masked}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_and_text_counts_as_data() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.frame(0x89, true, b"are you there").await;
    while viewer.pongs.is_empty() {
        assert!(viewer.receive().await);
    }
    assert_eq!(viewer.pongs, [b"are you there".to_vec()]);
    assert_eq!(viewer.read(12).await.len(), 12);
    viewer.frame(0x81, true, b"RFB 003.008\n").await;
    assert_eq!(viewer.read(2).await, [1, 2]);
}

#[tokio::test]
async fn the_screen_resizes_for_everybody_who_looks() {
    let lab = lab().await;
    let mut viewers = Vec::new();
    for _ in 0..2 {
        let given = ticket(&lab, "pve1", 100).await;
        let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
        viewer.begin(&given.password).await;
        viewer.small_pixels().await;
        viewer.encodings(&[0, -308]).await;
        let told = viewer.update().await;
        assert_eq!(told, [([0, 0, 720, 400], -308, false)], "that it can resize");
        viewer.request(false, (720, 400)).await;
        viewer.update().await;
        viewer.request(true, (720, 400)).await;
        viewers.push(viewer);
    }
    let mut wish = vec![251, 0, 4, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    wish.extend([4, 0, 3, 0, 0, 0, 0, 0]);
    viewers[0].say(&wish).await;
    let told = viewers[0].update().await;
    assert_eq!(told, [([1, 0, 1024, 768], -308, false)], "by its own wish, done");
    assert_eq!(viewers[0].update().await.len(), 48, "all bands anew");
    let told = viewers[1].update().await;
    assert_eq!(told, [([0, 0, 1024, 768], -308, false)]);
    let bands = viewers[1].update().await;
    assert_eq!(bands.len(), 48);
    assert!(bands.iter().any(|(_, _, lit)| *lit));
    assert_eq!(lab.control().console(100).unwrap().pixels, (1024, 768));

    let mut wish = vec![251, 0, 0xFF, 0xFF, 0, 100, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    wish.extend([0xFF, 0xFF, 0, 100, 0, 0, 0, 0]);
    viewers[0].say(&wish).await;
    let told = viewers[0].update().await;
    assert_eq!(told, [([1, 2, 1024, 768], -308, false)], "out of resources");
    viewers[0].say(&[251, 0, 4, 0, 3, 0, 0, 0]).await;
    let told = viewers[0].update().await;
    assert_eq!(told, [([1, 3, 1024, 768], -308, false)], "no monitor");
}

#[tokio::test]
async fn the_pointer_is_drawn_and_keys_come_by_qemus_message_too() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.begin(&given.password).await;
    viewer.small_pixels().await;
    viewer.encodings(&[6, 0, -258]).await;
    assert_eq!(viewer.update().await, [([0, 0, 720, 400], -258, false)]);
    viewer.request(false, (720, 400)).await;
    assert!(
        viewer
            .update()
            .await
            .iter()
            .all(|(_, encoding, _)| *encoding == 6)
    );
    viewer.request(true, (720, 400)).await;
    viewer.say(&[5, 0, 1, 0, 0, 200]).await;
    let change = viewer.update().await;
    assert!((1..=2).contains(&change.len()), "{change:?}");
    assert_eq!(lab.control().console(100).unwrap().pointer, Some((256, 200, 0)));
    viewer.say(&[255, 0, 0, 1, 0, 0, 0, b'x', 0, 0, 0, 0x2D]).await;
    viewer.say(&[6, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]).await;
    viewer.key(u32::from('y')).await;
    lab.until("both keys arrive", |control| {
        text(control, 100).ends_with("login: xy")
    })
    .await;
}

#[tokio::test]
async fn a_client_that_only_knows_the_plain_size_is_told_it_and_one_that_knows_none_is_not() {
    let lab = lab().await;
    let mut viewers = Vec::new();
    for encodings in [&[0, -308][..], &[0, -223], &[0]] {
        let given = ticket(&lab, "pve1", 100).await;
        let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
        viewer.begin(&given.password).await;
        viewer.small_pixels().await;
        viewer.encodings(encodings).await;
        if viewers.is_empty() {
            viewer.update().await;
        }
        viewer.request(false, (720, 400)).await;
        viewer.update().await;
        viewer.request(true, (720, 400)).await;
        viewers.push(viewer);
    }
    // Smaller than it was: 360×208, 40 columns and 13 rows.
    let mut wish = vec![251, 0, 1, 104, 0, 208, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    wish.extend([1, 104, 0, 208, 0, 0, 0, 0]);
    viewers[0].say(&wish).await;
    assert_eq!(viewers[1].update().await, [([0, 0, 360, 208], -223, false)]);
    assert_eq!(viewers[1].update().await.len(), 13);
    let bands = viewers[2].update().await;
    assert!(
        bands
            .iter()
            .all(|(place, encoding, _)| place[2] == 720 && *encoding == 0),
        "its own size: {bands:?}"
    );
    assert!(text(&lab.control(), 100).ends_with("web1 login:"));
}

#[tokio::test]
async fn a_client_that_wants_a_map_of_colours_gets_one() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.begin(&given.password).await;
    viewer
        .say(&[0, 0, 0, 0, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .await;
    assert_eq!(viewer.read(6).await, [1, 0, 0, 0, 0, 4]);
    assert_eq!(viewer.read(24).await[6..12], [0xAA; 6], "the second is grey");
    viewer.request(false, (720, 400)).await;
    assert_eq!(viewer.update().await.len(), 25);
}

#[tokio::test]
async fn without_websocket_the_port_speaks_tls_which_nobody_does_through_a_websocket() {
    let lab = lab().await;
    let given = Opened::of(lab.post(PROXY, &[]).await.data());
    assert_eq!(given.password.len(), 8, "told all the same");
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.say(b"RFB 003.008\n").await;
    assert!(viewer.read(1).await.is_empty(), "no word, and the end");
    assert_eq!(lab.exit_of(&given.upid).await, "Failed to run vncproxy.");
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_nothing_else() {
    let lab = lab().await;
    for said in [
        &[0; 20][..],
        &[2, 0, 0xFF, 0xFF],
        &[6, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF],
        &[99],
        &[255, 9],
    ] {
        let given = ticket(&lab, "pve1", 100).await;
        let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
        viewer.begin(&given.password).await;
        viewer.say(said).await;
        assert!(viewer.ends().await, "{said:?}");
    }
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.begin(&given.password).await;
}

#[tokio::test]
async fn a_reset_boots_the_guest_again_and_a_paused_one_hears_nothing() {
    let mut lab = lab().await;
    lab.root().await;
    assert!(text(&lab.control(), 100).ends_with("web1 login:"));
    let given = ticket(&lab, "pve2", 103).await;
    let headers = format!("{}{HANDSHAKE}", lab.header_lines());
    let path = given.path("pve2", 103);
    let (mut viewer, _) = Viewer::ask(&lab, lab.handle.addr(), &path, &headers)
        .await
        .unwrap();
    viewer.begin(&given.password).await;
    viewer.line("hello").await;
    viewer.frame(0x89, true, b"x").await;
    while viewer.pongs.is_empty() {
        assert!(viewer.receive().await);
    }
    assert!(!text(&lab.control(), 103).contains("hello"), "it is paused");

    let given = ticket(&lab, "pve1", 100).await;
    let path = given.path("pve1", 100);
    let (mut viewer, _) = Viewer::ask(&lab, lab.handle.addr(), &path, &headers)
        .await
        .unwrap();
    viewer.begin(&given.password).await;
    viewer.line("somebody").await;
    lab.until("the name is echoed", |control| {
        text(control, 100).contains("somebody")
    })
    .await;
    assert_eq!(lab.run("/nodes/pve1/qemu/100/status/reset", &[]).await, "OK");
    lab.until("the guest asks again", |control| {
        let text = text(control, 100);
        text.ends_with("web1 login:") && !text.contains("somebody")
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_stopped_ends_its_console() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    viewer.begin(&given.password).await;
    let upid = given.upid.as_str().unwrap();
    assert_eq!(lab.delete(&format!("/nodes/pve1/tasks/{upid}")).await.status, 200);
    assert!(viewer.ends().await);
    assert_eq!(lab.exit_of(&given.upid).await, "interrupted by signal");
}

#[tokio::test]
async fn tickets_are_not_in_the_request_log() {
    let lab = lab().await;
    let given = ticket(&lab, "pve1", 100).await;
    Viewer::connect(&lab, "pve1", 100, &given, PANEL).await;
    let log = format!("{:?}", lab.control().request_log(10));
    assert!(log.contains("vncwebsocket") && !log.contains("PVEVNC"), "{log}");
}
