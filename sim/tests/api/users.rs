//! Proves users and tokens: what is made counts at once, in every check, and what ends counts no more.

use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Lab};

const USERS: &str = "/access/users";
const NEW: &str = "/access/users/new@pve";

/// The demo, called by root.
async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab
}

/// Makes a token and gives the value of its header.
async fn token(lab: &Lab, user: &str, name: &str, form: &[(&str, &str)]) -> String {
    let path = format!("{USERS}/{user}/token/{name}");
    let made = lab.post(&path, form).await.data();
    let text = |key: &str| made.get(key).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(text("full-tokenid"), format!("{user}!{name}"));
    format!("PVEAPIToken={}={}", text("full-tokenid"), text("value"))
}

/// Puts a line on the access control list.
async fn grant(lab: &Lab, form: &[(&str, &str)]) {
    assert_eq!(lab.put("/access/acl", form).await.data(), Value::Null);
}

/// What asking for VM 100 with a token is answered.
async fn asking(lab: &mut Lab, header: &str, method: Method, path: &str) -> (u16, String) {
    lab.use_token(header);
    let answer = lab.send(lab.request(method, path)).await;
    lab.root().await;
    (answer.status, answer.reason)
}

#[tokio::test]
async fn a_new_user_with_role_token_and_rights_can_do_exactly_what_was_given() {
    let mut lab = lab().await;
    lab.post(
        "/access/roles",
        &[("roleid", "Starter"), ("privs", "VM.Audit,VM.PowerMgmt")],
    )
    .await
    .data();
    lab.post(USERS, &[("userid", "new@pve")]).await.data();
    let own = token(&lab, "new@pve", "own", &[]).await;
    let full = token(&lab, "new@pve", "full", &[("privsep", "0")]).await;
    assert_ne!(
        own.rsplit('=').next(),
        full.rsplit('=').next(),
        "each has its own secret"
    );
    let (status, start) = (
        "/nodes/pve1/qemu/100/status/current",
        "/nodes/pve1/qemu/100/status/reset",
    );
    let refused = |privilege: &str| (403, format!("Permission check failed (/vms/100, {privilege})"));
    let ok = (200, "OK".to_owned());

    assert_eq!(
        asking(&mut lab, &full, Method::GET, status).await,
        refused("VM.Audit")
    );
    grant(
        &lab,
        &[("path", "/vms/100"), ("roles", "Starter"), ("users", "new@pve")],
    )
    .await;
    assert_eq!(asking(&mut lab, &full, Method::GET, status).await, ok);
    assert_eq!(asking(&mut lab, &full, Method::POST, start).await, ok);
    assert_eq!(
        asking(&mut lab, &own, Method::GET, status).await,
        refused("VM.Audit")
    );

    grant(
        &lab,
        &[
            ("path", "/vms"),
            ("roles", "Administrator"),
            ("tokens", "new@pve!own"),
        ],
    )
    .await;
    assert_eq!(asking(&mut lab, &own, Method::POST, start).await, ok);
    let snapshots = "/nodes/pve1/qemu/100/snapshot";
    assert_eq!(
        asking(&mut lab, &own, Method::POST, snapshots).await,
        refused("VM.Snapshot"),
        "the token has no more than its user"
    );
    let other = "/nodes/pve1/qemu/101/status/current";
    assert_eq!(asking(&mut lab, &own, Method::GET, other).await.0, 403);

    lab.put(
        "/access/roles/Starter",
        &[("privs", "VM.Snapshot"), ("append", "1")],
    )
    .await
    .data();
    assert_eq!(asking(&mut lab, &own, Method::GET, snapshots).await, ok);
    lab.put("/access/roles/Starter", &[("privs", "VM.Console")])
        .await
        .data();
    assert_eq!(
        asking(&mut lab, &own, Method::GET, status).await,
        refused("VM.Audit")
    );
    grant(
        &lab,
        &[
            ("path", "/vms/100"),
            ("roles", "Starter"),
            ("users", "new@pve"),
            ("delete", "1"),
        ],
    )
    .await;
    assert_eq!(
        asking(&mut lab, &full, Method::GET, status).await,
        refused("VM.Audit")
    );
}

