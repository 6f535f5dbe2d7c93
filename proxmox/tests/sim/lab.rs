//! A simulator and the client under test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_proxmox::{
    ApiToken, Client, ClusterConfig, Error, NoObserver, NodeName, Secret, SnapshotName, StorageId, TaskState,
    Trust, Upid, Vm, VmId,
};
use pve_sim::{Control, Handle, Major, Options, Simulator};

pub(crate) const PANEL: (&str, &str) = ("portico@pve!panel", "7f0a3c52-6a4e-4b1d-9a57-0d6f3b8e21c4");
pub(crate) const AUDITOR: (&str, &str) = ("auditor@pve!read", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed");
const PATIENCE: Duration = Duration::from_mins(1);

/// The major versions to test: both, or the one that `PORTICO_PVE_MAJOR` names.
pub(crate) fn majors() -> Vec<Major> {
    match std::env::var("PORTICO_PVE_MAJOR") {
        Ok(major) => vec![major.parse().unwrap()],
        Err(_) => vec![Major::V8, Major::V9],
    }
}

pub(crate) struct Lab {
    pub(crate) handle: Handle,
    pub(crate) control: Control,
    pub(crate) client: Client,
}

impl Lab {
    /// The demo cluster, a hundred times faster, and the panel's token on it.
    pub(crate) async fn new(major: Major) -> Self {
        Self::with(Options {
            pve: major,
            ..Options::default()
        })
        .await
    }

    /// The same, with other options.
    pub(crate) async fn with(options: Options) -> Self {
        let listen = match std::env::var("PORTICO_SIM_LISTEN") {
            Ok(address) => address.parse().unwrap(),
            Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let handle = start(Options {
            listen,
            time_scale: 100.0,
            ..options
        })
        .await;
        let client = connect(&handle, PANEL);
        Self {
            control: handle.control(),
            handle,
            client,
        }
    }

    /// Somebody else's token.
    pub(crate) fn as_token(&self, token: (&str, &str)) -> Client {
        connect(&self.handle, token)
    }

    /// The panel, around any proxy that checks calls: for what is wrong on purpose.
    pub(crate) fn around(&self) -> Client {
        direct(&self.handle, PANEL)
    }

    pub(crate) fn vm(&self, vmid: u32) -> Vm {
        self.client.vm(id(vmid))
    }

    /// Waits for a task as a panel would, by its status.
    pub(crate) async fn end(&self, upid: &Upid) -> TaskState {
        end(&self.client, upid).await
    }

    /// Waits for a task that must succeed.
    pub(crate) async fn done(&self, upid: Result<Upid, Error>) -> Upid {
        let upid = upid.unwrap();
        let state = self.end(&upid).await;
        assert!(state.is_success(), "{upid}: {state:?}");
        upid
    }

    /// Polls until something inside holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Control) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.control) {
            assert!(Instant::now() < deadline, "never came true: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Starts a simulator; one that stood before on the same address may need a moment to leave it.
async fn start(options: Options) -> Handle {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Simulator::start(options.clone()).await {
            Ok(handle) => return handle,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn connect(handle: &Handle, token: (&str, &str)) -> Client {
    match std::env::var("PORTICO_PVE_PROXY") {
        Ok(proxy) => {
            let (address, fingerprint) = proxy.split_once(',').unwrap();
            client(address, fingerprint, token)
        }
        Err(_) => direct(handle, token),
    }
}

fn direct(handle: &Handle, token: (&str, &str)) -> Client {
    client(&handle.addr().to_string(), handle.fingerprint(), token)
}

fn client(address: &str, fingerprint: &str, token: (&str, &str)) -> Client {
    let trust = Trust::Fingerprints(vec![fingerprint.parse().unwrap()]);
    let endpoint = format!("https://{address}").parse().unwrap();
    let token = ApiToken::new(token.0, Secret::new(token.1)).unwrap();
    let config = ClusterConfig::new("sim", vec![endpoint], token, trust);
    Client::new(config, Arc::new(NoObserver)).unwrap()
}

pub(crate) async fn end(client: &Client, upid: &Upid) -> TaskState {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = client.task_status(upid).await.unwrap();
        if state.is_finished() {
            return state;
        }
        assert!(Instant::now() < deadline, "the task does not end: {upid}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn id(vmid: u32) -> VmId {
    VmId::new(vmid).unwrap()
}

pub(crate) fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub(crate) fn snapshot(name: &str) -> SnapshotName {
    SnapshotName::new(name).unwrap()
}

pub(crate) fn storage(name: &str) -> StorageId {
    StorageId::new(name).unwrap()
}
