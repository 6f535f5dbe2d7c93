//! Proves options, sets, aliases, privileges, the datacenter's file, and the life of the files.

use std::time::Duration;

use pve_sim::{Action, Effect, Fault, Major, Options};
use serde_json::json;

use super::{add, at, four, rules};
use crate::lab::{AUDITOR, Lab};

#[tokio::test]
async fn options_show_what_is_set_and_guard_themselves_with_a_digest() {
    let lab = Lab::new().await;
    let path = at("/options");
    let empty = lab.get(&path).await.data();
    assert_eq!(empty.as_object().unwrap().len(), 1, "only the digest: {empty}");
    let digest = empty["digest"].as_str().unwrap();
    lab.put(
        &path,
        &[
            ("enable", "1"),
            ("policy_in", "REJECT"),
            ("ipfilter", "0"),
            ("digest", digest),
        ],
    )
    .await
    .data();
    let stale = lab.put(&path, &[("enable", "0"), ("digest", digest)]).await;
    assert_eq!(stale.status, 500);
    assert!(stale.reason.starts_with("detected modified configuration"));
    let set = lab.get(&path).await.data();
    assert_eq!(
        set,
        json!({ "enable": 1, "policy_in": "REJECT", "ipfilter": 0, "digest": set["digest"] })
    );
    lab.put(&path, &[("delete", "policy_in,ipfilter")]).await.data();
    assert!(lab.get(&path).await.data().get("policy_in").is_none());
    assert_eq!(
        lab.put(&path, &[("delete", "colour")]).await.error("delete"),
        "no such option 'colour'"
    );
    let wrong = lab.put(&path, &[("policy_in", "MAYBE")]).await;
    assert_eq!(
        wrong.error("policy_in"),
        "value 'MAYBE' does not have a value in the enumeration 'ACCEPT, REJECT, DROP'"
    );
}

#[tokio::test]
async fn sets_hold_networks_once_and_go_only_when_they_are_empty() {
    let lab = Lab::new().await;
    lab.post(
        &at("/ipset"),
        &[("name", "ipfilter-net0"), ("comment", "own addresses")],
    )
    .await
    .data();
    let set = at("/ipset/ipfilter-net0");
    lab.post(&set, &[("cidr", "192.0.2.155/24")]).await.data();
    lab.post(&set, &[("cidr", "192.0.2.12/32"), ("comment", "main")])
        .await
        .data();
    lab.post(&set, &[("cidr", "2001:db8::12"), ("nomatch", "1")])
        .await
        .data();
    let twice = lab.post(&set, &[("cidr", "192.0.2.0/24")]).await;
    assert_eq!(twice.error("cidr"), "address '192.0.2.0/24' already exists");
    let zero = lab.post(&set, &[("cidr", "0.0.0.0/0")]).await;
    assert_eq!(
        zero.error("cidr"),
        "a zero prefix is not allowed in ipset entries"
    );
    let list = lab.get(&set).await.data();
    let entry = |n: usize| list[n]["cidr"].as_str().unwrap().to_owned();
    assert_eq!(
        [entry(0), entry(1), entry(2)],
        ["192.0.2.0/24", "192.0.2.12", "2001:db8::12"]
    );
    assert_eq!(
        (&list[1]["comment"], &list[2]["nomatch"]),
        (&json!("main"), &json!(1))
    );

    add(
        &lab,
        &[("type", "in"), ("action", "ACCEPT"), ("source", "+ipfilter-net0")],
    )
    .await
    .data();
    let full = lab.delete(&set).await;
    assert_eq!(
        (full.status, full.reason.as_str()),
        (500, "IPSet 'ipfilter-net0' is not empty")
    );
    lab.put(&at("/ipset/ipfilter-net0/192.0.2.0%2F24"), &[("comment", "net")])
        .await
        .data();
    assert_eq!(
        lab.get(&at("/ipset/ipfilter-net0/192.0.2.0%2F24")).await.data()["comment"],
        "net"
    );
    lab.delete(&at("/ipset/ipfilter-net0/192.0.2.0%2F24"))
        .await
        .data();
    assert_eq!(
        lab.get(&at("/ipset/ipfilter-net0/192.0.2.0%2F24"))
            .await
            .error("cidr"),
        "no such IP/Network"
    );
    lab.delete(&format!("{set}?force=1")).await.data();
    let none = lab.get(&set).await;
    assert_eq!(
        (none.status, none.reason.as_str()),
        (500, "no such IPSet 'ipfilter-net0'")
    );
    assert_eq!(
        rules(&lab).await[0]["errors"],
        json!({ "source": "no such ipset 'ipfilter-net0'" })
    );
}

