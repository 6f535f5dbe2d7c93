//! The calls of a reinstallation, of charts and of the guest agent, each against a recorded answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::*;
use portico_proxmox::property::{Disk, DriveSlot, Throttle};
use portico_proxmox::{
    CloneOptions, CloudinitData, ConfigUpdate, Consolidation, DiskFormat, Error, InvalidUpdate, NodeName,
    Reason, Removal, Secret, StorageId, Timeframe, VmId, VolumeId,
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh me@home";

fn slot(name: &str) -> DriveSlot {
    name.parse().unwrap()
}

fn storage(name: &str) -> StorageId {
    StorageId::new(name).unwrap()
}

#[tokio::test]
async fn a_clone_names_its_number_and_only_what_was_asked_for() {
    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    let mut options = CloneOptions::new(VmId::new(200).unwrap());
    assert_eq!(vm.clone_to(&options).await.unwrap(), upid());
    assert_eq!(last(&server), "POST /qemu/100/clone newid=200");
    options.name = Some("web".to_owned());
    options.full = Some(true);
    options.storage = Some(storage("local-lvm"));
    options.format = Some(DiskFormat::Raw);
    options.pool = Some("customers".to_owned());
    options.target = Some(NodeName::new("pve2").unwrap());
    vm.clone_to(&options).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /qemu/100/clone newid=200&name=web&full=1&storage=local-lvm&format=raw&pool=customers&target=pve2"
    );
    options = CloneOptions::new(VmId::new(200).unwrap());
    options.full = Some(false);
    vm.clone_to(&options).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /qemu/100/clone newid=200&full=0",
        "linked on purpose"
    );
}

#[tokio::test]
async fn a_taken_number_is_a_reason_of_its_own() {
    let (_server, vm) = serving(fail(500, "unable to create VM 200: config file already exists")).await;
    let options = CloneOptions::new(VmId::new(200).unwrap());
    let error = vm.clone_to(&options).await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::VmExists));
    assert!(!error.may_have_happened() && !error.is_vm_missing());
}

#[tokio::test]
async fn a_removal_has_its_parameters_in_the_query_and_no_body() {
    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    vm.destroy(Removal::WHOLE).await.unwrap();
    assert_eq!(
        last(&server),
        "DELETE /qemu/100?purge=1&destroy-unreferenced-disks=1"
    );
    assert!(
        !server
            .requests()
            .pop()
            .unwrap()
            .headers
            .contains_key("content-length")
    );
    for (text, reason) in [
        ("VM 100 is running - destroy failed", Reason::VmRunning),
        ("can't remove VM 100 - protection mode enabled", Reason::Protected),
        (
            "unable to remove VM 100 - used in HA resources and purge parameter not set.",
            Reason::HaManaged,
        ),
    ] {
        let (_server, vm) = serving(fail(500, text)).await;
        let error = vm.destroy(Removal::default()).await.unwrap_err();
        assert_eq!(error.reason(), Some(&reason), "{text}");
    }
}

#[tokio::test]
async fn a_removed_vm_is_missing_and_that_is_no_other_failure() {
    let text = "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist";
    let (server, vm) = serving(fail(500, text)).await;
    let error = vm.destroy(Removal::WHOLE).await.unwrap_err();
    assert!(error.is_vm_missing() && !error.may_have_happened());
    let deletes = server
        .lines()
        .iter()
        .filter(|line| line.starts_with("DELETE"))
        .count();
    assert_eq!(deletes, 1, "list and node disagree: it is not sent again");
}

#[tokio::test]
async fn the_system_disk_is_replaced_by_a_copy_with_its_limits() {
    let source = VolumeId::new("templates:base-9000-disk-0").unwrap();
    let mut disk = Disk::import(&storage("local-lvm"), &source).unwrap();
    disk.set_throttle(Throttle::MbpsRead, Some(100.0)).unwrap();
    let update = ConfigUpdate::new()
        .drive(slot("scsi0"), &disk)
        .unwrap()
        .ssh_keys(&[KEY])
        .unwrap();
    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    assert_eq!(vm.update_config_task(&update).await.unwrap(), Some(upid()));
    assert_eq!(
        last(&server),
        "POST /qemu/100/config scsi0=local-lvm%3A0%2Cimport-from%3Dtemplates%3Abase-9000-disk-0%2Cmbps_rd%3D100\
         &sshkeys=ssh-ed25519%2520AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQh%2520me%2540home",
        "keys are encoded twice"
    );
    let (_server, vm) = serving(data("null")).await;
    assert_eq!(
        vm.update_config_task(&update).await.unwrap(),
        None,
        "done before the answer"
    );
}

