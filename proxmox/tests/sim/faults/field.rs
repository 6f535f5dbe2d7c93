//! A simulator behind two endpoints, and the way back to where everything works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_proxmox::{
    ApiToken, Client, CloneOptions, ClusterConfig, ConfigUpdate, NoObserver, Secret, Timeouts, Trust,
};
use pve_sim::{Action, Control, Major, Options, Simulator};

use super::call::{COPY, Call, DOOMED, NEW_DISK, TEMPLATE};
use crate::gate::{Gate, Way};
use crate::lab::{PANEL, end, id};

/// A simulator behind two endpoints, with a patient and an impatient client.
pub(super) struct Field {
    pub(super) handle: pve_sim::Handle,
    pub(super) control: Control,
    pub(super) gates: [Gate; 2],
    pub(super) client: Client,
    pub(super) hasty: Client,
}

impl Field {
    pub(super) async fn new(major: Major) -> Self {
        let handle = Simulator::start(Options {
            pve: major,
            time_scale: 100.0,
            ..Options::default()
        })
        .await
        .unwrap();
        let gates = [
            Gate::before(handle.addr()).await,
            Gate::before(handle.addr()).await,
        ];
        let client = |seconds: f64| {
            let endpoints = gates.iter().map(|gate| format!("https://{}", gate.address));
            let endpoints = endpoints.map(|url| url.parse().unwrap()).collect();
            let token = ApiToken::new(PANEL.0, Secret::new(PANEL.1)).unwrap();
            let trust = Trust::Fingerprints(vec![handle.fingerprint().parse().unwrap()]);
            let mut config = ClusterConfig::new("sim", endpoints, token, trust);
            let wait = Duration::from_secs_f64(seconds);
            config.timeouts = Timeouts {
                connect: Duration::from_secs(30),
                read: wait,
                write: wait,
            };
            Client::new(config, Arc::new(NoObserver)).unwrap()
        };
        let (patient, hasty) = (client(60.0), client(0.1));
        Self {
            control: handle.control(),
            client: patient,
            hasty,
            gates,
            handle,
        }
    }

    pub(super) fn act(&self, action: Action) {
        self.control.act(action).unwrap();
    }

    /// Makes everything as it was, and the VM ready for the call.
    pub(super) async fn restore(&self, call: Call) {
        self.control.clear_faults();
        self.control.set_api_down(false);
        for gate in &self.gates {
            gate.set(Way::Open);
        }
        self.act(Action::ReleaseStuckTasks);
        self.act(Action::SetTokenRevoked {
            token: PANEL.0.to_owned(),
            revoked: false,
        });
        self.act(Action::SetClockSkew { seconds: 0 });
        let vmid = call.vmid();
        for name in ["pve1", "pve2"] {
            self.control.set_node_online(name, true).unwrap();
        }
        if self.control.vm(vmid).is_some() {
            self.act(Action::HoldFlock { vmid, held: false });
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.control.tasks().iter().any(|task| task.exit.is_none()) {
            assert!(Instant::now() < deadline, "tasks do not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // Only now is it certain whether it was destroyed.
        if call == Call::Destroy && self.control.vm(DOOMED).is_none() {
            let copy = CloneOptions::new(id(DOOMED));
            let upid = self.client.vm(id(TEMPLATE)).clone_to(&copy).await.unwrap();
            assert!(end(&self.client, &upid).await.is_success());
        }
        self.control.set_lock(vmid, None).unwrap();
        if self.control.vm(COPY).is_some() {
            self.act(Action::RemoveVm { vmid: COPY });
        }
        let still = [
            Call::Start,
            Call::Clone,
            Call::Destroy,
            Call::Backup,
            Call::Restore,
            Call::NewDisk,
            Call::Import,
        ];
        let running = !still.contains(&call);
        self.act(Action::SetRunning { vmid, running });
        self.move_to(vmid, "pve1");
    }

    /// Takes away what the call before this one has made, if this one makes the same.
    pub(super) async fn tidy(&self, call: Call) {
        let vmid = call.vmid();
        if !matches!(call, Call::NewDisk | Call::Import) || !self.has(vmid, NEW_DISK) {
            return;
        }
        let vm = self.client.vm(id(vmid));
        let update = ConfigUpdate::new().delete(NEW_DISK).unwrap();
        vm.update_config(&update).await.unwrap();
        let unused = vm.config().await.unwrap().unused();
        let slots = unused.into_iter().map(|(slot, _)| slot).collect::<Vec<_>>();
        if let Some(upid) = vm.free_unused(&slots).await.unwrap() {
            assert!(end(&self.client, &upid).await.is_success());
        }
    }

    fn has(&self, vmid: u32, key: &str) -> bool {
        self.control
            .vm(vmid)
            .is_some_and(|vm| vm.config.contains_key(key))
    }

    pub(super) fn move_to(&self, vmid: u32, node: &str) {
        let node = node.to_owned();
        if self.control.vm(vmid).unwrap().node != node {
            self.act(Action::MoveVm { vmid, node });
        }
    }
}