#[tokio::test]
async fn names_of_sets_are_lower_case_once_they_are_written() {
    let lab = Lab::new().await;
    lab.post(&at("/ipset"), &[("name", "Office")]).await.data();
    assert_eq!(lab.get(&at("/ipset")).await.data()[0]["name"], "office");
    assert_eq!(
        lab.get(&at("/ipset/Office")).await.reason,
        "no such IPSet 'Office'"
    );
    let again = lab.post(&at("/ipset"), &[("name", "office")]).await;
    assert_eq!(again.error("name"), "IPSet 'office' already exists");
    lab.post(&at("/ipset"), &[("name", "home"), ("rename", "office")])
        .await
        .data();
    assert_eq!(lab.get(&at("/ipset")).await.data()[0]["name"], "home");
    assert_eq!(
        lab.post(&at("/ipset"), &[("name", "1st")]).await.error("name"),
        "value does not match the regex pattern"
    );
}

#[tokio::test]
async fn aliases_and_the_datacenters_sets_can_be_named_in_rules() {
    let lab = Lab::new().await;
    lab.post(&at("/aliases"), &[("name", "Home"), ("cidr", "2001:db8::5/128")])
        .await
        .data();
    let alias = lab.get(&at("/aliases/hOME")).await.data();
    assert_eq!(
        alias,
        json!({ "name": "Home", "cidr": "2001:db8::5", "ipversion": 6 })
    );
    for source in ["home", "guest/home", "dc/office", "+dc/management", "+management"] {
        add(&lab, &[("type", "in"), ("action", "ACCEPT"), ("source", source)])
            .await
            .data();
    }
    assert_eq!(rules(&lab).await[4]["ipversion"], 6);
    let mixed = add(
        &lab,
        &[
            ("type", "in"),
            ("action", "ACCEPT"),
            ("source", "home"),
            ("dest", "192.0.2.1"),
        ],
    )
    .await;
    assert_eq!(mixed.error("dest"), "detected mixed ipv4/ipv6 addresses in rule");
    let refs = lab.get(&at("/refs")).await.data();
    let named = |scope: &str, name: &str| {
        refs.as_array()
            .unwrap()
            .iter()
            .any(|r| r["scope"] == scope && r["name"] == name)
    };
    assert!(named("dc", "management") && named("dc", "office") && named("guest", "home"));
    let only = lab.get(&at("/refs?type=alias")).await.data();
    assert!(only.as_array().unwrap().iter().all(|r| r["type"] == "alias"));
    lab.put(&at("/aliases/home"), &[("cidr", "192.0.2.1"), ("rename", "Flat")])
        .await
        .data();
    assert_eq!(lab.get(&at("/aliases/home")).await.error("name"), "no such alias");
    assert_eq!(lab.get(&at("/aliases/flat")).await.data()["cidr"], "192.0.2.1");
    lab.delete(&at("/aliases/flat")).await.data();
    lab.delete(&at("/aliases/flat")).await.data();
}

