//! Proves VMs that move: migrations, nodes that go away, high availability.

use crate::lab::Lab;
use pve_sim::{Action, Effect, Fault, Moment, Options, Wanted};
use serde_json::{Value, json};

const CONFIG: &str = "/nodes/pve1/qemu/100/config";

fn migrate(lab: &Lab, vmid: u32, node: &str) {
    let node = node.to_owned();
    lab.act(Action::MigrateVm { vmid, node });
}

async fn resource(lab: &Lab, vmid: u32) -> Value {
    let list = lab.list("/cluster/resources?type=vm").await;
    let found = list.iter().find(|item| item["vmid"] == vmid);
    found.cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_migrating_vm_is_locked_and_then_elsewhere() {
    let lab = Lab::new().await;
    migrate(&lab, 100, "pve2");
    lab.until("it is locked", |control| {
        control.vm(100).unwrap().lock.as_deref() == Some("migrate")
    })
    .await;
    let answer = lab.put(CONFIG, &[("cores", "1")]).await;
    assert_eq!(answer.reason, "VM is locked (migrate)");
    assert_eq!(
        lab.run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "now")])
            .await,
        "VM is locked (migrate)"
    );
    assert_eq!(resource(&lab, 100).await["lock"], "migrate");
    lab.until("it moved", |control| control.vm(100).unwrap().node == "pve2")
        .await;
    assert_eq!(
        lab.get(CONFIG).await.reason,
        "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    );
    assert_eq!(
        lab.post("/nodes/pve1/qemu/100/status/reset", &[]).await.reason,
        "unable to find configuration file for VM 100 on node 'pve1'"
    );
    assert_eq!(
        lab.run("/nodes/pve1/qemu/100/status/start", &[]).await,
        "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist"
    );
    assert_eq!(resource(&lab, 100).await["node"], "pve2");
    let vm = lab.control().vm(100).unwrap();
    assert_eq!((vm.status.as_str(), vm.lock), ("running", None));
    assert_eq!(lab.control().effect_count(Effect::Migrated, 100, Some("pve2")), 1);
    let content = lab
        .get("/nodes/pve2/storage/local-lvm/content?vmid=100")
        .await
        .data();
    assert_eq!(content.as_array().unwrap().len(), 2, "its disks came along");
    let tasks = lab.control().tasks();
    let task = tasks.iter().find(|task| task.kind == "qmigrate").unwrap();
    assert_eq!((task.node.as_str(), task.exit.as_deref()), ("pve1", Some("OK")));
}

#[tokio::test]
async fn a_migration_that_breaks_leaves_the_vm_where_it_was() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::FailTasks {
        task: "qmigrate".into(),
        vmid: None,
        text: "connection lost".into(),
        times: 1,
    });
    migrate(&lab, 100, "pve2");
    lab.until("the task ended", |control| {
        control.tasks().iter().any(|task| task.exit.is_some())
    })
    .await;
    let vm = lab.control().vm(100).unwrap();
    assert_eq!((vm.node.as_str(), vm.lock), ("pve1", None));
    let task = lab.control().tasks().pop().unwrap();
    assert_eq!(task.exit.as_deref(), Some("migration problems"));
    assert!(task.log.iter().any(|line| line.contains("connection lost")));
}

#[tokio::test]
async fn requests_for_a_lost_node_are_answered_without_a_body() {
    let lab = Lab::new().await;
    lab.control().set_node_online("pve1", false).unwrap();
    let answer = lab.get(CONFIG).await;
    assert_eq!(
        (answer.status, answer.reason.as_str(), answer.text.as_str()),
        (595, "No route to host", "")
    );
    let entry = resource(&lab, 100).await;
    assert_eq!(entry["status"], "unknown");
    assert!(entry.get("name").is_none() && entry.get("maxmem").is_none());
    let node = lab.get("/nodes").await.data();
    assert_eq!(node[0]["status"], "offline");
    lab.control().inject(Fault::Status {
        node: Some("pve2".into()),
        method: None,
        path: None,
        status: 596,
        reason: None,
        moment: Moment::BeforeEffect,
        times: None,
    });
    let answer = lab.get("/nodes/pve2/qemu/104/config").await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (596, "Connection timed out")
    );
}

#[tokio::test]
async fn a_managed_vm_is_started_and_stopped_later_than_its_tasks_say() {
    let lab = Lab::new().await;
    let ha = |wanted| Action::SetHa {
        vmid: 102,
        wanted: Some(wanted),
    };
    lab.control().act(ha(Wanted::Stopped)).unwrap();
    let status = "/nodes/pve1/qemu/102/status";
    let current = || async { lab.get(&format!("{status}/current")).await.data() };
    assert_eq!(current().await["ha"], json!({ "managed": 1, "state": "stopped" }));
    assert_eq!(resource(&lab, 102).await["hastate"], "stopped");
    let upid = lab.post(&format!("{status}/start"), &[]).await.data();
    assert!(upid.as_str().unwrap().contains(":hastart:102:portico@pve!panel:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    lab.until("it runs", |control| control.vm(102).unwrap().status == "running")
        .await;
    let started = lab.control().tasks().pop().unwrap();
    assert_eq!(
        (started.kind.as_str(), started.user.as_str()),
        ("qmstart", "root@pam")
    );
    assert_eq!(current().await["ha"]["state"], "started");
    let upid = lab.post(&format!("{status}/shutdown"), &[]).await.data();
    assert!(upid.as_str().unwrap().contains(":hastop:"));
    assert_eq!(lab.exit_of(&upid).await, "OK");
    lab.until("it is off", |control| {
        control.vm(102).unwrap().status == "stopped"
    })
    .await;
    lab.until("its task ended", |control| {
        control.tasks().iter().all(|task| task.exit.is_some())
    })
    .await;
    let answer = lab.delete("/nodes/pve1/qemu/102").await;
    assert_eq!(
        answer.reason,
        "unable to remove VM 102 - used in HA resources and purge parameter not set."
    );
    let upid = lab.delete("/nodes/pve1/qemu/102?purge=1").await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
}

#[tokio::test]
async fn a_managed_vm_that_dies_is_started_again_and_moves_when_its_node_does() {
    let lab = Lab::with(Options {
        time_scale: 200.0,
        ..Options::default()
    })
    .await;
    let control = lab.control();
    control
        .act(Action::SetHa {
            vmid: 100,
            wanted: Some(Wanted::Started),
        })
        .unwrap();
    control
        .act(Action::SetRunning {
            vmid: 100,
            running: false,
        })
        .unwrap();
    lab.until("it is started again", |control| {
        control.vm(100).unwrap().status == "running"
    })
    .await;
    control.set_node_online("pve1", false).unwrap();
    lab.until("the other node has it", |control| {
        let vm = control.vm(100).unwrap();
        vm.node == "pve2" && vm.status == "running"
    })
    .await;
    assert_eq!(control.effect_count(Effect::Migrated, 100, Some("pve2")), 1);
    assert_eq!(resource(&lab, 100).await["node"], "pve2");
    assert_eq!(control.vm(101).unwrap().node, "pve1", "others stay");
}