#[tokio::test]
async fn disabled_and_expired_users_and_tokens_are_let_in_no_more() {
    let mut lab = lab().await;
    lab.post(USERS, &[("userid", "new@pve"), ("password", "first-password")])
        .await
        .data();
    let header = token(&lab, "new@pve", "tok", &[("privsep", "0")]).await;
    let refused = (401, "Authentication failed!".to_owned());
    let version = "/version";
    let login = [("username", "new@pve"), ("password", "first-password")];
    for (change, back) in [
        (("enable", "0"), ("enable", "1")),
        (("expire", "1"), ("expire", "0")),
    ] {
        lab.put(NEW, &[change]).await.data();
        assert_eq!(asking(&mut lab, &header, Method::GET, version).await, refused);
        assert_eq!(lab.post("/access/ticket", &login).await.status, 401);
        lab.put(NEW, &[back]).await.data();
        assert_eq!(asking(&mut lab, &header, Method::GET, version).await.0, 200);
        assert_eq!(lab.post("/access/ticket", &login).await.status, 200);
    }
    lab.put(&format!("{NEW}/token/tok"), &[("expire", "1")])
        .await
        .data();
    assert_eq!(asking(&mut lab, &header, Method::GET, version).await, refused);
    lab.put(&format!("{NEW}/token/tok"), &[("expire", "0")])
        .await
        .data();
    assert_eq!(lab.delete(&format!("{NEW}/token/tok")).await.data(), Value::Null);
    assert_eq!(asking(&mut lab, &header, Method::GET, version).await, refused);
}

#[tokio::test]
async fn a_user_is_listed_with_what_was_said_and_goes_with_tokens_and_rights() {
    let lab = lab().await;
    let form = [
        ("userid", "new@pve"),
        ("firstname", "Ada"),
        ("comment", "first"),
        ("expire", "4000000000"),
    ];
    lab.post(USERS, &form).await.data();
    token(&lab, "new@pve", "tok", &[("comment", "for tests")]).await;
    grant(
        &lab,
        &[
            ("path", "/"),
            ("roles", "PVEAuditor"),
            ("users", "new@pve"),
            ("tokens", "new@pve!tok"),
        ],
    )
    .await;
    let of = |list: Vec<Value>| {
        list.into_iter()
            .find(|user| user["userid"] == "new@pve")
            .unwrap_or_default()
    };
    assert_eq!(
        of(lab.list("/access/users?full=1").await),
        json!({
            "userid": "new@pve", "enable": 1, "expire": 4_000_000_000_i64, "firstname": "Ada", "comment": "first",
            "email": "", "groups": "", "realm-type": "pve",
            "tokens": [{ "tokenid": "tok", "privsep": 1, "expire": 0, "comment": "for tests" }],
        })
    );
    assert_eq!(of(lab.list(USERS).await)["tokens"], Value::Null);
    assert_eq!(of(lab.list("/access/users?enabled=0").await), Value::Null);
    lab.put(NEW, &[("comment", ""), ("enable", "0")]).await.data();
    assert_eq!(
        lab.get(NEW).await.data(),
        json!({
            "enable": 0, "expire": 4_000_000_000_i64, "firstname": "Ada", "groups": [],
            "tokens": { "tok": { "privsep": 1, "expire": 0, "comment": "for tests" } },
        })
    );
    assert_eq!(lab.delete(NEW).await.data(), Value::Null);
    assert_eq!(lab.get(NEW).await.reason, "no such user ('new@pve')");
    let left = lab.list("/access/acl").await;
    assert!(
        left.iter()
            .all(|line| !line["ugid"].as_str().unwrap_or_default().starts_with("new@"))
    );
    lab.post(USERS, &[("userid", "new@pve")]).await.data();
    assert_eq!(lab.list(&format!("{NEW}/token")).await, [] as [Value; 0]);
    assert_eq!(
        lab.get(NEW).await.data(),
        json!({ "enable": 1, "expire": 0, "groups": [], "tokens": null })
    );
}

#[tokio::test]
async fn what_cannot_be_a_user_or_token_is_refused_in_pves_words() {
    let lab = lab().await;
    let again = lab.post(USERS, &[("userid", "portico@pve")]).await;
    assert_eq!(
        (again.status, again.reason.as_str()),
        (500, "create user failed: user 'portico@pve' already exists")
    );
    let nameless = lab.post(USERS, &[("userid", "nobody")]).await;
    assert_eq!(
        nameless.error("userid"),
        "invalid format - value 'nobody' does not look like a valid user name\n"
    );
    for (field, value, wanted) in [
        ("password", "short", "value must be at least 8 characters long"),
        (
            "email",
            "x",
            "invalid format - value does not look like a valid email address\n",
        ),
        ("keys", "a b", "value does not match the regex pattern"),
        (
            "append",
            "1",
            "property is not defined in schema and the schema does not allow additional properties",
        ),
    ] {
        let answer = lab.post(USERS, &[("userid", "new@pve"), (field, value)]).await;
        assert_eq!((answer.status, answer.error(field)), (400, wanted));
    }
    for (form, wanted) in [
        (
            [("userid", "new@ldap"), ("password", "long-enough")],
            "auth domain 'ldap' does not exist",
        ),
        (
            [("userid", "new@pam"), ("password", "long-enough")],
            "change password failed: user 'new' does not exist",
        ),
        (
            [("userid", "new@pve"), ("groups", "none")],
            "no such group 'none'",
        ),
    ] {
        let answer = lab.post(USERS, &form).await;
        assert_eq!(
            (answer.status, answer.reason),
            (500, format!("create user failed: {wanted}"))
        );
    }
    let path = "/access/users/portico@pve/token/panel";
    assert_eq!(
        lab.post(path, &[]).await.error("tokenid"),
        "Token already exists."
    );
    let unset = lab.put(path, &[("delete", "expire")]).await;
    assert_eq!(
        unset.reason,
        "updating token info failed: 400 Parameter verification failed."
    );
    assert_eq!(
        unset.json["message"],
        "updating token info failed: 400 Parameter verification failed.\ndelete: unknown option 'expire'\n"
    );
    let gone = lab.get("/access/users/portico@pve/token/none").await;
    assert_eq!(gone.reason, "no such token 'none' for user 'portico@pve'");
    let named = lab.get("/access/users/portico@pve/token/1").await;
    assert_eq!(named.error("tokenid"), "value does not match the regex pattern");
}

