//! Consoles: from `vncproxy` to the prompt on the screen, by a small VNC client of this file.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use des::Des;
use des::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use futures_channel::mpsc;
use futures_util::{SinkExt as _, StreamExt as _};
use portico_proxmox::console::{
    BrowserMessage, ConsoleSocket, RelayEnd, RelayLimits, RelayReport, ToBrowser, relay,
};
use portico_proxmox::{ApiToken, Client, ClusterConfig, Error, NoObserver, Secret, Trust, Vm, VmId};
use pve_sim::{Action, Handle, Major, Options, Simulator};
use tokio_util::sync::CancellationToken;

const TOKEN: (&str, &str) = ("portico@pve!panel", "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4");
const PATIENCE: Duration = Duration::from_secs(20);

async fn simulator(options: Options) -> Handle {
    Simulator::start(Options {
        time_scale: 100.0,
        ..options
    })
    .await
    .unwrap()
}

/// A client of the simulator's hosts, in this order.
fn client(handle: &Handle, hosts: impl IntoIterator<Item = usize>, token: (&str, &str)) -> Client {
    let endpoints = hosts
        .into_iter()
        .map(|host| format!("https://{}", handle.hosts()[host]).parse().unwrap())
        .collect();
    let token = ApiToken::new(token.0, Secret::new(token.1)).unwrap();
    let trust = Trust::Fingerprints(vec![handle.fingerprint().parse().unwrap()]);
    let config = ClusterConfig::new("sim", endpoints, token, trust);
    Client::new(config, Arc::new(NoObserver)).unwrap()
}

fn vm(handle: &Handle, vmid: u32) -> Vm {
    client(handle, [0], TOKEN).vm(VmId::new(vmid).unwrap())
}

/// Bytes in and out, however they are carried.
trait Wire {
    async fn send(&mut self, data: Bytes);
    async fn receive(&mut self) -> Option<Bytes>;
}

impl Wire for ConsoleSocket {
    async fn send(&mut self, data: Bytes) {
        // A server that has hung up shows when something is received.
        let _ = ConsoleSocket::send(self, data).await;
    }

    async fn receive(&mut self) -> Option<Bytes> {
        ConsoleSocket::receive(self).await.unwrap()
    }
}

/// A browser at the far end of a relay.
struct Browser {
    says: mpsc::Sender<BrowserMessage>,
    hears: mpsc::Receiver<ToBrowser>,
    closed: Option<u16>,
}

impl Wire for Browser {
    async fn send(&mut self, data: Bytes) {
        self.says.send(BrowserMessage::Data(data)).await.unwrap();
    }

    async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.hears.next().await? {
                ToBrowser::Data(data) => return Some(data),
                ToBrowser::Ping => {}
                ToBrowser::Close { code, .. } => {
                    self.closed = Some(code);
                    return None;
                }
            }
        }
    }
}

/// A VNC client that knows just enough.
struct Viewer<W> {
    wire: W,
    inbox: BytesMut,
}

impl<W: Wire> Viewer<W> {
    fn new(wire: W) -> Self {
        Self {
            wire,
            inbox: BytesMut::new(),
        }
    }

    /// Some bytes; fewer when the connection ends before.
    async fn read(&mut self, count: usize) -> Bytes {
        while self.inbox.len() < count {
            match tokio::time::timeout(PATIENCE, self.wire.receive()).await.unwrap() {
                Some(data) => self.inbox.extend(data),
                None => break,
            }
        }
        self.inbox.split_to(count.min(self.inbox.len())).freeze()
    }

    async fn say(&mut self, data: &[u8]) {
        self.wire.send(Bytes::copy_from_slice(data)).await;
    }

    /// Speaks up to the server's verdict on the password.
    async fn authenticate(&mut self, password: &str) -> u32 {
        assert_eq!(self.read(12).await, "RFB 003.008\n");
        self.say(b"RFB 003.008\n").await;
        assert_eq!(&self.read(2).await[..], [1, 2]);
        self.say(&[2]).await;
        let challenge = self.read(16).await;
        let mut key = [0; 8];
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
        self.read(4).await.get_u32()
    }

    /// The name of the desktop, with everything before it.
    async fn begin(&mut self, password: &str) -> String {
        assert_eq!(self.authenticate(password).await, 0);
        self.say(&[1]).await;
        let length = self.read(24).await.slice(20..).get_u32();
        String::from_utf8(self.read(usize::try_from(length).unwrap()).await.to_vec()).unwrap()
    }

    async fn ask_for_everything(&mut self) {
        self.say(&[3, 0, 0, 0, 0, 0, 0x02, 0xD0, 0x01, 0x90]).await;
    }

    /// How many pixels of a whole picture are lit.
    async fn picture(&mut self) -> usize {
        self.ask_for_everything().await;
        let mut lit = 0;
        for _ in 0..self.read(4).await.slice(2..).get_u16() {
            let mut head = self.read(12).await;
            head.advance(4);
            let pixels = usize::from(head.get_u16()) * usize::from(head.get_u16());
            assert_eq!(head.get_i32(), 0, "raw, as nothing else was named");
            let data = self.read(4 * pixels).await;
            lit += data
                .chunks(4)
                .filter(|pixel| pixel.iter().any(|b| *b != 0))
                .count();
        }
        lit
    }

