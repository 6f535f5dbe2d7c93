//! Proves roles and the access control list: what may be changed, by whom, and the words of refusals.

use pve_sim::Major;
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab};

const ACL: &str = "/access/acl";

async fn lab_of(pve: Major) -> Lab {
    let mut lab = Lab::of(pve).await;
    lab.root().await;
    lab
}

#[tokio::test]
async fn roles_have_the_privileges_of_their_major() {
    for (major, known, unknown) in [
        (Major::V9, "VM.GuestAgent.Audit", "VM.Monitor"),
        (Major::V8, "VM.Monitor", "VM.GuestAgent.Audit"),
    ] {
        let lab = lab_of(major).await;
        let refused = lab
            .post("/access/roles", &[("roleid", "Mine"), ("privs", unknown)])
            .await;
        assert_eq!(refused.status, 400);
        assert_eq!(
            refused.error("privs"),
            format!("invalid format - invalid privilege '{unknown}'\n")
        );
        let form = [("roleid", "Mine"), ("privs", &*format!("VM.Audit {known}"))];
        assert_eq!(lab.post("/access/roles", &form).await.data(), Value::Null);
        assert_eq!(
            lab.get("/access/roles/Mine").await.data(),
            json!({ "VM.Audit": 1, known: 1 })
        );
        let roles = lab.list("/access/roles").await;
        let named = |name: &str| {
            roles
                .iter()
                .find(|role| role["roleid"] == name)
                .cloned()
                .unwrap_or_default()
        };
        assert_eq!(named("Mine")["special"], 0);
        assert_eq!(
            named("NoAccess"),
            json!({ "roleid": "NoAccess", "privs": "", "special": 1 })
        );
        let all = named("Administrator");
        let all = all["privs"]
            .as_str()
            .unwrap_or_default()
            .split(',')
            .collect::<Vec<_>>();
        assert!(all.contains(&known) && !all.contains(&unknown) && all.is_sorted());
    }
}

#[tokio::test]
async fn built_in_names_and_roles_are_not_for_the_taking() {
    let lab = lab_of(Major::V9).await;
    let namespace = lab.post("/access/roles", &[("roleid", "pveMine")]).await;
    assert_eq!(
        namespace.error("roleid"),
        "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"
    );
    for (answer, wanted) in [
        (
            lab.post("/access/roles", &[("roleid", "NoAccess")]).await,
            "create role failed: role 'NoAccess' already exists",
        ),
        (
            lab.put("/access/roles/NoAccess", &[("privs", "VM.Audit")]).await,
            "auto-generated role 'NoAccess' cannot be modified",
        ),
        (
            lab.delete("/access/roles/PVEVMUser").await,
            "auto-generated role 'PVEVMUser' cannot be deleted",
        ),
        (lab.get("/access/roles/Mine").await, "role 'Mine' does not exist"),
        (
            lab.put("/access/roles/Mine", &[("privs", "VM.Audit")]).await,
            "update role failed: role 'Mine' does not exist",
        ),
        (
            lab.delete("/access/roles/Mine").await,
            "delete role failed: role 'Mine' does not exist",
        ),
    ] {
        assert_eq!((answer.status, answer.reason.as_str()), (500, wanted));
    }
    let alone = lab.put("/access/roles/Mine", &[("append", "1")]).await;
    assert_eq!(alone.error("privs"), "missing property required by 'append'");
}

#[tokio::test]
async fn only_who_may_modify_access_touches_roles() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let refused = lab.post("/access/roles", &[("roleid", "Mine")]).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (403, "Permission check failed (/access, Sys.Modify)")
    );
    assert_eq!(lab.get("/access/roles").await.status, 200);
}

#[tokio::test]
async fn a_line_is_listed_as_it_was_given_and_a_removed_role_takes_it_along() {
    let lab = lab_of(Major::V9).await;
    lab.post("/access/roles", &[("roleid", "Mine"), ("privs", "VM.Audit")])
        .await
        .data();
    let form = [
        ("path", "//vms//102/"),
        ("roles", "Mine,PVEVMUser"),
        ("users", "auditor@pve"),
        ("propagate", "0"),
    ];
    lab.put(ACL, &form).await.data();
    let lines = || async {
        let all = lab.list(ACL).await;
        all.into_iter()
            .filter(|line| line["path"] == "/vms/102")
            .collect::<Vec<_>>()
    };
    let line = |role: &str| json!({ "path": "/vms/102", "type": "user", "ugid": "auditor@pve", "roleid": role, "propagate": 0 });
    assert_eq!(lines().await, [line("Mine"), line("PVEVMUser")]);
    lab.delete("/access/roles/Mine").await.data();
    assert_eq!(lines().await, [line("PVEVMUser")]);
    let tokens = lab.list(ACL).await;
    assert!(
        tokens
            .iter()
            .any(|line| line["type"] == "token" && line["ugid"] == "portico@pve!panel")
    );
}

