//! The control API: every call of the table, every fault, every action, every effect.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use pve_sim::{Action, Effect, Fault, Options};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::lab::Lab;
use crate::markdown::{blocks_of, prose, rows, spans};

const SECTION: &str = "Control API";

/// A simulator with a control API.
pub(crate) async fn lab() -> Lab {
    Lab::with(Options {
        control: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        time_scale: 100.0,
        ..Options::default()
    })
    .await
}

/// Calls the control API, which must answer 200.
async fn call(lab: &Lab, method: &str, path: &str, body: Option<&Value>) -> Value {
    let url = format!("http://{}{path}", lab.handle.control_addr().unwrap());
    let mut request = lab
        .client
        .request(Method::from_bytes(method.as_bytes()).unwrap(), url);
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 200, "{method} {path} {body:?}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// What a line of the document stands for: the object in front, with each of the values that `|` separates, and without
/// the keys that may be left out.
fn variants(line: &str) -> Vec<Value> {
    let (object, _) = line.split_once('}').unwrap();
    let mut choices: Vec<(String, Vec<Option<Value>>)> = Vec::new();
    for field in object.strip_prefix('{').unwrap().split(", ") {
        let (key, values) = field.split_once(": ").unwrap();
        let key = key.trim_matches('"').to_owned();
        let values = values.split(" | ").flat_map(|value| match value {
            "…" => vec![Some(example(&key)), None],
            value => vec![Some(
                serde_json::from_str(value).unwrap_or_else(|_| panic!("`{value}` in {line}")),
            )],
        });
        let values = values.collect();
        choices.push((key, values));
    }
    let most = choices.iter().map(|(_, values)| values.len()).max().unwrap();
    let variant = |place: usize| {
        let of = |(key, values): &(String, Vec<Option<Value>>)| {
            let value = values.get(place).unwrap_or(&values[0]).clone()?;
            Some((key.clone(), value))
        };
        Value::Object(choices.iter().filter_map(of).collect::<Map<_, _>>())
    };
    (0..most).map(variant).collect()
}

fn example(key: &str) -> Value {
    match key {
        "path" => json!("/nodes/{node}/qemu/{vmid}/snapshot"),
        "method" => json!("POST"),
        "node" => json!("pve1"),
        "vmid" => json!(100),
        "times" => json!(2),
        "reason" | "text" => json!("something else"),
        other => panic!("what is an example of `{other}`?"),
    }
}

/// The names that a type takes, out of what it says about one that it does not.
fn names_of<T: DeserializeOwned>(of_none: &Value) -> BTreeSet<String> {
    let told = serde_json::from_value::<T>(of_none.clone())
        .err()
        .unwrap()
        .to_string();
    let (_, names) = told.split_once("expected one of ").unwrap();
    spans(names).map(str::to_owned).collect()
}

/// The lines of the block whose objects have this key, with what each stands for.
fn documented(tag: &str) -> Vec<Value> {
    let blocks = blocks_of(SECTION, "text");
    let start = format!("{{\"{tag}\": ");
    let block = blocks
        .iter()
        .find(|block| block.text.starts_with(&start))
        .unwrap();
    block.text.lines().flat_map(variants).collect()
}

fn names_in(list: &[Value], tag: &str) -> BTreeSet<String> {
    let name = |value: &Value| value[tag].as_str().unwrap().to_owned();
    list.iter().map(name).collect()
}

#[tokio::test]
async fn every_fault_of_the_document_is_taken_and_listed() {
    let lab = lab().await;
    let faults = documented("fault");
    for fault in &faults {
        call(&lab, "POST", "/faults", Some(fault)).await;
        let listed = call(&lab, "GET", "/faults", None).await;
        for (key, value) in fault.as_object().unwrap() {
            assert_eq!(listed[0][key], *value, "{fault} became {listed}");
        }
        call(&lab, "DELETE", "/faults", None).await;
    }
    assert_eq!(
        names_in(&faults, "fault"),
        names_of::<Fault>(&json!({ "fault": "?" }))
    );
}

#[tokio::test]
async fn every_action_of_the_document_is_taken() {
    let actions = documented("action");
    for action in &actions {
        let lab = lab().await;
        call(&lab, "POST", "/actions", Some(action)).await;
    }
    assert_eq!(
        names_in(&actions, "action"),
        names_of::<Action>(&json!({ "action": "?" }))
    );
}

#[test]
fn a_line_stands_for_each_of_its_values_and_for_itself_without_what_may_be_left_out() {
    assert_eq!(
        variants("{\"a\": 1, \"vmid\": …, \"b\": \"x\" | \"y\" | \"z\"}   once"),
        [
            json!({ "a": 1, "vmid": 100, "b": "x" }),
            json!({ "a": 1, "b": "y" }),
            json!({ "a": 1, "vmid": 100, "b": "z" }),
        ]
    );
}

#[test]
fn the_effects_are_all_listed() {
    let text = prose(SECTION)
        .skip_while(|line| !line.starts_with("Effects: "))
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let listed = spans(&text).map(str::to_owned).collect();
    assert_eq!(names_of::<Effect>(&json!("?")), listed);
}

#[tokio::test]
async fn every_call_of_the_table_answers_what_the_table_says() {
    let lab = lab().await;
    lab.run("/nodes/pve1/qemu/100/snapshot", &[("snapname", "first")])
        .await;
    let calls = rows(SECTION);
    for span in calls.iter().flat_map(|row| spans(row[0])) {
        let (method, path) = span.split_once(' ').unwrap();
        let body = match span {
            "POST /faults" => Some(json!({ "fault": "latency", "milliseconds": 1 })),
            "POST /actions" => Some(json!({ "action": "set-lock", "vmid": 101, "lock": "backup" })),
            _ => None,
        };
        // What empties the counters stands in the middle of the table: what comes behind needs none.
        let answer = call(&lab, method, &path.replace("{vmid}", "100"), body.as_ref()).await;
        let keys: &[&str] = match span {
            "GET /requests" => {
                assert!(answer["total"].as_u64() > Some(1));
                assert_has(span, &answer["endpoints"][0], &["method", "path", "count"]);
                &["total", "endpoints"]
            }
            "GET /requests/log?last=100" => {
                let keys = [
                    "time", "method", "path", "template", "params", "user", "status", "reason",
                ];
                assert_has(span, &answer[0], &keys);
                continue;
            }
            "GET /effects" => {
                assert_has(span, &answer[0], &["effect", "vmid", "name", "count"]);
                continue;
            }
            "GET /vms" => {
                assert_has(
                    span,
                    &answer[0],
                    &["vmid", "config", "status", "lock", "snapshots"],
                );
                continue;
            }
            "GET /vms/{vmid}" => &["vmid", "config", "status", "lock", "snapshots"],
            "GET /vms/{vmid}/console" => &["lines", "cursor", "pixels", "pointer"],
            "GET /tasks" => {
                assert_has(span, &answer[0], &["upid", "log"]);
                continue;
            }
            "GET /certificate" => &["sha256", "pem"],
            "GET /faults" => {
                assert!(answer.is_array(), "{answer}");
                continue;
            }
            "DELETE /counters" => {
                assert_eq!(lab.control().request_count(), 0);
                &[]
            }
            "POST /faults" => {
                assert_eq!(lab.control().faults().len(), 1);
                &[]
            }
            "DELETE /faults" => {
                assert!(lab.control().faults().is_empty());
                &[]
            }
            "POST /actions" => {
                assert_eq!(lab.control().vm(101).unwrap().lock.as_deref(), Some("backup"));
                &[]
            }
            other => panic!("`{other}` is new in the table: say here what it answers"),
        };
        assert_has(span, &answer, keys);
    }
}

#[track_caller]
fn assert_has(call: &str, value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "{call}: no `{key}` in {value}");
    }
}

#[tokio::test]
async fn errors_and_requests_of_web_pages_are_answered_as_the_document_says() {
    let lab = lab().await;
    let url = format!("http://{}", lab.handle.control_addr().unwrap());
    for (path, body, status) in [
        ("/faults", "{\"fault\": \"?\"}", 400),
        ("/actions", "{\"action\": \"remove-vm\", \"vmid\": 555}", 404),
        ("/nothing", "", 404),
    ] {
        let answer = lab
            .client
            .post(format!("{url}{path}"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let text = answer.text().await.unwrap();
        let value = serde_json::from_str::<Value>(&text).unwrap();
        assert!(value["error"].is_string(), "{text}");
    }
    let of_page = lab
        .client
        .get(format!("{url}/vms"))
        .header("origin", "https://example.net");
    assert_eq!(of_page.send().await.unwrap().status().as_u16(), 403);
}
