//! Proves serial terminals and keys by name: who gets in, what is said, that both reach the VM's screen.

use pve_sim::{Action, Control, Major, Options};
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab, PANEL};
use crate::viewer::{HANDSHAKE, Opened, Viewer};

const PANEL_USER: &str = "portico@pve!panel";

/// A lab whose VM 102 is off and has a serial line.
async fn with(old_vnc_tickets: bool) -> Lab {
    let lab = Lab::with(Options {
        // A port waits ten seconds for its connection, which must be a time that a busy machine has.
        time_scale: 5.0,
        old_vnc_tickets,
        ..Options::default()
    })
    .await;
    let form = [("serial0", "socket")];
    lab.put("/nodes/pve1/qemu/102/config", &form).await.data();
    lab
}

/// The same, and the VM runs.
async fn running() -> Lab {
    let lab = with(false).await;
    set_running(&lab, 102, true);
    lab
}

fn set_running(lab: &Lab, vmid: u32, running: bool) {
    lab.act(Action::SetRunning { vmid, running });
}

fn screen(control: &Control, vmid: u32) -> String {
    control.console(vmid).map(|view| view.text()).unwrap_or_default()
}

async fn open(lab: &Lab, vmid: u32, form: &[(&str, &str)]) -> Opened {
    let path = format!("/nodes/pve1/qemu/{vmid}/termproxy");
    Opened::of(lab.post(&path, form).await.data())
}

/// Connects and logs in.
async fn attach(lab: &Lab, vmid: u32, given: &Opened, user: &str) -> Viewer {
    let mut viewer = Viewer::connect(lab, "pve1", vmid, given, PANEL).await;
    viewer.say(format!("{user}:{}\n", given.ticket).as_bytes()).await;
    viewer
}

/// Reads until a text comes.
async fn expect(viewer: &mut Viewer, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let byte = viewer.read(1).await;
        assert!(!byte.is_empty(), "the connection ended after {seen:?}");
        seen.extend(byte.into_iter().map(char::from));
    }
    seen
}

async fn type_in(viewer: &mut Viewer, text: &str) {
    viewer.say(format!("0:{}:{text}", text.len()).as_bytes()).await;
}

#[tokio::test]
async fn a_terminal_shows_the_text_and_takes_keys() {
    let lab = running().await;
    let given = open(&lab, 102, &[]).await;
    assert_eq!(given.data["user"], PANEL_USER);
    assert_eq!(given.data["port"], json!(5900), "a number");
    assert!(given.ticket.starts_with("PVEVNC:"));
    assert!(given.upid.as_str().unwrap().contains(":vncproxy:102:"));
    let mut viewer = attach(&lab, 102, &given, PANEL_USER).await;
    let begin = expect(&mut viewer, "interface serial0\r\n").await;
    assert_eq!(begin, "OKstarting serial terminal on interface serial0\r\n");
    viewer.say(b"1:80:24:").await;
    viewer.say(b"2").await;
    expect(&mut viewer, "staging login:").await;
    type_in(&mut viewer, "root\rsecret\rhostname\r").await;
    expect(&mut viewer, "root@staging:~# hostname\x1b[K\r\nstaging").await;
    assert!(screen(&lab.control(), 102).ends_with("staging\nroot@staging:~#"));
    type_in(&mut viewer, "echo x\x7fy\x03").await;
    expect(&mut viewer, "echo y^C").await;
}

#[tokio::test]
async fn who_has_no_ticket_of_the_port_does_not_get_in() {
    let lab = running().await;
    for (user, change) in [("root@pam", ""), (PANEL_USER, "AAA=")] {
        let given = open(&lab, 102, &[]).await;
        let mut viewer = Viewer::connect(&lab, "pve1", 102, &given, PANEL).await;
        let login = format!("{user}:{}{change}\n", given.ticket);
        viewer.say(login.as_bytes()).await;
        assert!(viewer.ends().await, "{login}");
        let exit = lab.exit_of(&given.upid).await;
        assert!(exit.starts_with("command '/usr/bin/termproxy 59"), "{exit}");
        assert!(exit.ends_with("failed: exit code 1"), "{exit}");
    }
    let given = open(&lab, 102, &[]).await;
    let mut viewer = Viewer::connect(&lab, "pve1", 102, &given, PANEL).await;
    viewer.say(&vec![b'x'; 20_000]).await;
    assert!(viewer.ends().await);
}

