//! The resources of high availability: list, add, change, remove, and what is refused.

use serde_json::{Value, json};

use crate::lab::{Lab, log_has};

const ALL: &str = "/cluster/ha/resources";

async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab
}

#[tokio::test]
async fn a_vm_is_put_under_management_changed_and_taken_out() {
    let lab = lab().await;
    assert!(lab.list(ALL).await.is_empty());
    let form = [
        ("sid", "102"),
        ("state", "stopped"),
        ("max_restart", "3"),
        ("comment", "calm"),
    ];
    assert_eq!(lab.post(ALL, &form).await.data(), Value::Null);
    let mut shown = lab.list(ALL).await.remove(0);
    assert!(shown["digest"].is_string());
    shown.as_object_mut().unwrap().remove("digest");
    let wanted =
        json!({ "sid": "vm:102", "type": "vm", "state": "stopped", "max_restart": 3, "comment": "calm" });
    assert_eq!(shown, wanted);

    let form = [("state", "enabled"), ("delete", "comment")];
    assert_eq!(lab.put(&format!("{ALL}/vm:102"), &form).await.status, 200);
    let changed = lab.get(&format!("{ALL}/102")).await.data();
    assert_eq!(
        (&changed["state"], changed.get("comment")),
        (&"started".into(), None)
    );
    lab.until("high availability starts it", |control| {
        control.vm(102).is_some_and(|vm| vm.status == "running")
    })
    .await;

    assert_eq!(lab.delete(&format!("{ALL}/vm:102")).await.status, 200);
    assert!(lab.list(ALL).await.is_empty());
}

#[tokio::test]
async fn what_is_not_there_or_there_already_is_refused_in_pves_words() {
    let lab = lab().await;
    let reason = |answer: crate::lab::Answer| (answer.status, answer.reason);
    let told = |text: &str| (500, text.to_owned());
    let of = |sid: &str| format!("{ALL}/{sid}");
    assert_eq!(
        reason(lab.get(&of("555")).await),
        told("unable to detect SID from VMID - VM/CT 555 does not exist")
    );
    assert_eq!(
        reason(lab.get(&of("vm:102")).await),
        told("no such resource 'vm:102'")
    );
    assert_eq!(
        reason(lab.post(ALL, &[("sid", "vm:555")]).await),
        told("resource 'vm:555' does not exist in cluster")
    );
    assert_eq!(
        lab.post(ALL, &[("sid", "vm:102"), ("state", "stopped")])
            .await
            .status,
        200
    );
    assert_eq!(
        reason(lab.post(ALL, &[("sid", "vm:102")]).await),
        told("create resource failed: resource ID 'vm:102' already defined")
    );
    assert_eq!(
        reason(lab.put(&of("vm:102"), &[("digest", "00")]).await),
        told(
            "update resources config failed: detected modified configuration - file changed by other user? Try again."
        )
    );
    assert_eq!(
        reason(lab.delete(&of("vm:101")).await),
        told("cannot delete service 'vm:101', not HA managed!")
    );
    let malformed = lab.post(ALL, &[("sid", "VM 102")]).await;
    assert!(
        malformed
            .error("sid")
            .contains("does not look like a valid ha resource id")
    );
}

#[tokio::test]
async fn the_panels_token_may_not_look() {
    let lab = Lab::new().await;
    assert_eq!(
        lab.get(ALL).await.reason,
        "Permission check failed (/, Sys.Audit)"
    );
    let refused = lab.post(ALL, &[("sid", "102")]).await;
    assert_eq!(refused.reason, "Permission check failed (/, Sys.Console)");
}

#[tokio::test]
async fn a_vm_that_shall_run_is_not_backed_up_in_mode_stop() {
    let lab = lab().await;
    let vzdump = "/nodes/pve1/vzdump";
    let form = [("vmid", "102"), ("storage", "local"), ("mode", "stop")];
    for (state, exit) in [("stopped", "OK"), ("started", "job errors")] {
        lab.delete(&format!("{ALL}/vm:102")).await;
        lab.post(ALL, &[("sid", "102"), ("state", state)]).await.data();
        let upid = lab.post(vzdump, &form).await.data();
        assert_eq!(lab.exit_of(&upid).await, exit, "{state}");
        let refusal = "ERROR: Backup of VM 102 failed - Cannot execute a backup with stop mode on a HA managed and \
            enabled Service. Use snapshot mode or disable the Service.";
        assert_eq!(log_has(&lab.log_of(&upid).await, refusal), state == "started");
    }
    let form = [("vmid", "102"), ("storage", "local"), ("mode", "snapshot")];
    assert_eq!(lab.run(vzdump, &form).await, "OK");
}
