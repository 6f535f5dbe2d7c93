//! Proves the cloud-init data: keys, password, pending values, the image.

use crate::lab::{AUDITOR, Lab};
use pve_sim::Effect;
use serde_json::{Value, json};

const VM: &str = "/nodes/pve1/qemu/100";
const KEY: &str =
    "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIGtpbGwgYWxsIGh1bWFucyBvciBiZSBraWxsZWQhIQ%3D%3D%20me%40home";

async fn entry(lab: &Lab, key: &str) -> Value {
    let list = lab.list(&format!("{VM}/cloudinit")).await;
    list.iter()
        .find(|item| item["key"] == key)
        .cloned()
        .unwrap_or(Value::Null)
}

#[tokio::test]
async fn keys_are_stored_encoded_and_must_be_keys() {
    let lab = Lab::new().await;
    let path = format!("{VM}/config");
    assert_eq!(lab.put(&path, &[("sshkeys", KEY)]).await.status, 200);
    assert_eq!(lab.config("pve1", 100).await["sshkeys"], KEY);
    let answer = lab.put(&path, &[("sshkeys", "ssh-rsa%20nonsense")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "SSH public key validation error")
    );
    let raw = KEY.replace("%20", " ");
    let answer = lab.put(&path, &[("sshkeys", &raw)]).await;
    assert!(
        answer
            .error("sshkeys")
            .starts_with("invalid format - invalid urlencoded string: "),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_change_waits_for_the_image_to_be_made_anew() {
    let lab = Lab::new().await;
    assert_eq!(
        entry(&lab, "ciuser").await,
        json!({ "key": "ciuser", "value": "debian" })
    );
    let form = [
        ("ciuser", "admin"),
        ("cipassword", "secret-word"),
        ("delete", "searchdomain"),
    ];
    assert_eq!(lab.put(&format!("{VM}/config"), &form).await.status, 200);
    // Only a VM that has been started here knows what its image was made of.
    let upid = lab.post(&format!("{VM}/status/stop"), &[]).await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(lab.run(&format!("{VM}/status/start"), &[]).await, "OK");
    assert_eq!(
        lab.put(&format!("{VM}/config"), &[("ciuser", "other")])
            .await
            .status,
        200
    );
    assert_eq!(
        entry(&lab, "ciuser").await,
        json!({ "key": "ciuser", "value": "admin", "pending": "other" })
    );
    assert_eq!(
        lab.put(&format!("{VM}/config"), &[("delete", "cipassword")])
            .await
            .status,
        200
    );
    assert_eq!(
        entry(&lab, "cipassword").await,
        json!({ "key": "cipassword", "value": "**********", "delete": 1 })
    );
    assert_eq!(lab.put(&format!("{VM}/cloudinit"), &[]).await.data(), Value::Null);
    assert_eq!(
        entry(&lab, "ciuser").await,
        json!({ "key": "ciuser", "value": "other" })
    );
    assert_eq!(entry(&lab, "cipassword").await, Value::Null);
    assert_eq!(
        lab.control()
            .effect_count(Effect::CloudinitRegenerated, 100, None),
        1
    );
    lab.control().set_lock(100, Some("snapshot")).unwrap();
    let answer = lab.put(&format!("{VM}/cloudinit"), &[]).await;
    assert_eq!(answer.reason, "VM is locked (snapshot)");
}

#[tokio::test]
async fn the_data_can_be_read_but_the_password_only_by_who_may_set_it() {
    let mut lab = Lab::new().await;
    let form = [("cipassword", "secret-word"), ("sshkeys", KEY)];
    assert_eq!(lab.put(&format!("{VM}/config"), &form).await.status, 200);
    let dump = format!("{VM}/cloudinit/dump?type=user");
    let text = lab.get(&dump).await.data();
    let text = text.as_str().unwrap();
    assert!(text.starts_with("#cloud-config\nhostname: web1\n"), "{text}");
    assert!(
        text.contains("password: $5$") && text.contains("- ssh-ed25519 AAAA"),
        "{text}"
    );
    let network = lab.get(&format!("{VM}/cloudinit/dump?type=network")).await.data();
    assert!(network.as_str().unwrap().contains("address: '192.0.2.10/24'"));
    let meta = lab.get(&format!("{VM}/cloudinit/dump?type=meta")).await.data();
    assert!(meta.as_str().unwrap().starts_with("instance-id: "));
    lab.use_token(AUDITOR);
    let text = lab.get(&dump).await.data();
    assert!(text.as_str().unwrap().contains("password: **********\n"));
    let answer = lab.get(&format!("{VM}/cloudinit/dump")).await;
    assert_eq!(answer.error("type"), "property is missing and it is not optional");
}
