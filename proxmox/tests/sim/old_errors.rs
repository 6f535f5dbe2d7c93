//! The errors of PVE 8.3 and older, which tell their text only in the status line, mean the same as newer ones.

use portico_proxmox::{ConfigUpdate, Error};
use pve_sim::{Action, Major, Options};

use crate::lab::{AUDITOR, Lab, PANEL, id, snapshot};

/// What goes wrong, in the same order on each simulator, which ends with it.
async fn errors(lab: Lab) -> Vec<Error> {
    let panel = lab.around();
    let mut errors = Vec::new();
    errors.push(lab.as_token((PANEL.0, "wrong")).version().await.unwrap_err());
    let auditor = lab.as_token(AUDITOR);
    let denied = auditor.vm(id(100)).start().await;
    errors.push(denied.unwrap_err());
    errors.push(panel.vm(id(555)).status().await.unwrap_err());
    panel.vm(id(102)).status().await.unwrap();
    lab.control.act(Action::RemoveVm { vmid: 102 }).unwrap();
    errors.push(panel.vm(id(102)).config().await.unwrap_err());
    let unparsable = ConfigUpdate::new().set("scsi5", "nonsense").unwrap();
    errors.push(panel.vm(id(100)).update_config(&unparsable).await.unwrap_err());
    lab.control.set_lock(100, Some("backup")).unwrap();
    let update = ConfigUpdate::new().set("description", "late").unwrap();
    errors.push(panel.vm(id(100)).update_config(&update).await.unwrap_err());
    let held = Action::HoldFlock {
        vmid: 101,
        held: true,
    };
    lab.control.act(held).unwrap();
    errors.push(panel.vm(id(101)).update_config(&update).await.unwrap_err());
    lab.control.set_node_online("pve2", false).unwrap();
    errors.push(panel.vm(id(103)).status().await.unwrap_err());
    let missing = panel
        .vm(id(100))
        .describe_snapshot(&snapshot("missing"), "x")
        .await;
    errors.push(missing.unwrap_err());
    errors
}

#[tokio::test]
async fn errors_without_a_message_are_told_apart_as_well() {
    let lab = async |old_errors| {
        Lab::with(Options {
            pve: Major::V8,
            old_errors,
            ..Options::default()
        })
        .await
    };
    let old = errors(lab(true).await).await;
    let new = errors(lab(false).await).await;
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old.to_string(), new.to_string());
        assert_eq!(
            std::mem::discriminant(old),
            std::mem::discriminant(new),
            "{old:?} {new:?}"
        );
        assert_eq!(old.reason(), new.reason());
        assert_eq!(
            (
                old.is_vm_missing(),
                old.may_have_happened(),
                old.is_transient_read()
            ),
            (
                new.is_vm_missing(),
                new.may_have_happened(),
                new.is_transient_read()
            )
        );
    }
}