#[tokio::test]
async fn new_disks_are_written_in_pves_words() {
    let shown = |disk: Disk| disk.to_string();
    assert_eq!(
        shown(Disk::create(&storage("local-lvm"), 50).unwrap()),
        "local-lvm:50"
    );
    assert_eq!(
        shown(Disk::cloudinit(&storage("local-lvm")).unwrap()),
        "local-lvm:cloudinit"
    );
    assert!(Disk::create(&storage("local-lvm"), 0).is_err());
}

#[tokio::test]
async fn detached_volumes_are_freed_and_attached_disks_never() {
    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    let slots = [slot("unused0"), slot("scsi0"), slot("unused3")];
    assert_eq!(vm.free_unused(&slots).await.unwrap(), Some(upid()));
    assert_eq!(last(&server), "POST /qemu/100/config delete=unused0%2Cunused3");
    let sent = server.requests().len();
    assert_eq!(vm.free_unused(&[slot("scsi0")]).await.unwrap(), None);
    assert_eq!(server.requests().len(), sent);
}

#[tokio::test]
async fn a_disk_is_resized_to_a_size_and_not_by_one() {
    let (server, vm) = serving(data(&format!("{UPID:?}"))).await;
    vm.resize(slot("scsi0"), 40 << 30).await.unwrap();
    assert_eq!(last(&server), "PUT /qemu/100/resize disk=scsi0&size=40G");
    vm.resize(slot("virtio1"), (1 << 30) + 1).await.unwrap();
    assert_eq!(last(&server), "PUT /qemu/100/resize disk=virtio1&size=1048577K");
}

#[tokio::test]
async fn what_waits_is_told_from_what_is_in_force() {
    let (server, vm) = serving(data(
        r#"[{"key":"cores","value":2,"pending":"4"},{"key":"memory","value":"2048"},{"key":"net1","value":"virtio",
            "delete":1},{"key":"scsi1","value":"x","delete":"2"},{"key":"sata0","pending":"y"},
            {"key":"digest","value":"aa"},{"value":"no key"}]"#,
    ))
    .await;
    let values = vm.pending().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/pending");
    let waiting: Vec<_> = values
        .iter()
        .filter(|value| value.is_pending())
        .map(|value| (value.key.as_str(), value.pending.as_deref(), value.deleted))
        .collect();
    assert_eq!(
        waiting,
        [
            ("cores", Some("4"), false),
            ("net1", None, true),
            ("scsi1", None, true),
            ("sata0", Some("y"), false)
        ]
    );
    assert_eq!(values.len(), 5);
    vm.cloudinit_pending().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/cloudinit");
}

#[tokio::test]
async fn what_waits_can_be_taken_back() {
    let (server, vm) = serving(data("null")).await;
    let update = ConfigUpdate::new()
        .revert("cores")
        .unwrap()
        .revert("memory")
        .unwrap();
    assert!(!update.is_empty());
    vm.update_config(&update).await.unwrap();
    assert_eq!(last(&server), "PUT /qemu/100/config revert=cores%2Cmemory");
    assert!(ConfigUpdate::new().revert("digest").is_err());
}