#[tokio::test]
async fn who_may_only_look_cannot_change_and_needs_the_console_for_the_log() {
    let mut lab = Lab::new().await;
    lab.use_token(AUDITOR);
    for path in ["/rules", "/options", "/ipset", "/aliases", "/refs"] {
        assert_eq!(lab.get(&at(path)).await.status, 200, "{path}");
    }
    let form = [("type", "in"), ("action", "ACCEPT"), ("nonsense", "1")];
    let refused = add(&lab, &form).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (403, "Permission check failed (/vms/102, VM.Config.Network)"),
        "the right is looked at before the parameters"
    );
    assert_eq!(
        lab.get(&at("/log")).await.reason,
        "Permission check failed (/vms/102, VM.Console)"
    );
    assert_eq!(lab.get("/cluster/firewall/options").await.data()["enable"], 1);
    assert_eq!(
        lab.put("/cluster/firewall/options", &[("enable", "0")])
            .await
            .reason,
        "Permission check failed (/, Sys.Modify)"
    );
}

#[tokio::test]
async fn the_administrator_switches_the_datacenter_and_makes_groups() {
    let mut lab = Lab::new().await;
    lab.root().await;
    let path = "/cluster/firewall/options";
    lab.put(path, &[("enable", "0"), ("policy_forward", "ACCEPT")])
        .await
        .data();
    let options = lab.get(path).await.data();
    assert_eq!(
        (&options["enable"], &options["policy_in"]),
        (&json!(0), &json!("DROP"))
    );
    assert_eq!(
        lab.put(path, &[("policy_forward", "REJECT")])
            .await
            .error("policy_forward"),
        "value 'REJECT' does not have a value in the enumeration 'ACCEPT, DROP'"
    );
    add(
        &lab,
        &[("type", "group"), ("action", "webserver"), ("enable", "1")],
    )
    .await
    .data();
    lab.post(
        "/cluster/firewall/groups",
        &[("group", "shop"), ("rename", "webserver")],
    )
    .await
    .data();
    assert_eq!(
        lab.get("/cluster/firewall/groups").await.data()[0]["group"],
        "shop"
    );
    assert_eq!(rules(&lab).await[0]["action"], "shop");
}

#[tokio::test]
async fn the_files_lock_is_waited_for_and_then_refused() {
    let lab = Lab::new().await;
    lab.control().inject(Fault::HoldCfsLock {
        lock: "firewall-vm-102".into(),
        text: None,
        times: Some(1),
    });
    let began = std::time::Instant::now();
    let refused = add(&lab, &[("type", "in"), ("action", "ACCEPT")]).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (500, "cfs-lock 'firewall-vm-102' error: got lock request timeout")
    );
    assert!(
        began.elapsed() >= Duration::from_millis(100),
        "ten seconds at scale 100"
    );
    add(&lab, &[("type", "in"), ("action", "ACCEPT")]).await.data();
    assert_eq!(lab.control().effect_count(Effect::FirewallChanged, 102, None), 1);
}

#[tokio::test]
async fn any_node_answers_for_rules_but_only_its_own_for_options() {
    let lab = Lab::new().await;
    lab.control().set_node_online("pve1", false).unwrap();
    assert_eq!(lab.get(&at("/rules")).await.status, 200);
    assert_eq!(lab.get(&at("/options")).await.status, 595);
}

#[tokio::test]
async fn a_removed_vm_leaves_no_firewall_file_behind() {
    let lab = Lab::new().await;
    four(&lab).await;
    lab.control().act(Action::RemoveVm { vmid: 102 }).unwrap();
    assert_eq!(rules(&lab).await.len(), 0);
}

#[tokio::test]
async fn the_demos_web_server_has_rules_on_both_majors() {
    for pve in [Major::V8, Major::V9] {
        let lab = Lab::with(Options {
            pve,
            ..Options::default()
        })
        .await;
        let list = lab.get("/nodes/pve1/qemu/100/firewall/rules").await.data();
        assert_eq!(list[0]["macro"], "SSH");
        assert_eq!(list[3]["enable"], 0);
        let set = lab
            .get("/nodes/pve1/qemu/100/firewall/ipset/ipfilter-net0")
            .await
            .data();
        assert_eq!(set.as_array().unwrap().len(), 3);
    }
}
