//! Proves that nothing is written to the cluster's file system without a quorum, in PVE's words for each.

use pve_sim::{Action, Wanted};

use crate::lab::{AUDITOR, Lab, log_has};

const VM: &str = "/nodes/pve1/qemu/102";
const NOT_READY: &str = "cluster not ready - no quorum?";

async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab.act(Action::SetQuorum { quorate: false });
    lab
}

/// PVE's words for a configuration that cannot be written.
#[track_caller]
fn assert_denied(text: &str, vmid: u32) {
    let file = format!("unable to open file '/etc/pve/nodes/pve1/qemu-server/{vmid}.conf.tmp.");
    assert!(
        text.starts_with(&file) && text.ends_with("' - Permission denied"),
        "{text}"
    );
}

#[tokio::test]
async fn the_quorum_is_what_was_set_and_not_a_number_of_nodes() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let quorate = async |lab: &Lab| lab.list("/cluster/status").await[0]["quorate"].clone();
    assert_eq!(quorate(&lab).await, 1);
    lab.control().set_node_online("pve2", false).unwrap();
    assert_eq!(quorate(&lab).await, 1);
    lab.act(Action::SetQuorum { quorate: false });
    assert_eq!(quorate(&lab).await, 0);
    assert_eq!(
        lab.get("/nodes/pve1/qemu/100/config").await.status,
        200,
        "reading goes on"
    );
    lab.act(Action::SetQuorum { quorate: true });
    assert_eq!(quorate(&lab).await, 1);
}

#[tokio::test]
async fn starts_clones_and_new_vms_are_refused_at_once() {
    let lab = lab().await;
    for (path, form) in [
        (format!("{VM}/status/start"), vec![]),
        ("/nodes/pve1/qemu/9000/clone".to_owned(), vec![("newid", "200")]),
        ("/nodes/pve1/qemu".to_owned(), vec![("vmid", "200")]),
        (format!("{VM}/migrate"), vec![("target", "pve2")]),
    ] {
        let answer = lab.post(&path, &form).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (500, NOT_READY),
            "{path}"
        );
    }
    assert!(lab.control().tasks().is_empty());
}

#[tokio::test]
async fn configurations_cannot_be_written_at_once_or_in_a_task() {
    let lab = lab().await;
    let before = lab.control().vm(102).unwrap();
    let config = format!("{VM}/config");
    let cores = [("cores", "3")];
    let answer = lab.put(&config, &cores).await;
    assert_eq!(answer.status, 500);
    assert_denied(&answer.reason, 102);
    assert_denied(&lab.run(&config, &cores).await, 102);
    let snapshot = [("snapname", "first")];
    assert_denied(&lab.run(&format!("{VM}/snapshot"), &snapshot).await, 102);
    let upid = lab.delete(VM).await.data();
    assert_denied(&lab.exit_of(&upid).await, 102);
    let backup = [("vmid", "102"), ("storage", "local")];
    let upid = lab.post("/nodes/pve1/vzdump", &backup).await.data();
    assert_eq!(lab.exit_of(&upid).await, "job errors");
    let failed = "ERROR: Backup of VM 102 failed - unable to open file '/etc/pve/";
    assert!(log_has(&lab.log_of(&upid).await, failed));
    assert_eq!(lab.control().vm(102).unwrap(), before);
    assert_eq!(
        lab.run("/nodes/pve1/qemu/100/status/stop", &[]).await,
        "OK",
        "that writes nothing"
    );
    lab.act(Action::SetQuorum { quorate: true });
    assert_eq!(lab.put(&config, &cores).await.status, 200);
}

#[tokio::test]
async fn files_of_the_whole_cluster_are_not_to_be_locked() {
    let lab = lab().await;
    let told = |lock: &str| format!("cfs-lock '{lock}' error: no quorum!");
    let user = [("userid", "new@pve")];
    let rule = [("type", "in"), ("action", "ACCEPT")];
    let pool = [("poolid", "new")];
    let resource = [("sid", "vm:102")];
    for (path, form, text) in [
        (
            "/access/users",
            user.as_slice(),
            format!("create user failed: {}", told("file-user_cfg")),
        ),
        (
            "/pools",
            pool.as_slice(),
            format!("create pool failed: {}", told("file-user_cfg")),
        ),
        (
            "/cluster/ha/resources",
            resource.as_slice(),
            format!("create resource failed: {}", told("domain-ha")),
        ),
        (
            "/nodes/pve1/qemu/100/firewall/rules",
            rule.as_slice(),
            told("firewall-vm-100"),
        ),
    ] {
        let answer = lab.post(path, form).await;
        assert_eq!((answer.status, answer.reason), (500, text), "{path}");
    }
    let answer = lab.put("/cluster/options", &[("keyboard", "de")]).await;
    assert_eq!(answer.reason, told("file-datacenter_cfg"));
    let volume = "/nodes/pve1/storage/backups/content/backups:backup/vm/100/2026-08-20T03:00:01Z";
    let upid = lab.delete(volume).await.data();
    assert_eq!(lab.exit_of(&upid).await, told("storage-backups"));
}

#[tokio::test]
async fn high_availability_is_told_nothing_and_does_nothing() {
    let lab = lab().await;
    lab.act(Action::SetHa {
        vmid: 100,
        wanted: Some(Wanted::Stopped),
    });
    let upid = lab.post("/nodes/pve1/qemu/100/status/stop", &[]).await.data();
    assert_eq!(
        lab.exit_of(&upid).await,
        "command 'ha-manager set vm:100 --state stopped' failed: exit code 255"
    );
    assert!(log_has(
        &lab.log_of(&upid).await,
        "cfs-lock 'domain-ha' error: no quorum!"
    ));
    assert_eq!(lab.control().vm(100).unwrap().status, "running");
    lab.act(Action::SetQuorum { quorate: true });
    lab.until("it acts again", |control| {
        control.vm(100).is_some_and(|vm| vm.status == "stopped")
    })
    .await;
}
