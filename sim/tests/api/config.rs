//! Proves reading and changing configurations.

use crate::lab::{AUDITOR, Lab};
use pve_sim::Effect;
use serde_json::{Value, json};

const PATH: &str = "/nodes/pve1/qemu/100/config";
const SCSI0: &str = "local-lvm:vm-100-disk-0,discard=on,iops_rd=2000,iops_wr=1000,iothread=1,mbps_rd=200,mbps_wr=100,size=40G";

#[tokio::test]
async fn integers_are_numbers_and_everything_else_is_text() {
    let lab = Lab::new().await;
    let config = lab.config("pve1", 100).await;
    assert_eq!((&config["cores"], &config["onboot"]), (&json!(2), &json!(1)));
    assert_eq!(config["memory"], "4096");
    assert_eq!(config["scsi0"], SCSI0);
    assert_eq!(config["tags"], "demo;web");
    assert_eq!(config["digest"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn a_running_vm_takes_some_changes_at_once_and_keeps_others_pending() {
    let lab = Lab::new().await;
    let form = [
        ("name", "renamed"),
        ("net0", "bridge=vmbr0,rate=25,virtio=bc:24:11:10:00:01"),
        (
            "scsi0",
            "local-lvm:vm-100-disk-0,mbps=50,iothread=1,discard=on,size=40G",
        ),
        ("ipconfig0", "ip=192.0.2.99/24,gw=192.0.2.1"),
        ("cores", "8"),
        ("memory", "16384"),
    ];
    assert_eq!(lab.put(PATH, &form).await.data(), Value::Null);
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(vm.config["name"], "renamed");
    assert_eq!(vm.config["net0"], "virtio=BC:24:11:10:00:01,bridge=vmbr0,rate=25");
    assert_eq!(
        vm.config["scsi0"],
        "local-lvm:vm-100-disk-0,discard=on,iothread=1,mbps=50,size=40G"
    );
    assert_eq!(vm.pending.keys().collect::<Vec<_>>(), ["cores", "memory"]);
    assert_eq!(
        lab.config("pve1", 100).await["cores"],
        8,
        "shown with pending values"
    );
    assert_eq!(lab.get(&format!("{PATH}?current=1")).await.data()["cores"], 2);
    let pending = lab.get("/nodes/pve1/qemu/100/pending").await.data();
    let cores = pending
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["key"] == "cores")
        .unwrap()
        .clone();
    assert_eq!(cores, json!({ "key": "cores", "value": 2, "pending": 8 }));
    assert_eq!(lab.put(PATH, &[("revert", "cores,memory")]).await.status, 200);
    assert!(lab.control().vm(100).unwrap().pending.is_empty());
    assert_eq!(lab.control().effect_count(Effect::ConfigChanged, 100, None), 2);
}

#[tokio::test]
async fn a_stopped_vm_takes_everything_at_once() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/102/config";
    assert_eq!(
        lab.put(path, &[("cores", "3"), ("scsi1", "local-lvm:10")])
            .await
            .status,
        200
    );
    let vm = lab.control().vm(102).unwrap();
    assert_eq!(vm.config["cores"], "3");
    assert_eq!(vm.config["scsi1"], "local-lvm:vm-102-disk-1,size=10G");
    assert_eq!(lab.put(path, &[("delete", "scsi1")]).await.status, 200);
    assert_eq!(
        lab.control().vm(102).unwrap().config["unused0"],
        "local-lvm:vm-102-disk-1"
    );
    assert_eq!(lab.put(path, &[("delete", "unused0")]).await.status, 200);
    let content = lab
        .get("/nodes/pve1/storage/local-lvm/content?vmid=102")
        .await
        .data();
    assert_eq!(
        content.as_array().unwrap().len(),
        1,
        "the freed volume is gone: {content}"
    );
}

#[tokio::test]
async fn a_medium_is_changed_on_a_running_vm() {
    let lab = Lab::new().await;
    let path = "/nodes/pve2/qemu/104/config";
    let answer = lab
        .put(path, &[("ide0", "local:iso/virtio-win-0.1.271.iso")])
        .await;
    assert_eq!(
        (answer.status, answer.error("ide0")),
        (400, "explicit 'media=cdrom' is required for iso images")
    );
    let iso = "local:iso/debian-13.1.0-amd64-netinst.iso";
    assert_eq!(
        lab.put(path, &[("ide0", &format!("{iso},media=cdrom"))])
            .await
            .status,
        200
    );
    assert_eq!(
        lab.control().vm(104).unwrap().config["ide0"],
        format!("{iso},media=cdrom,size=783M")
    );
    let answer = lab.put(path, &[("ide0", "local:iso/none.iso,media=cdrom")]).await;
    assert_eq!(answer.reason, "volume local:iso/none.iso does not exist");
}

#[tokio::test]
async fn wrong_values_are_refused_in_pves_words() {
    let lab = Lab::new().await;
    let refusal = |key: &'static str, value: &'static str| {
        let lab = &lab;
        async move {
            let answer = lab.put(PATH, &[(key, value)]).await;
            assert_eq!(answer.status, 400, "{key}={value}");
            answer.error(key).to_owned()
        }
    };
    assert_eq!(
        refusal("cores", "0").await,
        "value must have a minimum value of 1"
    );
    assert_eq!(
        refusal("cores", "two").await,
        "type check ('integer') failed - got 'two'"
    );
    assert_eq!(
        refusal("onboot", "true").await,
        "type check ('boolean') failed - got 'true'"
    );
    assert_eq!(
        refusal("scsi0", "local-lvm:x,mbps=1,mbps_rd=1").await,
        "unable to parse drive options"
    );
    let text = refusal("net0", "virtio,bridge=vmbr0,rate=fast").await;
    assert_eq!(
        text,
        "invalid format - format error\nnet0.rate: type check ('number') failed - got 'fast'\n"
    );
    assert_eq!(
        refusal("net32", "virtio").await.split(' ').next(),
        Some("property")
    );
    assert_eq!(
        refusal("sshkeys", "ssh-ed25519 AAAA").await,
        "invalid format - invalid urlencoded string: ssh-ed25519 AAAA\n"
    );
    let text = refusal("ostype", "dos").await;
    assert!(
        text.starts_with("value 'dos' does not have a value in the enumeration 'other, wxp"),
        "{text}"
    );
    let answer = lab.put(PATH, &[("delete", "nonsense")]).await;
    assert_eq!(
        (answer.status, answer.error("delete")),
        (400, "unknown option 'nonsense'")
    );
    let answer = lab.put(PATH, &[]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "no options specified")
    );
    assert_eq!(lab.control().effect_count(Effect::ConfigChanged, 100, None), 0);
}