#[tokio::test]
async fn the_cloud_init_image_is_made_anew_and_its_data_are_read() {
    let (server, vm) = serving(data("null")).await;
    vm.regenerate_cloudinit().await.unwrap();
    assert_eq!(last(&server), "PUT /qemu/100/cloudinit");
    let (server, vm) = serving(data(r##""#cloud-config\nhostname: web\n""##)).await;
    let text = vm.cloudinit_dump(CloudinitData::User).await.unwrap();
    assert!(text.expose().starts_with("#cloud-config"));
    assert_eq!(format!("{text:?}"), "[secret]");
    assert_eq!(last(&server), "GET /qemu/100/cloudinit/dump?type=user");
}

#[tokio::test]
async fn keys_that_are_none_and_masks_of_passwords_are_never_sent() {
    let update = ConfigUpdate::new;
    assert!(matches!(
        update().ssh_keys(&["nonsense"]),
        Err(InvalidUpdate::SshKeys)
    ));
    let (server, vm) = serving(data("null")).await;
    let none = update().ssh_keys::<&str>(&[]).unwrap();
    vm.update_config(&none).await.unwrap();
    assert_eq!(last(&server), "PUT /qemu/100/config delete=sshkeys");
    assert!(
        update()
            .set_secret("cipassword", Secret::new("**********"))
            .is_err()
    );
}

#[tokio::test]
async fn a_series_is_asked_for_by_timeframe_and_comes_by_time() {
    let (server, vm) = serving(data(r#"[{"time":120,"cpu":"0.5"},{"time":60}]"#)).await;
    let points = vm.series(Timeframe::Day, Consolidation::Max).await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/rrddata?timeframe=day&cf=MAX");
    let seen: Vec<_> = points.iter().map(|point| (point.time, point.cpu)).collect();
    assert_eq!(seen, [(60, None), (120, Some(0.5))]);
}

#[tokio::test]
async fn a_vm_that_nothing_was_measured_of_has_an_empty_series() {
    let text = "RRD error: opening '/var/lib/rrdcached/db/pve-vm-9.0/100': No such file or directory";
    let (_server, vm) = serving(fail(500, text)).await;
    let points = vm.series(Timeframe::Hour, Consolidation::Average).await.unwrap();
    assert!(points.is_empty());
    let (_server, vm) = serving(fail(500, "RRD error: the file is broken")).await;
    vm.series(Timeframe::Hour, Consolidation::Average)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn the_agent_tells_system_name_addresses_and_file_systems() {
    let (server, vm) = serving(data(
        r#"{"result":{"id":"debian","pretty-name":"Debian GNU/Linux 13 (trixie)","version-id":"13"}}"#,
    ))
    .await;
    let os = vm.agent_os().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/agent/get-osinfo");
    assert_eq!(os.pretty_name.as_deref(), Some("Debian GNU/Linux 13 (trixie)"));

    let (server, vm) = serving(data(r#"{"result":{"host-name":"web1"}}"#)).await;
    assert_eq!(vm.agent_host_name().await.unwrap(), "web1");
    assert_eq!(last(&server), "GET /qemu/100/agent/get-host-name");

    let (server, vm) = serving(data(
        r#"{"result":[{"name":"lo"},{"name":"eth0","ip-addresses":[{"ip-address":"192.0.2.10","prefix":24}]}]}"#,
    ))
    .await;
    let interfaces = vm.agent_interfaces().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/agent/network-get-interfaces");
    assert_eq!(interfaces[1].addresses[0].address.to_string(), "192.0.2.10");

    let (server, vm) = serving(data(
        r#"{"result":[{"mountpoint":"/","type":"ext4","total-bytes":100,"used-bytes":"40","disk":[]},{"mountpoint":"/x"}]}"#,
    ))
    .await;
    let disks = vm.agent_file_systems().await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/agent/get-fsinfo");
    assert_eq!((disks[0].used, disks[1].used), (Some(40), None));
}

#[tokio::test]
async fn a_refusal_of_the_agent_inside_a_success_is_an_error() {
    let (_server, vm) = serving(data(
        r#"{"result":{"error":{"class":"CommandNotFound","desc":"The command guest-get-osinfo has not been found"}}}"#,
    ))
    .await;
    let error = vm.agent_os().await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::AgentRefused));
    assert!(error.provider_text().unwrap().contains("has not been found"));
    let target = error.target();
    assert_eq!(target.node.as_ref().map(NodeName::as_str), Some("pve1"));
    assert!(
        target.call.contains(" /nodes/{node}/qemu/{vmid}/agent/"),
        "{}",
        target.call
    );
    assert!(!error.is_transient_read());
    let (_server, vm) = serving(data(r#"{"result":"nonsense"}"#)).await;
    assert!(matches!(
        vm.agent_os().await.unwrap_err(),
        Error::Malformed { .. }
    ));
}

#[tokio::test]
async fn a_password_is_set_by_the_agent_and_shows_nowhere() {
    let password = Secret::new("hunter2-hunter2");
    let (server, vm) = serving(data(r#"{"result":{}}"#)).await;
    vm.agent_set_password("root", &password, false).await.unwrap();
    assert_eq!(
        last(&server),
        "POST /qemu/100/agent/set-user-password username=root&password=hunter2-hunter2"
    );
    vm.agent_set_password("root", &Secret::new("$6$salt$hash"), true)
        .await
        .unwrap();
    assert!(last(&server).ends_with("&crypted=1"));
    let (_server, vm) = serving(fail(500, "Agent error: no hunter2-hunter2 for you")).await;
    let error = vm.agent_set_password("root", &password, false).await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::AgentRefused));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn a_password_that_the_agent_quotes_is_cut_out() {
    let refusal = r#"{"result":{"error":{"class":"GenericError","desc":"hunter2-hunter2 is too weak"}}}"#;
    let (_server, vm) = serving(data(refusal)).await;
    let password = Secret::new("hunter2-hunter2");
    let error = vm.agent_set_password("root", &password, false).await.unwrap_err();
    assert_eq!(error.provider_text(), Some("[secret] is too weak"));
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn after_a_timeout_of_the_agent_a_password_may_be_set() {
    for text in [
        "VM 100 qga command 'guest-set-user-password' failed - got timeout",
        "VM 100 qmp command 'guest-set-user-password' failed - got timeout",
    ] {
        let (server, vm) = serving(fail(500, text)).await;
        let password = Secret::new("long enough");
        let error = vm.agent_set_password("root", &password, false).await.unwrap_err();
        assert!(error.may_have_happened(), "{text}");
        let sent = server
            .lines()
            .iter()
            .filter(|line| line.contains("set-user-password"))
            .count();
        assert_eq!(sent, 1, "a write is not repeated");
    }
}

#[tokio::test]
async fn a_command_repeats_its_key_for_each_word() {
    let (server, vm) = serving(data(r#"{"pid":"4711"}"#)).await;
    let pid = vm
        .agent_exec(&["/bin/echo", "a b", "c,d"], Some(&Secret::new("in")))
        .await
        .unwrap();
    assert_eq!(pid, 4711);
    assert_eq!(
        last(&server),
        "POST /qemu/100/agent/exec command=%2Fbin%2Fecho&command=a+b&command=c%2Cd&input-data=in"
    );
    let (server, vm) = serving(data(r#"{"exited":1,"exitcode":0,"out-data":"a b\n"}"#)).await;
    let status = vm.agent_exec_status(4711).await.unwrap();
    assert_eq!(last(&server), "GET /qemu/100/agent/exec-status?pid=4711");
    assert_eq!((status.exited, status.output.as_deref()), (true, Some("a b\n")));
}

#[tokio::test]
async fn the_next_number_is_read_as_number_and_as_text() {
    for answer in ["105", "\"105\""] {
        let server = Server::routed(vec![("/cluster/nextid", data(answer))]).await;
        assert_eq!(server.client().next_id().await.unwrap().get(), 105);
    }
    for answer in ["\"none\"", "null", "5"] {
        let server = Server::routed(vec![("/cluster/nextid", data(answer))]).await;
        let error = server.client().next_id().await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{answer}");
    }
}

#[tokio::test]
async fn nodes_are_listed_with_their_state() {
    let server = Server::routed(vec![(
        "/nodes",
        data(r#"[{"node":"pve1","status":"online","maxcpu":8},{"node":"pve2","status":"offline"}]"#),
    )])
    .await;
    let nodes = server.client().node_list().await.unwrap();
    let seen: Vec<_> = nodes
        .iter()
        .map(|node| (node.node.as_str(), node.is_online()))
        .collect();
    assert_eq!(seen, [("pve1", true), ("pve2", false)]);
}

#[tokio::test]
async fn a_vm_that_migrates_or_is_managed_is_known_by_the_list() {
    let server = Server::routed(vec![(
        "/cluster/resources",
        data(
            r#"[{"type":"qemu","vmid":100,"node":"pve1","lock":"migrate","hastate":"started"},
                {"type":"qemu","vmid":101,"node":"pve1","lock":"backup"}]"#,
        ),
    )])
    .await;
    let vms = server.client().vm_resources().await.unwrap();
    assert!(vms[0].is_migrating() && vms[0].is_ha_managed());
    assert!(!vms[1].is_migrating() && !vms[1].is_ha_managed());
}

#[tokio::test]
async fn a_vm_that_moved_is_found_by_the_other_text_too() {
    // Resetting and the like say it differently than reading does.
    let text = "unable to find configuration file for VM 100 on node 'pve1'";
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Server::start(move |request| {
        if request.line.contains("/cluster/resources") {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            return ok(if first { ON_PVE1 } else { ON_PVE2 });
        }
        if request.line.contains("/nodes/pve1/") {
            return fail(500, text);
        }
        data(&format!("{UPID:?}"))
    })
    .await;
    let vm = server.client().vm(vmid());
    for action in [vm.reset().await, vm.reboot(None).await] {
        assert_eq!(action.unwrap(), upid());
    }
    let resets: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.ends_with("/status/reset"))
        .collect();
    assert_eq!(
        resets,
        [
            "POST /api2/json/nodes/pve1/qemu/100/status/reset",
            "POST /api2/json/nodes/pve2/qemu/100/status/reset"
        ]
    );
}
