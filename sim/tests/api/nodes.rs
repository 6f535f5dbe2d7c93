//! Proves what nodes tell of themselves: index, version, time, network, charts of nodes and storages.

use pve_sim::Major;
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab};

async fn lab_of(pve: Major) -> Lab {
    let mut lab = Lab::of(pve).await;
    lab.use_token(AUDITOR);
    lab
}

fn keys(row: &Value) -> Vec<&str> {
    row.as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

#[tokio::test]
async fn indexes_name_what_is_below() {
    for (major, extra) in [(Major::V8, false), (Major::V9, true)] {
        let lab = lab_of(major).await;
        let node = lab.list("/nodes/pve1").await;
        assert!(node.contains(&json!({ "name": "qemu" })));
        assert_eq!(node.contains(&json!({ "name": "query-oci-repo-tags" })), extra);
        let storage = lab.list("/nodes/pve1/storage/local").await;
        assert!(storage.contains(&json!({ "subdir": "upload" })));
        assert_eq!(storage.contains(&json!({ "subdir": "oci-registry-pull" })), extra);
        let version = lab.get("/nodes/pve2/version").await.data();
        assert_eq!(version, lab.get("/version").await.data());
    }
}

#[tokio::test]
async fn a_node_tells_the_time_to_who_may_look() {
    let mut lab = lab_of(Major::V9).await;
    let time = lab.get("/nodes/pve1/time").await.data();
    assert_eq!(time["timezone"], "UTC");
    assert_eq!(time["time"], time["localtime"]);
    assert!(time["time"].as_i64() > Some(1_297_163_644));
    lab.root().await;
    lab.post(
        "/access/users",
        &[("userid", "new@pve"), ("password", "long-enough")],
    )
    .await
    .data();
    lab.log_in("new@pve", "long-enough").await;
    let refused = lab.get("/nodes/pve1/time").await;
    assert_eq!(refused.reason, "Permission check failed (/nodes/pve1, Sys.Audit)");
}

#[tokio::test]
async fn bridges_are_shown_to_who_may_use_them() {
    let mut lab = lab_of(Major::V9).await;
    let all = lab.list("/nodes/pve1/network").await;
    assert_eq!(
        (&all[0]["iface"], &all[0]["type"]),
        (&json!("eno1"), &json!("eth"))
    );
    let bridges = lab.list("/nodes/pve1/network?type=any_bridge").await;
    assert_eq!(bridges[0]["iface"], "vmbr0");
    assert_eq!(
        (&bridges[0]["cidr"], &bridges[0]["bridge_ports"]),
        (&json!("10.0.0.11/24"), &json!("eno1"))
    );
    assert!(bridges.iter().all(|bridge| bridge["type"] == "bridge"));
    let unknown = lab.get("/nodes/pve1/network?type=tunnel").await;
    assert!(
        unknown.error("type").contains("'bridge, bond, eth"),
        "{}",
        unknown.text
    );

    lab.root().await;
    lab.post(
        "/access/users",
        &[("userid", "new@pve"), ("password", "long-enough")],
    )
    .await
    .data();
    lab.log_in("new@pve", "long-enough").await;
    assert_eq!(
        lab.list("/nodes/pve1/network?type=bridge").await,
        [] as [Value; 0]
    );
    lab.root().await;
    let vlan = [
        ("path", "/sdn/zones/localnetwork/vmbr0/20"),
        ("roles", "PVESDNUser"),
        ("users", "new@pve"),
    ];
    lab.put("/access/acl", &vlan).await.data();
    lab.log_in("new@pve", "long-enough").await;
    let seen = lab.list("/nodes/pve1/network?type=bridge").await;
    assert_eq!(seen.len(), 1, "a VLAN of it is enough: {seen:?}");
}

#[tokio::test]
async fn charts_have_the_steps_and_keys_of_their_major_and_the_same_past_each_time() {
    for (major, step, count, fresh) in [(Major::V8, 1_800, 70, false), (Major::V9, 60, 1_440, true)] {
        let lab = lab_of(major).await;
        let node = lab.list("/nodes/pve1/rrddata?timeframe=day").await;
        assert_eq!(node.len(), count);
        let time = |row: &Value| row["time"].as_i64().unwrap_or_default();
        assert!(
            node.windows(2)
                .all(|pair| time(&pair[1]) - time(&pair[0]) == step)
        );
        let row = &node[count / 2];
        for key in ["loadavg", "iowait", "memused", "rootused", "netin"] {
            assert!(row[key].is_number(), "{key} in {row}");
        }
        assert_eq!(keys(row).contains(&"memavailable"), fresh);
        assert_eq!(keys(row).contains(&"pressureiofull"), fresh);
        let again = lab.list("/nodes/pve1/rrddata?timeframe=day").await;
        let same = again.iter().find(|other| other["time"] == row["time"]);
        assert_eq!(same, Some(row));
        let other = lab.list("/nodes/pve2/rrddata?timeframe=day&cf=MAX").await;
        assert_ne!(other[count / 2]["cpu"], row["cpu"], "each node has its own curve");

        let storage = lab.list("/nodes/pve1/storage/local/rrddata?timeframe=hour").await;
        assert_eq!(keys(&storage[0]), ["time", "total", "used"]);
        let decade = lab.get("/nodes/pve1/rrddata?timeframe=decade").await;
        assert_eq!(decade.status, if fresh { 200 } else { 400 });
    }
}

#[tokio::test]
async fn what_has_no_figures_is_refused_as_a_missing_file() {
    let lab = lab_of(Major::V9).await;
    let node = lab.get("/nodes/pve9/rrddata?timeframe=hour").await;
    let file = "/var/lib/rrdcached/db/pve-node-9.0/pve9";
    assert_eq!(
        (node.status, node.reason),
        (
            500,
            format!("RRD error: opening '{file}': No such file or directory")
        )
    );
    let storage = lab
        .get("/nodes/pve1/storage/local-zfs/rrddata?timeframe=hour")
        .await;
    assert!(
        storage.reason.contains("pve-storage-9.0/pve1/local-zfs"),
        "{}",
        storage.reason
    );
}

#[tokio::test]
async fn nodes_are_listed_with_the_fingerprint_of_their_certificate() {
    let lab = lab_of(Major::V9).await;
    for node in lab.list("/nodes").await {
        assert_eq!(node["ssl_fingerprint"], lab.handle.fingerprint());
    }
}
