//! Proves logins: second factor, renewal, new keys, and the two forms of answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use pve_sim::{Action, Major, Options, Scenario};
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Answer, Lab};

/// The secret of RFC 6238's examples.
const WITH_TOTP: &str = "
[[node]]
name = 'pve1'
[[user]]
id = 'root@pam'
password = 'root-password'
[[user]]
id = 'careful@pve'
password = 'first'
totp = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
";

/// A lab at 1970-01-01 00:00:59 plus the seconds, by the cluster's clock.
async fn lab_at(seconds: i64) -> (Lab, impl Fn(i64)) {
    let lab = Lab::with(Options {
        // A code is good for a minute, and a refusal takes three seconds of it.
        time_scale: 10.0,
        scenario: Scenario::from_toml(WITH_TOTP).unwrap(),
        ..Options::default()
    })
    .await;
    let control = lab.control();
    let set = move |second: i64| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let seconds = second - i64::try_from(now).unwrap();
        control.act(Action::SetClockSkew { seconds }).unwrap();
    };
    set(seconds);
    (lab, set)
}

async fn login(lab: &Lab, form: &[(&str, &str)]) -> Answer {
    let mut form = form.to_vec();
    form.push(("username", "careful@pve"));
    lab.post("/access/ticket", &form).await
}

fn text(data: &Value, name: &str) -> String {
    data[name].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_password_alone_is_half_a_login_and_a_code_makes_it_whole_once() {
    let (mut lab, _) = lab_at(1_111_111_109).await;
    lab.use_nothing();
    let half = login(&lab, &[("password", "first")]).await.data();
    assert_eq!(half["NeedTFA"], 1);
    assert!(half.get("cap").is_none());
    let challenge = text(&half, "ticket");
    assert!(challenge.starts_with("PVE:!tfa!"), "{challenge}");

    lab.use_ticket(&challenge, &text(&half, "CSRFPreventionToken"));
    let refused = lab.get("/version").await;
    assert_eq!((refused.status, refused.reason.as_str()), (401, "No ticket"));
    lab.use_nothing();

    let wrong = login(
        &lab,
        &[("password", "totp:000000"), ("tfa-challenge", &challenge)],
    )
    .await;
    assert_eq!(wrong.status, 401);
    assert_eq!(
        wrong.json,
        json!({ "data": null, "message": "authentication failure\n" })
    );
    let whole = login(
        &lab,
        &[("password", "totp:081804"), ("tfa-challenge", &challenge)],
    )
    .await
    .data();
    assert!(whole.get("NeedTFA").is_none());
    lab.use_ticket(&text(&whole, "ticket"), &text(&whole, "CSRFPreventionToken"));
    assert_eq!(lab.get("/version").await.status, 200);

    lab.use_nothing();
    let replayed = login(
        &lab,
        &[("password", "totp:081804"), ("tfa-challenge", &challenge)],
    )
    .await;
    assert_eq!(replayed.status, 401, "each code is good once");
}

#[tokio::test]
async fn a_code_may_come_with_the_password() {
    let (mut lab, _) = lab_at(1_111_111_109).await;
    lab.use_nothing();
    assert_eq!(
        login(&lab, &[("password", "first"), ("otp", "081804")])
            .await
            .status,
        401
    );
    let whole = login(&lab, &[("password", "first"), ("otp", "totp:081804")])
        .await
        .data();
    assert!(text(&whole, "ticket").starts_with("PVE:careful@pve:"));
    assert!(whole.get("clustername").is_none(), "he may not see the cluster");
}

#[tokio::test]
async fn a_ticket_is_renewed_by_itself_and_root_takes_tickets_for_others() {
    let (mut lab, at) = lab_at(1_700_000_000).await;
    lab.use_nothing();
    let first = lab
        .post(
            "/access/ticket",
            &[
                ("username", "root"),
                ("realm", "pam"),
                ("password", "root-password"),
            ],
        )
        .await
        .data();
    at(1_700_000_000 + 7000);
    let form = [("username", "root@pam"), ("password", &*text(&first, "ticket"))];
    let renewed = lab.post("/access/ticket", &form).await.data();
    at(1_700_000_000 + 7300);
    assert_eq!(
        lab.post("/access/ticket", &form).await.status,
        401,
        "the first is too old"
    );
    lab.use_ticket(&text(&renewed, "ticket"), &text(&renewed, "CSRFPreventionToken"));
    assert_eq!(lab.get("/version").await.status, 200);
    lab.use_nothing();
    let other = login(&lab, &[("password", &text(&renewed, "ticket"))])
        .await
        .data();
    assert_eq!(
        (text(&other, "username").as_str(), other.get("NeedTFA")),
        ("careful@pve", None)
    );
}

#[tokio::test]
async fn tickets_outlive_one_change_of_keys() {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab.control().act(Action::RotateAuthKeys).unwrap();
    assert_eq!(lab.get("/version").await.status, 200);
    lab.control().act(Action::RotateAuthKeys).unwrap();
    let refused = lab.get("/version").await;
    assert_eq!(
        (refused.status, refused.reason.as_str(), refused.text.as_str()),
        (401, "Authentication failed!", "")
    );
}

#[tokio::test]
async fn a_login_can_ask_for_rights_instead_of_a_ticket() {
    let mut lab = Lab::new().await;
    lab.use_nothing();
    let ask = async |privileges: &str| {
        let form = [
            ("username", "portico@pve"),
            ("password", "demo-portico-password"),
            ("path", "/vms/100"),
            ("privs", privileges),
        ];
        lab.post("/access/ticket", &form).await
    };
    let granted = ask("VM.Audit").await.data();
    assert!(granted.get("ticket").is_none());
    assert_eq!(ask("VM.Audit Sys.Modify").await.status, 401);
}

#[tokio::test]
async fn the_web_interfaces_form_says_200_and_tells_of_failures_inside() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let version = lab.get("/../extjs/version").await;
    assert_eq!((version.status, &version.json["success"]), (200, &json!(1)));
    let refused = lab.post("/../extjs/nodes/pve1/qemu/100/status/start", &[]).await;
    assert_eq!(refused.status, 200);
    assert_eq!(
        refused.json,
        json!({ "success": 0, "status": 403, "data": null,
                "message": "Permission check failed (/vms/100, VM.PowerMgmt)\n" })
    );
    let wrong = lab.get("/../extjs/nodes/pve1/tasks?limit=x").await;
    assert_eq!(
        wrong.json["errors"]["limit"],
        "type check ('integer') failed - got 'x'"
    );
    lab.use_nothing();
    assert_eq!(lab.get("/../extjs/version").await.status, 401);
}