#[tokio::test]
async fn what_is_wrong_with_the_line_is_told_in_the_terminal() {
    let lab = with(false).await;
    set_running(&lab, 102, true);
    for (vmid, form, told) in [
        (100, &[][..], "unable to find a serial interface"),
        (
            102,
            &[("serial", "serial1")][..],
            "serial interface 'serial1' is not configured",
        ),
    ] {
        let given = open(&lab, vmid, form).await;
        let mut viewer = attach(&lab, vmid, &given, PANEL_USER).await;
        assert_eq!(expect(&mut viewer, "\r\n").await, format!("OK{told}\r\n"));
        assert!(viewer.ends().await);
        assert!(lab.exit_of(&given.upid).await.ends_with("failed: exit code 1"));
    }
    set_running(&lab, 102, false);
    let given = open(&lab, 102, &[]).await;
    let mut viewer = attach(&lab, 102, &given, PANEL_USER).await;
    assert_eq!(expect(&mut viewer, "\r\n").await, "OKVM 102 not running\r\n");
}

#[tokio::test]
async fn a_terminal_ends_with_its_vm_and_with_nonsense() {
    let lab = running().await;
    let given = open(&lab, 102, &[]).await;
    let mut viewer = attach(&lab, 102, &given, PANEL_USER).await;
    expect(&mut viewer, "serial0\r\n").await;
    viewer.say(b"9:nonsense").await;
    assert!(viewer.ends().await);
    let given = open(&lab, 102, &[]).await;
    let mut viewer = attach(&lab, 102, &given, PANEL_USER).await;
    expect(&mut viewer, "serial0\r\n").await;
    set_running(&lab, 102, false);
    assert!(viewer.ends().await);
    assert!(lab.exit_of(&given.upid).await.ends_with("failed: exit code 1"));
}

#[tokio::test]
async fn before_the_fix_tokens_were_refused_in_the_terminal_and_users_were_not() {
    let mut lab = with(true).await;
    set_running(&lab, 102, true);
    let given = open(&lab, 102, &[]).await;
    let mut viewer = attach(&lab, 102, &given, PANEL_USER).await;
    assert!(viewer.ends().await);
    lab.root().await;
    let given = open(&lab, 102, &[]).await;
    let headers = format!("{HANDSHAKE}{}", lab.header_lines());
    let asked = Viewer::ask(&lab, lab.handle.addr(), &given.path("pve1", 102), &headers).await;
    let (mut viewer, greeting) = asked.unwrap();
    assert_eq!(greeting.status, 101);
    let login = format!("root@pam:{}\n", given.ticket);
    viewer.say(login.as_bytes()).await;
    expect(&mut viewer, "OKstarting serial terminal").await;
}

#[tokio::test]
async fn nobody_who_comes_in_time_is_an_error_of_the_task() {
    let lab = running().await;
    let given = open(&lab, 102, &[]).await;
    assert_eq!(lab.exit_of(&given.upid).await, "connection timed out");
    let answer = lab.post("/nodes/pve1/qemu/555/termproxy", &[]).await;
    assert!(answer.reason.ends_with("555.conf' does not exist"));
    let answer = lab
        .post("/nodes/pve1/qemu/102/termproxy", &[("serial", "serial9")])
        .await;
    assert!(
        answer
            .error("serial")
            .contains("enumeration 'serial0, serial1, serial2, serial3'")
    );
}

const SENDKEY: &str = "/nodes/pve1/qemu/100/sendkey";

async fn send(lab: &Lab, keys: &str) {
    for key in keys.split(' ') {
        let answer = lab.put(SENDKEY, &[("key", key)]).await;
        assert_eq!(answer.data(), Value::Null, "{key}");
    }
}

#[tokio::test]
async fn keys_by_name_reach_the_screen() {
    for pve in [Major::V8, Major::V9] {
        let lab = Lab::with(Options {
            pve,
            time_scale: 100.0,
            ..Options::default()
        })
        .await;
        send(&lab, "r o x backspace o t").await;
        assert!(screen(&lab.control(), 100).ends_with("web1 login: root"));
        send(&lab, "ret ret e c h o spc shift-a dot 1 ret").await;
        assert!(screen(&lab.control(), 100).ends_with("\nA.1\nroot@web1:~#"));
        send(&lab, "ctrl-alt-delete").await;
        assert!(screen(&lab.control(), 100).starts_with("SeaBIOS"));
    }
}

#[tokio::test]
async fn keys_that_cannot_be_sent_are_refused() {
    let mut lab = Lab::new().await;
    let answer = lab.put(SENDKEY, &[("key", "ctrl-enter")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "invalid parameter: enter")
    );
    let answer = lab.put("/nodes/pve1/qemu/102/sendkey", &[("key", "a")]).await;
    assert_eq!(answer.reason, "VM 102 not running");
    let form = [("key", "a"), ("skiplock", "1")];
    assert_eq!(
        lab.put(SENDKEY, &form).await.error("skiplock"),
        "Only root may use this option."
    );
    lab.use_token(AUDITOR);
    let answer = lab.put(SENDKEY, &[("key", "a")]).await;
    assert_eq!(answer.reason, "Permission check failed (/vms/100, VM.Console)");
    let answer = lab.post("/nodes/pve1/qemu/100/termproxy", &[]).await;
    assert_eq!(answer.reason, "Permission check failed (/vms/100, VM.Console)");
}