#[tokio::test]
async fn a_digest_of_another_state_is_refused() {
    let lab = Lab::new().await;
    let digest = lab.config("pve1", 100).await["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        lab.put(PATH, &[("onboot", "0"), ("digest", &digest)])
            .await
            .status,
        200
    );
    let answer = lab.put(PATH, &[("onboot", "1"), ("digest", &digest)]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "checksum mismatch (file change by other user?)")
    );
}

#[tokio::test]
async fn each_key_needs_its_privilege_and_some_need_root() {
    let mut lab = Lab::new().await;
    let answer = lab.put(PATH, &[("args", "-x")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "only root can set 'args' config")
    );
    let answer = lab.put(PATH, &[("startup", "order=1")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed (/, Sys.Modify)")
    );
    lab.use_token(AUDITOR);
    assert_eq!(lab.put(PATH, &[("cores", "1")]).await.status, 403);
    lab.root().await;
    assert_eq!(lab.put(PATH, &[("args", "-x")]).await.status, 200);
}

#[tokio::test]
async fn a_password_is_never_shown_but_in_a_snapshots_configuration() {
    let lab = Lab::new().await;
    assert_eq!(lab.put(PATH, &[("cipassword", "very secret")]).await.status, 200);
    assert_eq!(lab.config("pve1", 100).await["cipassword"], "**********");
    assert!(lab.control().vm(100).unwrap().config["cipassword"].starts_with("$5$"));
    assert_eq!(
        lab.run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "with-hash")])
            .await,
        "OK"
    );
    let kept = lab
        .get("/nodes/pve1/qemu/100/snapshot/with-hash/config")
        .await
        .data();
    assert!(
        kept["cipassword"].as_str().unwrap().starts_with("$5$"),
        "as in PVE"
    );
    let log = lab.control().request_log(100);
    assert!(!format!("{log:?}").contains("very secret"));
}

#[tokio::test]
async fn a_posted_change_is_a_task_or_null_when_it_ends_in_time() {
    let lab = Lab::new().await;
    assert_eq!(lab.run(PATH, &[("onboot", "0")]).await, "OK");
    assert_eq!(lab.control().vm(100).unwrap().config["onboot"], "0");
    let answer = lab
        .post(PATH, &[("onboot", "1"), ("background_delay", "20")])
        .await;
    assert_eq!(answer.data(), Value::Null);
    lab.control().set_lock(100, Some("backup")).unwrap();
    let answer = lab.post(PATH, &[("onboot", "0")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "VM is locked (backup)")
    );
}

#[tokio::test]
async fn json_bodies_are_taken_as_forms_are() {
    let lab = Lab::new().await;
    let body = json!({ "onboot": false, "cores": 3 });
    let answer = lab
        .send(lab.request(reqwest::Method::PUT, PATH).json(&body))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let vm = lab.control().vm(100).unwrap();
    assert_eq!(
        (vm.config["onboot"].as_str(), vm.pending["cores"].as_str()),
        ("0", "3")
    );
}
