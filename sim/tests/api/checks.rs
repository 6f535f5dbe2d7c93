//! Proves the order of checks and the forms of refusals, over real TLS.

use crate::lab::{AUDITOR, Lab, PANEL};
use pve_sim::{Major, Options};
use reqwest::Method;

const UNKNOWN_PROPERTY: &str =
    "property is not defined in schema and the schema does not allow additional properties";

#[tokio::test]
async fn nobody_without_credentials_learns_which_paths_exist() {
    let mut lab = Lab::new().await;
    lab.use_nothing();
    for path in ["/version", "/no/such/path", "/nodes/nowhere/qemu/1/config"] {
        let answer = lab.get(path).await;
        assert_eq!(
            (answer.status, answer.reason.as_str(), answer.text.as_str()),
            (401, "No ticket", "")
        );
        assert!(answer.closes, "keep-alive is dropped on errors");
    }
}

#[tokio::test]
async fn a_refused_login_is_delayed_and_has_no_body_but_a_failed_one_has() {
    let mut lab = Lab::with(Options {
        time_scale: 20.0,
        ..Options::default()
    })
    .await;
    lab.use_token("PVEAPIToken=portico@pve!panel=wrong");
    let began = std::time::Instant::now();
    let answer = lab.get("/version").await;
    assert_eq!(
        (answer.status, answer.reason.as_str(), answer.text.as_str()),
        (401, "Authentication failed!", "")
    );
    assert!(began.elapsed().as_millis() >= 150, "3 s at time scale 20");

    lab.use_nothing();
    let answer = lab
        .post(
            "/access/ticket",
            &[("username", "root@pam"), ("password", "nope")],
        )
        .await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (401, "authentication failure")
    );
    assert_eq!(
        answer.text,
        r#"{"data":null,"message":"authentication failure\n"}"#
    );
}

#[tokio::test]
async fn an_unknown_path_is_501_and_a_body_on_delete_comes_first() {
    let lab = Lab::new().await;
    let answer = lab.get("/no/such").await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (501, "Method 'GET /no/such' not implemented")
    );
    let answer = lab
        .send(lab.request(Method::DELETE, "/no/such").body("a=1"))
        .await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (501, "Unexpected content for method 'DELETE'")
    );
    let answer = lab.send(lab.request(Method::PATCH, "/version")).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (501, "method 'PATCH' not available")
    );
    let other = lab
        .client
        .get(format!("{}/api3/x", lab.handle.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 501);
}

#[tokio::test]
async fn chunked_bodies_and_odd_content_types_are_refused() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/100/snapshot";
    // A header block written by hand: the client library would rather send a length.
    let raw = lab
        .request(Method::POST, path)
        .header("transfer-encoding", "chunked")
        .body("snapname=ab");
    let answer = lab.send(raw).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (501, "chunked transfer encoding not supported")
    );
    let answer = lab
        .send(
            lab.request(Method::POST, path)
                .header("content-type", "text/plain")
                .body("x"),
        )
        .await;
    assert_eq!(answer.status, 506);
    let large = "a=".to_owned() + &"x".repeat(600 * 1024);
    let answer = lab.send(lab.request(Method::POST, path).body(large)).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (501, "for data too large")
    );
}

#[tokio::test]
async fn lack_of_rights_is_told_before_bad_parameters_and_before_the_node() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    let answer = lab
        .post("/nodes/nowhere/qemu/100/snapshot", &[("bogus", "1")])
        .await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (403, "Permission check failed (/vms/100, VM.Snapshot)")
    );
    let answer = lab.post("/nodes/pve1/qemu/100/snapshot/xx/rollback", &[]).await;
    let reason = "Permission check failed (/vms/100, VM.Snapshot|VM.Snapshot.Rollback)";
    assert_eq!((answer.status, answer.reason.as_str()), (403, reason));

    lab.use_token(PANEL);
    let answer = lab
        .post("/nodes/nowhere/qemu/100/snapshot", &[("bogus", "1")])
        .await;
    assert_eq!(answer.status, 500);
    assert!(
        answer.reason.starts_with("hostname lookup 'nowhere' failed"),
        "{}",
        answer.reason
    );
}

#[tokio::test]
async fn parameter_errors_name_each_parameter() {
    let lab = Lab::new().await;
    let path = "/nodes/pve1/qemu/100/snapshot";
    let answer = lab
        .post(path, &[("snapname", "a"), ("vmstate", "true"), ("bogus", "1")])
        .await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (400, "Parameter verification failed.")
    );
    assert_eq!(answer.json["message"], "Parameter verification failed.\n");
    assert_eq!(
        answer.error("snapname"),
        "invalid format - invalid configuration ID 'a'\n"
    );
    assert_eq!(
        answer.error("vmstate"),
        "type check ('boolean') failed - got 'true'"
    );
    assert_eq!(answer.error("bogus"), UNKNOWN_PROPERTY);
    let answer = lab.post(path, &[]).await;
    assert_eq!(
        answer.error("snapname"),
        "property is missing and it is not optional"
    );
    let answer = lab.post(path, &[("snapname", &"x".repeat(41))]).await;
    assert_eq!(answer.error("snapname"), "value may only be 40 characters long");
    let answer = lab.get("/nodes/pve1/qemu/99/config").await;
    assert_eq!(
        answer.error("vmid"),
        "invalid format - value does not look like a valid VM ID\n"
    );
}

