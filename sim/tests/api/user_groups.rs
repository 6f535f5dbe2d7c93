//! Proves groups: what they give to their members, and what a right on a group gives over them.

use pve_sim::{Options, Scenario};
use serde_json::json;

use crate::lab::Lab;

const USERS: &str = "/access/users";

/// The demo with two groups and a member of each, called by root.
async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    for group in ["team", "rest"] {
        lab.post("/access/groups", &[("groupid", group), ("comment", "some")])
            .await
            .data();
    }
    for (user, group) in [("head@pve", ""), ("member@pve", "team"), ("other@pve", "rest")] {
        lab.post(
            USERS,
            &[("userid", user), ("groups", group), ("password", "long-enough")],
        )
        .await
        .data();
    }
    lab
}

/// Puts a line on the access control list.
async fn grant(lab: &Lab, form: &[(&str, &str)]) {
    lab.put("/access/acl", form).await.data();
}

#[tokio::test]
async fn rights_on_a_group_reach_its_members_and_new_users_must_be_put_into_it() {
    let mut lab = lab().await;
    for path in ["/access/groups/team", "/access/realm/pve"] {
        grant(
            &lab,
            &[("path", path), ("roles", "PVEUserAdmin"), ("users", "head@pve")],
        )
        .await;
    }
    let team = lab.get("/access/groups/team").await.data();
    assert_eq!(team, json!({ "comment": "some", "members": ["member@pve"] }));

    lab.log_in("head@pve", "long-enough").await;
    let change = async |user: &str, form: &[(&str, &str)]| lab.put(&format!("{USERS}/{user}"), form).await;
    let comment = ("comment", "mine");
    let unnamed = change("member@pve", &[comment]).await;
    assert_eq!(
        unnamed.reason,
        "Permission check failed (/access/groups, User.Modify)"
    );
    change("member@pve", &[comment, ("groups", "team")]).await.data();
    let other = change("other@pve", &[comment, ("groups", "team")]).await;
    assert_eq!(
        (other.status, other.reason.as_str()),
        (403, "Permission check failed")
    );

    let make = async |form: &[(&str, &str)]| lab.post(USERS, form).await;
    let unnamed = make(&[("userid", "x@pve")]).await;
    assert_eq!(
        unnamed.reason,
        "Permission check failed (/access/groups, User.Modify)"
    );
    let wrong = make(&[("userid", "x@pve"), ("groups", "team,rest")]).await;
    assert_eq!(
        wrong.reason,
        "Permission check failed (/access/groups/rest, User.Modify)"
    );
    let foreign = make(&[("userid", "x@pam"), ("groups", "team")]).await;
    assert_eq!(
        foreign.reason,
        "Permission check failed (/access/realm/pam, Realm.AllocateUser)"
    );
    make(&[("userid", "x@pve"), ("groups", "team")]).await.data();
    let seen = lab.list(USERS).await;
    let names = seen
        .iter()
        .map(|user| user["userid"].as_str().unwrap_or_default());
    assert_eq!(names.collect::<Vec<_>>(), ["head@pve", "member@pve", "x@pve"]);
    let missing = lab.get("/access/users/nobody@pve").await;
    assert_eq!(
        (missing.status, missing.reason.as_str()),
        (500, "no such user ('nobody@pve')")
    );
    let group = lab.post("/access/groups", &[("groupid", "mine")]).await;
    assert_eq!(
        group.reason,
        "Permission check failed (/access/groups, Group.Allocate)"
    );
}

#[tokio::test]
async fn the_rights_of_a_group_end_with_membership() {
    let mut lab = lab().await;
    grant(
        &lab,
        &[("path", "/vms/100"), ("roles", "PVEVMUser"), ("groups", "team")],
    )
    .await;
    lab.log_in("member@pve", "long-enough").await;
    let status = "/nodes/pve1/qemu/100/status/current";
    assert_eq!(lab.get(status).await.status, 200, "the group's right");
    lab.root().await;
    lab.put("/access/users/member@pve", &[("groups", "rest")])
        .await
        .data();
    lab.log_in("member@pve", "long-enough").await;
    assert_eq!(lab.get(status).await.status, 403);
    lab.root().await;
    lab.put("/access/users/member@pve", &[("groups", "team"), ("append", "1")])
        .await
        .data();
    let both = lab.get("/access/users/member@pve").await.data();
    assert_eq!(both["groups"], json!(["rest", "team"]));
    lab.delete("/access/groups/team").await.data();
    let gone = lab.get("/access/groups/team").await;
    assert_eq!(
        (gone.status, gone.reason.as_str()),
        (500, "group 'team' does not exist")
    );
    let lines = lab.list("/access/acl").await;
    assert!(lines.iter().all(|line| line["type"] != "group"), "{lines:?}");
}

#[tokio::test]
async fn a_scenarios_groups_and_pools_count() {
    let text = format!(
        "{}\n[[user]]\nid = 'm@pve'\npassword = 'long-enough'\n[[group]]\nname = 'g'\nmembers = ['m@pve']\n\
         [[pool]]\nname = 'p'\ncomment = 'one'\nmembers = [101]\nstorages = ['nas']\n\
         [[acl]]\npath = '/pool/p'\nsubject = '@g'\nrole = 'PVEAdmin'\n",
        Scenario::DEMO
    );
    let mut lab = Lab::with(Options {
        time_scale: 100.0,
        scenario: Scenario::from_toml(&text).unwrap_or_else(|error| panic!("{error}")),
        ..Options::default()
    })
    .await;
    lab.log_in("m@pve", "long-enough").await;
    assert_eq!(lab.get("/nodes/pve1/qemu/101/config").await.status, 200);
    assert_eq!(lab.get("/nodes/pve1/qemu/100/config").await.status, 403);
    assert_eq!(lab.get("/nodes/pve1/storage/nas/status").await.status, 200);
    assert_eq!(lab.get("/nodes/pve1/storage/local/status").await.status, 403);
}