#[tokio::test]
async fn long_answers_are_packed_for_those_who_ask() {
    let lab = Lab::new().await;
    let ask = async |path: &str, accepted: &str| {
        let request = lab
            .request(reqwest::Method::GET, path)
            .header("accept-encoding", accepted);
        request.send().await.unwrap()
    };
    let packed = ask("/cluster/resources", "gzip, deflate").await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let body = packed.bytes().await.unwrap();
    assert_eq!(body[..2], [0x1f, 0x8b]);
    assert_eq!(
        ask("/cluster/resources", "deflate").await.headers()["content-encoding"],
        "deflate"
    );
    for (path, accepted) in [("/version", "gzip"), ("/cluster/resources", "identity")] {
        assert!(
            !ask(path, accepted)
                .await
                .headers()
                .contains_key("content-encoding"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_consoles_ticket_is_confirmed_to_who_knows_whose_it_is_and_only_by_9() {
    for (pve, taken) in [(Major::V9, 200), (Major::V8, 501)] {
        let mut lab = Lab::with(Options {
            // The ticket is good for forty seconds.
            time_scale: 10.0,
            pve,
            ..Options::default()
        })
        .await;
        let proxy = lab
            .post("/nodes/pve1/qemu/100/vncproxy", &[("websocket", "1")])
            .await
            .data();
        let (ticket, port) = (text(&proxy, "ticket"), proxy["port"].to_string().replace('"', ""));
        lab.use_nothing();
        let ask = async |who: &str, port: &str| {
            let form = [
                ("authid", who),
                ("path", "/vms/100"),
                ("privs", "VM.Console"),
                ("vncticket", &*ticket),
                ("port", port),
            ];
            lab.post("/access/vncticket", &form).await
        };
        assert_eq!(ask("portico@pve!panel", &port).await.status, taken);
        if taken == 200 {
            for answer in [
                ask("root@pam", &port).await,
                ask("portico@pve!panel", "5999").await,
            ] {
                assert_eq!(answer.status, 401);
                assert_eq!(answer.json["message"], "authentication failure\n");
            }
        }
    }
}
