//! Proves pools: their members, the rights that go with membership, and the words of refusals.

use pve_sim::Action;
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab};

/// The demo with a pool of VMs 101 and 102 and of storage `nas`, called by root.
async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab.post("/pools", &[("poolid", "customers"), ("comment", "paying")])
        .await
        .data();
    lab.put("/pools/customers", &[("vms", "101,102"), ("storage", "nas")])
        .await
        .data();
    lab
}

/// A user with a password and one line on the access control list, who calls from now on.
async fn call_as(lab: &mut Lab, user: &str, path: &str, role: &str) {
    lab.post("/access/users", &[("userid", user), ("password", "long-enough")])
        .await
        .data();
    lab.put("/access/acl", &[("path", path), ("roles", role), ("users", user)])
        .await
        .data();
    lab.log_in(user, "long-enough").await;
}

/// The ids of a pool's members.
fn ids(pool: &Value) -> Vec<&str> {
    let members = pool["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    members
        .iter()
        .filter_map(|member| member["id"].as_str())
        .collect()
}

#[tokio::test]
async fn both_forms_show_a_pool_with_its_members() {
    let lab = lab().await;
    assert_eq!(
        lab.list("/pools").await,
        [json!({ "poolid": "customers", "comment": "paying" })]
    );
    let pool = lab.get("/pools/customers").await.data();
    assert_eq!(ids(&pool), ["qemu/101", "qemu/102", "storage/pve1/nas"]);
    let db = &pool["members"][0];
    assert_eq!(
        (&db["name"], &db["status"], &db["vmid"]),
        (&json!("db1"), &json!("running"), &json!(101))
    );
    assert!(db.get("pool").is_none() && db.get("tags").is_none(), "{db}");
    assert_eq!(lab.list("/pools?poolid=customers").await.first(), Some(&pool));
    let storages = lab.get("/pools/customers?type=storage").await.data();
    assert_eq!(ids(&storages), ["storage/pve1/nas"]);
    assert_eq!(
        ids(&lab.list("/pools?poolid=customers&type=lxc").await[0]),
        [] as [&str; 0]
    );
    let alone = lab.get("/pools?type=qemu").await;
    assert_eq!(alone.error("poolid"), "missing property required by 'type'");
    assert_eq!(
        lab.get("/pools?poolid=none").await.reason,
        "pool 'none' does not exist"
    );
}

#[tokio::test]
async fn rights_on_a_pool_cover_its_members_as_long_as_they_are_members() {
    let mut lab = lab().await;
    call_as(&mut lab, "tenant@pve", "/pool/customers", "PVEAdmin").await;
    let vms = lab.list("/cluster/resources?type=vm").await;
    let seen = vms
        .iter()
        .filter_map(|vm| vm["vmid"].as_u64())
        .collect::<Vec<_>>();
    assert_eq!(seen, [101, 102]);
    assert_eq!(vms[0]["pool"], "customers");
    assert_eq!(lab.get("/nodes/pve1/storage/nas/status").await.status, 200);
    let given = lab.get("/access/permissions").await.data();
    assert_eq!(given["/vms/101"]["VM.Audit"], 0, "it does not reach further down");
    assert!(given.get("/vms/100").is_none());
    lab.root().await;
    lab.put("/pools/customers", &[("vms", "101"), ("delete", "1")])
        .await
        .data();
    lab.log_in("tenant@pve", "long-enough").await;
    let refused = lab.get("/nodes/pve1/qemu/101/config").await;
    assert_eq!(refused.reason, "Permission check failed (/vms/101, VM.Audit)");
}

#[tokio::test]
async fn a_destroyed_vm_leaves_its_pool_and_a_copy_joins_the_pool_that_was_named() {
    let lab = lab().await;
    let clone = [("newid", "300"), ("pool", "customers")];
    assert_eq!(lab.run("/nodes/pve1/qemu/9000/clone", &clone).await, "OK");
    let pool = lab.get("/pools/customers?type=qemu").await.data();
    assert_eq!(ids(&pool), ["qemu/101", "qemu/102", "qemu/300"]);
    let upid = lab.delete("/nodes/pve1/qemu/102").await.data();
    assert_eq!(lab.exit_of(&upid).await, "OK");
    lab.act(Action::RemoveVm { vmid: 101 });
    let pool = lab.get("/pools/customers?type=qemu").await.data();
    assert_eq!(ids(&pool), ["qemu/300"]);
    let nowhere = lab
        .post(
            "/nodes/pve1/qemu/9000/clone",
            &[("newid", "301"), ("pool", "none")],
        )
        .await;
    assert_eq!(
        (nowhere.status, nowhere.reason.as_str()),
        (403, "Permission check failed (pool 'none' does not exist)")
    );
}

#[tokio::test]
async fn a_vm_moves_between_pools_only_when_that_is_allowed() {
    let lab = lab().await;
    lab.post("/pools", &[("poolid", "other")]).await.data();
    let kept = lab.put("/pools?poolid=other", &[("vms", "100,101")]).await;
    assert_eq!(
        (kept.status, kept.reason.as_str()),
        (
            500,
            "update pools failed: VM 101 belongs already to pool 'customers' and 'allow-move' is not set"
        )
    );
    assert_eq!(
        ids(&lab.get("/pools/other").await.data()),
        [] as [&str; 0],
        "all or nothing"
    );
    let form = [("vms", "101"), ("allow-move", "1"), ("poolid", "other")];
    assert_eq!(lab.put("/pools", &form).await.data(), Value::Null);
    assert_eq!(ids(&lab.get("/pools/other").await.data()), ["qemu/101"]);
    assert_eq!(
        ids(&lab.get("/pools/customers?type=qemu").await.data()),
        ["qemu/102"]
    );
    for (form, wanted) in [
        (vec![("vms", "101")], "VM 101 is already a pool member"),
        (
            vec![("vms", "102"), ("delete", "1")],
            "VM 102 is not a pool member",
        ),
        (
            vec![("storage", "nas"), ("delete", "1")],
            "Storage 'nas' is not a pool member",
        ),
    ] {
        let answer = lab.put("/pools/other", &form).await;
        assert_eq!(answer.reason, format!("update pools failed: {wanted}"));
    }
    let again = lab.put("/pools/customers", &[("storage", "nas")]).await;
    assert_eq!(
        again.reason,
        "update pools failed: Storage 'nas' is already a pool member"
    );
}

#[tokio::test]
async fn only_an_empty_pool_is_removed_and_its_rights_with_it() {
    let mut lab = lab().await;
    lab.post("/pools", &[("poolid", "customers/small")]).await.data();
    let form = [
        ("path", "/pool/customers"),
        ("roles", "PVEPoolUser"),
        ("users", "auditor@pve"),
    ];
    lab.put("/access/acl", &form).await.data();
    let inside = async |what: &str| {
        let answer = lab.delete("/pools/customers").await;
        let wanted = format!("delete pool failed: pool 'customers' is not empty (contains {what})");
        assert_eq!((answer.status, answer.reason), (500, wanted));
    };
    inside("pool 'customers/small'").await;
    lab.delete("/pools?poolid=customers/small").await.data();
    inside("VM 101").await;
    lab.put("/pools/customers", &[("vms", "101;102"), ("delete", "1")])
        .await
        .data();
    inside("storage 'nas'").await;
    lab.put("/pools/customers", &[("storage", "nas"), ("delete", "1")])
        .await
        .data();
    assert_eq!(lab.delete("/pools/customers").await.data(), Value::Null);
    let left = lab.list("/access/acl").await;
    assert!(
        left.iter().all(|line| line["path"] != "/pool/customers"),
        "{left:?}"
    );
    let gone = lab.delete("/pools/customers").await;
    assert_eq!(gone.reason, "delete pool failed: pool 'customers' does not exist");
    lab.use_token(AUDITOR);
    let refused = lab.delete("/pools?poolid=any").await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (403, "Permission check failed (/pool/any, Pool.Allocate)")
    );
}