#[tokio::test]
async fn a_line_needs_a_path_and_somebody_and_a_role_that_exist() {
    let lab = lab_of(Major::V9).await;
    let nobody = lab.put(ACL, &[("path", "/vms"), ("roles", "PVEVMUser")]).await;
    for name in ["users", "groups", "tokens"] {
        assert_eq!(
            nobody.error(name),
            "either 'users', 'groups' or 'tokens' is required."
        );
    }
    for path in ["/vms/1", "/nothing", "/vms/*"] {
        let form = [("path", path), ("roles", "PVEVMUser"), ("users", "auditor@pve")];
        let answer = lab.put(ACL, &form).await;
        assert_eq!(answer.error("path"), format!("invalid ACL path '{path}'"));
    }
    for (role, who, name, wanted) in [
        ("Mine", "users", "auditor@pve", "role 'Mine' does not exist"),
        ("PVEVMUser", "users", "no@pve", "user 'no@pve' does not exist"),
        ("PVEVMUser", "groups", "no", "group 'no' does not exist"),
        ("PVEVMUser", "tokens", "no@pve!t1", "no such user ('no@pve')"),
        (
            "PVEVMUser",
            "tokens",
            "auditor@pve!t1",
            "no such token 't1' for user 'auditor@pve'",
        ),
    ] {
        let answer = lab
            .put(ACL, &[("path", "/vms"), ("roles", role), (who, name)])
            .await;
        assert_eq!(
            (answer.status, answer.reason),
            (500, format!("ACL update failed: {wanted}"))
        );
    }
}

#[tokio::test]
async fn who_may_make_a_vm_hands_out_no_more_than_the_own_rights_on_it() {
    let mut lab = lab_of(Major::V9).await;
    lab.post(
        "/access/users",
        &[("userid", "new@pve"), ("password", "long-enough")],
    )
    .await
    .data();
    let own = [
        ("path", "/vms/102"),
        ("roles", "PVEVMAdmin"),
        ("users", "new@pve"),
        ("propagate", "0"),
    ];
    lab.put(ACL, &own).await.data();
    lab.log_in("new@pve", "long-enough").await;
    let give = async |path: &str, role: &str, propagate: &str| {
        let form = [
            ("path", path),
            ("roles", role),
            ("users", "auditor@pve"),
            ("propagate", propagate),
        ];
        lab.put(ACL, &form).await
    };
    let elsewhere = give("/vms/101", "PVEVMUser", "0").await;
    assert_eq!(
        (elsewhere.status, elsewhere.reason.as_str()),
        (
            403,
            "Permission check failed (/vms/101, Permissions.Modify|VM.Allocate)"
        )
    );
    assert_eq!(
        give("/", "PVEVMUser", "0").await.reason,
        "Permission check failed (/, Permissions.Modify)"
    );
    let told = |role: &str, rest: &str| {
        json!(format!(
            "ACL update failed: 400 Parameter verification failed.\nrole: Cannot add role '{role}'{rest}\n"
        ))
    };
    let more = give("/vms/102", "PVEAdmin", "0").await;
    assert_eq!(
        (more.status, &more.json["message"]),
        (
            500,
            &told(
                "PVEAdmin",
                " - requires 'Permissions.Modify' or superset of privileges."
            )
        )
    );
    let deeper = give("/vms/102", "PVEVMUser", "1").await;
    let wanted = " with propagation - requires 'Permissions.Modify' or propagated superset of privileges.";
    assert_eq!(deeper.json["message"], told("PVEVMUser", wanted));
    let none = give("/vms/102", "NoAccess", "0").await;
    assert_eq!(
        none.json["message"],
        told("NoAccess", " - requires 'Permissions.Modify'")
    );
    assert_eq!(give("/vms/102", "PVEVMUser", "0").await.data(), Value::Null);
    let seen = lab.list(ACL).await;
    assert_eq!(seen.len(), 2, "only the lines that could be changed: {seen:?}");
}