#[tokio::test]
async fn given_numbers_of_a_token_come_back_as_texts_and_read_as_numbers() {
    let lab = lab().await;
    let path = "/access/users/root@pam/token/t1";
    let made = lab.post(path, &[("privsep", "0"), ("expire", "0")]).await.data();
    assert_eq!(made["info"], json!({ "privsep": "0", "expire": "0" }));
    let shape = |text: &str| text.split('-').map(str::len).collect::<Vec<_>>();
    assert_eq!(
        shape(made["value"].as_str().unwrap_or_default()),
        [8, 4, 4, 4, 12]
    );
    let plain = lab.post("/access/users/root@pam/token/t2", &[]).await.data();
    assert_eq!(plain["info"], json!({ "privsep": 1 }));
    assert_eq!(lab.get(path).await.data(), json!({ "privsep": 0, "expire": 0 }));
    let changed = lab
        .put(path, &[("comment", "one"), ("privsep", "1")])
        .await
        .data();
    assert_eq!(changed, json!({ "privsep": "1", "expire": 0, "comment": "one" }));
    let unset = lab.put(path, &[("delete", "comment")]).await.data();
    assert_eq!(unset, json!({ "privsep": 1, "expire": 0 }));
}

#[tokio::test]
async fn a_user_makes_tokens_and_sets_the_password_for_himself_alone() {
    let mut lab = lab().await;
    lab.post(USERS, &[("userid", "new@pve"), ("password", "first-password")])
        .await
        .data();
    lab.log_in("new@pve", "first-password").await;
    let header = token(&lab, "new@pve", "mine", &[("privsep", "0")]).await;
    let others = lab.post("/access/users/portico@pve/token/x1", &[]).await;
    assert_eq!(
        (others.status, others.reason.as_str()),
        (403, "Permission check failed")
    );
    let seen = lab.list(USERS).await;
    assert_eq!(seen.len(), 1, "{seen:?}");

    let change = async |form: &[(&str, &str)]| lab.put("/access/password", form).await;
    let new = [("userid", "new@pve"), ("password", "second-password")];
    let unconfirmed = change(&new).await;
    assert_eq!(
        unconfirmed.error("confirmation-password"),
        "password is required to modify user"
    );
    let with = |confirmation| [new[0], new[1], ("confirmation-password", confirmation)];
    let wrong = change(&with("wrong-password")).await;
    assert_eq!(
        (wrong.status, wrong.reason.as_str()),
        (500, "invalid credentials")
    );
    assert_eq!(change(&with("first-password")).await.data(), Value::Null);
    let foreign = change(&[("userid", "portico@pve"), ("password", "second-password")]).await;
    assert_eq!(
        foreign.reason,
        "Permission check failed (/access/realm/pve, Realm.AllocateUser)"
    );
    lab.log_in("new@pve", "second-password").await;

    lab.use_token(&header);
    let by_token = lab.put("/access/password", &with("second-password")).await;
    assert_eq!(by_token.status, 403);
    assert!(by_token.reason.contains("not available with API token"));
    let token_of_token = lab.post(&format!("{NEW}/token/x2"), &[]).await;
    assert_eq!(token_of_token.status, 403, "a token is not its user");
}

#[tokio::test]
async fn the_index_names_what_is_there() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let names = lab.list("/access").await;
    assert!(
        names.contains(&json!({ "subdir": "users" })) && names.contains(&json!({ "subdir": "password" }))
    );
    let rights = lab.get("/access/permissions?userid=nobody@pve").await.data();
    assert_eq!(rights, json!({}), "who is not there has no rights");
}