#[tokio::test]
async fn a_parameter_may_not_contradict_the_path() {
    let lab = Lab::new().await;
    let answer = lab
        .post("/nodes/pve1/qemu/100/status/start", &[("vmid", "101")])
        .await;
    let text = "duplicate parameter (already defined in URI) with conflicting values!";
    assert_eq!((answer.status, answer.error("vmid")), (400, text));
}

#[tokio::test]
async fn tokens_cannot_log_in() {
    let lab = Lab::new().await;
    let answer = lab
        .post("/access/ticket", &[("username", "root@pam"), ("password", "x")])
        .await;
    let reason =
        "Permission check failed (URI '/access/ticket' not available with API token, need proper ticket.";
    assert_eq!((answer.status, answer.reason.as_str()), (403, reason));
    assert_eq!(answer.json["message"], format!("{reason}\n)\n"));
}

#[tokio::test]
async fn a_ticket_needs_its_csrf_token_for_changes_and_the_cookie_wins_over_a_token() {
    let mut lab = Lab::new().await;
    lab.root().await;
    assert_eq!(lab.get("/version").await.status, 200);
    let answer = lab.post("/nodes/pve1/qemu/102/status/start", &[]).await;
    assert_eq!(answer.status, 200);
    let request = lab
        .request(Method::GET, "/version")
        .header("authorization", PANEL);
    assert_eq!(lab.send(request).await.status, 200);

    let data = lab.get("/access/permissions").await.data();
    assert_eq!(data["/"]["Sys.Modify"], 1, "root, not the token, asked");
    let stolen = lab.request(Method::POST, "/nodes/pve1/qemu/102/status/stop");
    let stolen = stolen.build().unwrap();
    let cookie = stolen.headers()["cookie"].clone();
    let request = lab.client.post(stolen.url().clone()).header("cookie", cookie);
    let answer = lab.send(request).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (401, "Permission denied - invalid csrf token")
    );
}

#[tokio::test]
async fn a_separated_token_sees_only_its_own_rights() {
    let lab = Lab::new().await;
    let data = lab.get("/access/permissions").await.data();
    assert_eq!(data["/vms"]["VM.Snapshot"], 1);
    assert!(data["/"].is_null() && data["/access"].is_null());
    assert_eq!(lab.get("/cluster/status").await.status, 403);
}

#[tokio::test]
async fn privileges_of_the_guest_agent_differ_between_8_and_9() {
    for (pve, privilege) in [
        (Major::V8, "VM.Monitor"),
        (Major::V9, "VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"),
    ] {
        let mut lab = Lab::with(Options {
            pve,
            time_scale: 100.0,
            ..Options::default()
        })
        .await;
        let path = "/nodes/pve1/qemu/100/agent/ping";
        assert_eq!(lab.post(path, &[]).await.data()["result"], serde_json::json!({}));
        let rights = lab.get("/access/permissions?path=/vms/100").await.data();
        assert_eq!(rights["/vms/100"]["VM.Monitor"].is_null(), pve == Major::V9);
        lab.use_token(AUDITOR);
        let answer = lab.post(path, &[]).await;
        if pve == Major::V8 {
            assert_eq!(
                answer.reason,
                format!("Permission check failed (/vms/100, {privilege})")
            );
        } else {
            assert_eq!(answer.status, 200, "PVEAuditor has VM.GuestAgent.Audit");
        }
    }
}

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let lab = Lab::new().await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("http://{}/api2/json/version", lab.handle.addr());
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.headers()["location"], url.replace("http:", "https:"));
    assert_eq!(client.post(&url).send().await.unwrap().status(), 308);
}

#[tokio::test]
async fn an_address_that_others_reach_is_refused_at_the_start() {
    let options = Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Options::default()
    };
    let error = pve_sim::Simulator::start(options).await.unwrap_err();
    assert_eq!(error.to_string(), "`0.0.0.0:0` is not a loopback address");
}

#[tokio::test]
async fn an_answer_is_old_at_once() {
    let lab = Lab::new().await;
    for path in ["/version", "/no/such"] {
        let answer = lab.request(Method::GET, path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("date").ends_with(" GMT"), "{}", header("date"));
        assert_eq!(header("expires"), header("date"), "{path}");
        assert_eq!(header("cache-control"), "max-age=0");
    }
}

#[tokio::test]
async fn old_errors_are_told_by_the_status_line_only_and_bodies_end_sooner() {
    let lab = Lab::with(Options {
        old_errors: true,
        pve: Major::V8,
        time_scale: 100.0,
        ..Options::default()
    })
    .await;
    let answer = lab.get("/nodes/pve1/qemu/555/config").await;
    let reason = "Configuration file 'nodes/pve1/qemu-server/555.conf' does not exist";
    assert_eq!(
        (answer.status, answer.reason.as_str(), answer.text.as_str()),
        (500, reason, r#"{"data":null}"#)
    );
    let path = "/nodes/pve1/qemu/100/snapshot";
    let answer = lab.post(path, &[("snapname", "a")]).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (400, "Parameter verification failed.")
    );
    assert!(answer.json.get("message").is_none());
    assert_eq!(
        answer.error("snapname"),
        "invalid format - invalid configuration ID 'a'\n"
    );
    let long = "a=".to_owned() + &"x".repeat(70 * 1024);
    let body = || lab.request(Method::POST, path).body(long.clone());
    assert_eq!(lab.send(body()).await.reason, "for data too large");
    let lab = Lab::new().await;
    let body = lab.request(Method::POST, path).body(long);
    assert_ne!(
        lab.send(body).await.reason,
        "for data too large",
        "new ones take 512 KiB"
    );
}