#[tokio::test]
async fn names_of_pools_are_checked() {
    let lab = lab().await;
    for (name, wanted) in [
        ("customers", "pool 'customers' already exists"),
        ("1st", "pool name must start with a letter"),
        ("none/inner", "parent 'none' of pool 'none/inner' does not exist"),
        ("customers/1st", "pool name must start with a letter"),
    ] {
        let answer = lab.post("/pools", &[("poolid", name)]).await;
        assert_eq!(
            (answer.status, answer.reason),
            (500, format!("create pool failed: {wanted}"))
        );
    }
    let spaced = lab.post("/pools", &[("poolid", "a b")]).await;
    assert_eq!(
        spaced.error("poolid"),
        "invalid format - pool name 'a b' contains invalid characters\n"
    );
    let deep = lab.post("/pools", &[("poolid", "a/b/c/d")]).await;
    assert_eq!(
        deep.error("poolid"),
        "invalid format - pool name 'a/b/c/d' nested too deeply (max levels = 3)\n"
    );
}

#[tokio::test]
async fn members_are_added_only_by_who_may_give_rights_on_them() {
    let mut lab = lab().await;
    call_as(&mut lab, "keeper@pve", "/pool/customers", "PVEPoolAdmin").await;
    assert_eq!(
        lab.put("/pools/customers", &[("comment", "")]).await.data(),
        Value::Null
    );
    assert!(lab.get("/pools/customers").await.data().get("comment").is_none());
    let refused = lab.put("/pools/customers", &[("vms", "100")]).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (
            500,
            "update pools failed: 403 Permission check failed (/vms/100, Permissions.Modify|VM.Allocate)"
        )
    );
    let foreign = lab.post("/pools", &[("poolid", "mine")]).await;
    assert_eq!(
        foreign.reason,
        "Permission check failed (/pool/mine, Pool.Allocate)"
    );
    assert_eq!(lab.list("/pools").await.len(), 1);
    lab.use_token(AUDITOR);
    assert_eq!(lab.put("/pools/customers", &[("comment", "x")]).await.status, 403);
}

#[tokio::test]
async fn a_pool_is_named_only_to_who_may_look_at_it() {
    let mut lab = lab().await;
    call_as(&mut lab, "tenant@pve", "/vms", "PVEVMUser").await;
    let vms = lab.list("/cluster/resources?type=vm").await;
    let of = |vms: &[Value]| vms.iter().find(|vm| vm["vmid"] == 101).unwrap().clone();
    assert_eq!(of(&vms)["name"], "db1");
    assert!(of(&vms).get("pool").is_none(), "{}", of(&vms));
    lab.root().await;
    let vms = lab.list("/cluster/resources?type=vm").await;
    assert_eq!(of(&vms)["pool"], "customers");
}
