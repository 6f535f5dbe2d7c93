//! Proves what a removal is refused for, at once and in its task.

use crate::lab::Lab;

const VM: &str = "/nodes/pve1/qemu/102";

#[tokio::test]
async fn a_lock_is_told_in_the_task_and_everything_else_at_once() {
    let lab = Lab::new().await;
    lab.control().set_lock(102, Some("backup")).unwrap();
    let upid = lab.delete(VM).await.data();
    assert!(upid.as_str().unwrap().contains(":qmdestroy:102:"));
    assert_eq!(lab.exit_of(&upid).await, "VM is locked (backup)");
    assert!(lab.control().vm(102).unwrap().config.contains_key("scsi0"));
    lab.control().set_lock(102, None).unwrap();
    lab.put(&format!("{VM}/config"), &[("protection", "1")])
        .await
        .data();
    lab.control().set_lock(102, Some("backup")).unwrap();
    for (path, reason) in [
        (VM, "can't remove VM 102 - protection mode enabled"),
        ("/nodes/pve1/qemu/101", "VM 101 is running - destroy failed"),
        (
            "/nodes/pve1/qemu/777",
            "Configuration file 'nodes/pve1/qemu-server/777.conf' does not exist",
        ),
    ] {
        let answer = lab.delete(path).await;
        assert_eq!((answer.status, answer.reason.as_str()), (500, reason));
    }
}

#[tokio::test]
async fn a_vm_that_is_suspended_to_disk_may_go() {
    let lab = Lab::new().await;
    let suspend = "/nodes/pve1/qemu/100/status/suspend";
    assert_eq!(lab.run(suspend, &[("todisk", "1")]).await, "OK");
    assert_eq!(lab.control().vm(100).unwrap().lock.as_deref(), Some("suspended"));
    let upid = lab.delete("/nodes/pve1/qemu/100").await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert!(lab.control().vm(100).is_none());
    let images = "/nodes/pve1/storage/local-lvm/content?content=images&vmid=100";
    assert_eq!(lab.list(images).await.len(), 0);
}