    async fn press(&mut self, keysym: u32) {
        for down in [1, 0] {
            let mut message = BytesMut::from(&[4, down, 0, 0][..]);
            message.put_u32(keysym);
            self.say(&message).await;
        }
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn text(handle: &Handle, vmid: u32) -> String {
    let console = handle.control().console(vmid);
    console.map(|console| console.text()).unwrap_or_default()
}

/// How the tasks `vncproxy` of a VM ended.
fn exits(handle: &Handle, vmid: u32) -> Vec<Option<String>> {
    let tasks = handle.control().tasks().into_iter();
    tasks
        .filter(|task| task.kind == "vncproxy" && task.id == vmid.to_string())
        .map(|task| task.exit)
        .collect()
}

#[tokio::test]
async fn from_the_ticket_to_the_prompt_in_all_versions() {
    for pve in [Major::V8, Major::V9] {
        for old_vnc_tickets in [false, true] {
            let handle = simulator(Options {
                pve,
                old_vnc_tickets,
                ..Options::default()
            })
            .await;
            let proxy = vm(&handle, 100).vnc_proxy().await.unwrap();
            assert_eq!((proxy.port(), proxy.node().as_str()), (5900, "pve1"));
            let password = proxy.password().expose().to_owned();
            assert!(
                password.len() == 8 && !password.starts_with("PVEVNC"),
                "never the guessable one"
            );
            assert_eq!(proxy.upid().unwrap().kind(), "vncproxy");
            let mut viewer = Viewer::new(proxy.connect().await.unwrap());
            assert_eq!(viewer.begin(&password).await, "QEMU (web1)");
            assert!(viewer.picture().await > 1_000, "there is text on the screen");
            viewer.press(u32::from('r')).await;
            until("the key is echoed", || {
                text(&handle, 100).ends_with("web1 login: r")
            })
            .await;
            viewer.wire.close().await;
            until("the task ends well", || {
                exits(&handle, 100) == [Some("OK".to_owned())]
            })
            .await;
            handle.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_wrong_password_ends_the_connection_after_a_reason() {
    let handle = simulator(Options::default()).await;
    let proxy = vm(&handle, 100).vnc_proxy().await.unwrap();
    let mut viewer = Viewer::new(proxy.connect().await.unwrap());
    assert_eq!(viewer.authenticate("wrong").await, 1);
    assert_eq!(&viewer.read(1000).await[4..], b"Authentication failed");
}

#[tokio::test]
async fn a_stopped_vm_has_a_ticket_and_a_connection_that_ends_at_once() {
    let handle = simulator(Options::default()).await;
    let proxy = vm(&handle, 102).vnc_proxy().await.unwrap();
    let mut socket = proxy.connect().await.unwrap();
    assert!(socket.receive().await.unwrap().is_none());
}

#[tokio::test]
async fn an_old_ticket_is_unauthorized_and_a_late_one_finds_nobody() {
    let handle = simulator(Options::default()).await;
    let proxy = vm(&handle, 100).vnc_proxy().await.unwrap();
    handle
        .control()
        .act(Action::SetClockSkew { seconds: 60 })
        .unwrap();
    let error = proxy.connect().await.unwrap_err();
    assert!(
        matches!(&error, Error::Unauthorized { text, .. } if text == "permission denied - invalid PVEVNC ticket"),
        "{error}"
    );
    assert!(
        !format!("{error} {error:?}").contains("PVEVNC:"),
        "without the ticket"
    );

    let proxy = vm(&handle, 101).vnc_proxy().await.unwrap();
    until("nobody came", || {
        exits(&handle, 101) == [Some("connection timed out".to_owned())]
    })
    .await;
    let error = proxy.connect().await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    let asked = handle
        .control()
        .requests_to("GET", "/nodes/{node}/qemu/{vmid}/vncwebsocket");
    assert_eq!(asked, 2, "and nothing was tried twice");
}

#[tokio::test]
async fn without_the_right_there_is_no_console() {
    let handle = simulator(Options::default()).await;
    let auditor = ("auditor@pve!read", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed");
    let vm = client(&handle, [0], auditor).vm(VmId::new(100).unwrap());
    let error = vm.vnc_proxy().await.unwrap_err();
    assert!(
        matches!(&error, Error::PermissionDenied { privileges, .. } if *privileges == ["VM.Console"]),
        "{error}"
    );
}

#[tokio::test]
async fn the_connection_goes_to_the_host_that_gave_the_ticket() {
    let handle = simulator(Options {
        more_hosts: vec![([127, 0, 0, 1], 0).into()],
        ..Options::default()
    })
    .await;
    for hosts in [[0, 1], [1, 0]] {
        let client = client(&handle, hosts, TOKEN);
        let proxy = client.vm(VmId::new(100).unwrap()).vnc_proxy().await.unwrap();
        let node = proxy.upid().unwrap().node().as_str();
        assert_eq!(node, ["pve1", "pve2"][hosts[0]]);
        // Meanwhile other calls learn that this endpoint is not the best.
        handle.control().inject(pve_sim::Fault::Cut {
            moment: pve_sim::Moment::BeforeEffect,
            method: None,
            path: Some("/version".to_owned()),
            vmid: None,
            times: 1,
        });
        client.version().await.unwrap();
        let password = proxy.password().clone();
        let mut viewer = Viewer::new(proxy.connect().await.unwrap());
        assert_eq!(viewer.authenticate(password.expose()).await, 0);
    }
}

/// A browser, a relay and the simulator behind it.
async fn relayed(
    handle: &Handle,
    limits: RelayLimits,
) -> (Viewer<Browser>, tokio::task::JoinHandle<RelayReport>) {
    let proxy = vm(handle, 100).vnc_proxy().await.unwrap();
    let password = proxy.password().clone();
    let socket = proxy.connect().await.unwrap();
    let (says, from_browser) = mpsc::channel(0);
    let (to_browser, hears) = mpsc::channel(0);
    let task = tokio::spawn(async move {
        let from_browser = from_browser.map(Ok::<_, Infallible>);
        let stop = CancellationToken::new();
        relay(from_browser, to_browser, socket, &limits, &stop).await
    });
    let mut viewer = Viewer::new(Browser {
        says,
        hears,
        closed: None,
    });
    assert_eq!(viewer.begin(password.expose()).await, "QEMU (web1)");
    (viewer, task)
}

#[tokio::test]
async fn a_relayed_console_works_and_a_browser_that_leaves_ends_the_task_well() {
    let handle = simulator(Options::default()).await;
    let (mut viewer, task) = relayed(&handle, RelayLimits::default()).await;
    assert!(viewer.picture().await > 1_000);
    for key in "hello".chars() {
        viewer.press(u32::from(key)).await;
    }
    until("the keys are echoed", || {
        text(&handle, 100).ends_with("login: hello")
    })
    .await;
    viewer
        .wire
        .says
        .send(BrowserMessage::Close(Some(1000)))
        .await
        .unwrap();
    let report = task.await.unwrap();
    assert_eq!(report.end, RelayEnd::BrowserLeft(Some(1000)));
    assert!(report.to_browser > 720 * 400 * 4 && report.to_pve > 100);
    until("the task ends well", || {
        exits(&handle, 100) == [Some("OK".to_owned())]
    })
    .await;
}

#[tokio::test]
async fn a_vm_that_stops_ends_the_relay_and_the_browser_is_told() {
    let handle = simulator(Options::default()).await;
    let (mut viewer, task) = relayed(&handle, RelayLimits::default()).await;
    let stop = Action::SetRunning {
        vmid: 100,
        running: false,
    };
    handle.control().act(stop).unwrap();
    assert!(viewer.read(1).await.is_empty());
    assert_eq!(viewer.wire.closed, Some(1000));
    drop(viewer);
    assert_eq!(task.await.unwrap().end, RelayEnd::PveEnded);
}

#[tokio::test]
async fn a_vm_that_stops_while_somebody_types_ends_the_relay_as_well() {
    for _ in 0..10 {
        let handle = simulator(Options::default()).await;
        let (mut viewer, task) = relayed(&handle, RelayLimits::default()).await;
        let mut says = viewer.wire.says.clone();
        let typing = tokio::spawn(async move {
            let key = Bytes::from_static(&[4, 1, 0, 0, 0, 0, 0, b'x']);
            while says.send(BrowserMessage::Data(key.clone())).await.is_ok() {}
        });
        until("keys are echoed", || text(&handle, 100).ends_with("xxxx")).await;
        let stop = Action::SetRunning {
            vmid: 100,
            running: false,
        };
        handle.control().act(stop).unwrap();
        while !viewer.read(1).await.is_empty() {}
        assert_eq!(viewer.wire.closed, Some(1000));
        typing.abort();
        drop(viewer);
        assert_eq!(task.await.unwrap().end, RelayEnd::PveEnded);
        handle.shutdown().await;
    }
}

#[tokio::test]
async fn a_browser_that_takes_nothing_holds_the_server_back() {
    let handle = simulator(Options::default()).await;
    let (mut viewer, task) = relayed(&handle, RelayLimits::default()).await;
    // Each round asks for 1.1 MiB. The server does not read while it writes, so soon nobody takes any more: beyond
    // what sockets hold, some megabytes, nothing may pile up.
    let clipboard = [&[6, 0, 0, 0, 0, 0, 0xFF, 0xF8][..], &vec![b'x'; 0xFFF8]].concat();
    let mut said = 0;
    let mut round = async || {
        viewer.ask_for_everything().await;
        viewer.say(&clipboard).await;
    };
    while tokio::time::timeout(Duration::from_secs(1), round())
        .await
        .is_ok()
    {
        said += clipboard.len();
        assert!(said < 32 << 20, "what is said vanishes into somebody's memory");
    }
    assert!(!task.is_finished());
    let first = viewer.read(4).await;
    assert_eq!(first.len(), 4, "and goes on where it was");
    task.abort();
}
