//! Proves the firewall: where rules go, what is refused and how, digests, sets, the datacenter's switch.

use std::time::Duration;

use pve_sim::{Action, Effect, Fault, Major, Options};
use serde_json::{Value, json};

use crate::lab::{AUDITOR, Answer, Lab};

const FIREWALL: &str = "/nodes/pve1/qemu/102/firewall";

fn at(rest: &str) -> String {
    format!("{FIREWALL}{rest}")
}

async fn rules(lab: &Lab) -> Vec<Value> {
    let data = lab.get(&at("/rules")).await.data();
    data.as_array().cloned().unwrap_or_default()
}

/// The comments of all rules, top down.
async fn order(lab: &Lab) -> Vec<String> {
    let list = rules(lab).await;
    let comment = |rule: &Value| rule["comment"].as_str().unwrap_or("-").to_owned();
    list.iter().map(comment).collect()
}

async fn add(lab: &Lab, form: &[(&str, &str)]) -> Answer {
    lab.post(&at("/rules"), form).await
}

/// Rules `a`, `b`, `c`, `d` from the top.
async fn four(lab: &Lab) {
    for comment in ["d", "c", "b", "a"] {
        let form = [
            ("type", "in"),
            ("action", "ACCEPT"),
            ("comment", comment),
            ("enable", "1"),
        ];
        assert_eq!(add(lab, &form).await.data(), Value::Null);
    }
}

#[tokio::test]
async fn a_new_rule_is_on_top_and_off_unless_told_otherwise() {
    let lab = Lab::new().await;
    add(
        &lab,
        &[
            ("type", "in"),
            ("action", "DROP"),
            ("comment", "old"),
            ("enable", "1"),
        ],
    )
    .await
    .data();
    let form = [
        ("type", "in"),
        ("action", "ACCEPT"),
        ("comment", "new"),
        ("pos", "7"),
        ("digest", "is not looked at"),
    ];
    add(&lab, &form).await.data();
    let list = rules(&lab).await;
    assert_eq!(order(&lab).await, ["new", "old"]);
    assert_eq!((&list[0]["enable"], &list[0]["pos"]), (&json!(0), &json!(0)));
    assert_eq!((&list[1]["enable"], &list[1]["pos"]), (&json!(1), &json!(1)));
    assert_eq!(list[0]["digest"], list[1]["digest"]);
    assert_eq!(list[0]["digest"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn moveto_puts_a_rule_before_the_one_that_had_that_place() {
    let lab = Lab::new().await;
    four(&lab).await;
    let path = |pos: usize| at(&format!("/rules/{pos}"));
    let moved = async |pos: usize, target: &str| {
        lab.put(&path(pos), &[("moveto", target)]).await.data();
        order(&lab).await.concat()
    };
    assert_eq!(moved(0, "3").await, "bcad", "down: before the one at 3");
    assert_eq!(moved(2, "0").await, "abcd", "up: to that place");
    assert_eq!(moved(0, "4").await, "bcda", "the length: to the end");
    assert_eq!(moved(0, "99").await, "cdab", "beyond it too");
    assert_eq!(moved(1, "2").await, "cdab", "before its own successor: stays");
    // To its own place, moveto is no move, so the other parameters count.
    lab.put(&path(1), &[("moveto", "1"), ("comment", "x")])
        .await
        .data();
    assert_eq!(order(&lab).await.concat(), "cxab");
    lab.put(&path(1), &[("moveto", "0"), ("comment", "y")])
        .await
        .data();
    assert_eq!(order(&lab).await.concat(), "xcab", "with a move they do not");
}

#[tokio::test]
async fn a_changed_list_refuses_changes_that_were_made_for_another() {
    let lab = Lab::new().await;
    four(&lab).await;
    let before = rules(&lab).await[0]["digest"].as_str().unwrap().to_owned();
    lab.put(&at("/rules/0"), &[("comment", "z"), ("digest", &before)])
        .await
        .data();
    let stale = "detected modified configuration - file changed by other user? Try again.";
    let put = lab
        .put(&at("/rules/0"), &[("moveto", "2"), ("digest", &before)])
        .await;
    let delete = lab.delete(&at(&format!("/rules/0?digest={before}"))).await;
    for answer in [put, delete] {
        assert_eq!((answer.status, answer.reason.as_str()), (500, stale));
    }
    assert_eq!(order(&lab).await.concat(), "zbcd");
    let now = rules(&lab).await[0]["digest"].as_str().unwrap().to_owned();
    lab.delete(&at(&format!("/rules/1?digest={now}"))).await.data();
    assert_eq!(order(&lab).await.concat(), "zcd");
    let gone = lab.delete(&at("/rules/7")).await;
    assert_eq!(
        (gone.status, gone.reason.as_str()),
        (500, "no rule at position 7")
    );
}

#[tokio::test]
async fn one_rule_tells_its_position_as_text_and_an_empty_list_has_no_digest() {
    let lab = Lab::new().await;
    assert_eq!(rules(&lab).await, Vec::<Value>::new());
    let none = lab.get(&at("/rules/0")).await;
    assert_eq!(
        (none.status, none.reason.as_str()),
        (500, "no rule at position 0")
    );
    add(
        &lab,
        &[
            ("type", "out"),
            ("action", "REJECT"),
            ("dest", "2001:db8::/32"),
            ("log", "info"),
        ],
    )
    .await
    .data();
    let one = lab.get(&at("/rules/0")).await.data();
    let digest = one["digest"].clone();
    assert_eq!(
        one,
        json!({ "pos": "0", "type": "out", "action": "REJECT", "enable": 0, "dest": "2001:db8::/32",
                "ipversion": 6, "log": "info", "digest": digest })
    );
}

#[tokio::test]
async fn fields_are_unset_by_delete_by_an_empty_text_and_by_a_dash() {
    let lab = Lab::new().await;
    let form = [
        ("type", "in"),
        ("action", "ACCEPT"),
        ("proto", "tcp"),
        ("dport", "80,443,8000:8080"),
        ("source", "192.0.2.0/24"),
        ("comment", "web #1"),
        ("iface", "net0"),
        ("log", "nolog"),
    ];
    add(&lab, &form).await.data();
    let path = at("/rules/0");
    lab.put(
        &path,
        &[("delete", "dport,log"), ("comment", "-"), ("source", "")],
    )
    .await
    .data();
    let rule = lab.get(&path).await.data();
    for field in ["dport", "log", "comment", "source", "ipversion"] {
        assert!(rule.get(field).is_none(), "{field}");
    }
    assert_eq!((&rule["proto"], &rule["iface"]), (&json!("tcp"), &json!("net0")));
    assert_eq!(
        lab.put(&path, &[("delete", "action")]).await.error("delete"),
        "unable to delete required property 'action'"
    );
    assert_eq!(
        lab.put(&path, &[("delete", "colour")]).await.error("delete"),
        "no such property ('colour')"
    );
}

/// What is added to an ACCEPT rule, the parameter that is refused, and the text.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

const CASES: &[Case] = &[
    (
        &[("source", "192.0.2.1,2001:db8::1")],
        "source",
        "invalid format - detected mixed ipv4/ipv6 addresses in address list '192.0.2.1,2001:db8::1'\n",
    ),
    (&[("source", "+none")], "source", "no such ipset 'none'"),
    (&[("dest", "none")], "dest", "no such alias 'none'"),
    (
        &[("proto", "tcpp")],
        "proto",
        "invalid format - unknown protocol 'tcpp'\n",
    ),
    (
        &[("proto", "tcp"), ("dport", "70000")],
        "dport",
        "invalid format - invalid port '70000'\n",
    ),
    (
        &[("proto", "tcp"), ("dport", "90:80")],
        "dport",
        "invalid format - backwards range '90:80' not allowed, did you mean '80:90'?\n",
    ),
    (
        &[("dport", "22")],
        "proto",
        "missing property - 'dport' requires this property",
    ),
    (
        &[("sport", "22")],
        "proto",
        "missing property - 'sport' requires this property",
    ),
    (
        &[("proto", "icmp"), ("sport", "22")],
        "sport",
        "protocol 'icmp' does not support ports",
    ),
    (
        &[("proto", "tcp"), ("icmp-type", "any")],
        "proto",
        "missing property - 'icmp-type' requires this property",
    ),
    (
        &[("icmp-type", "8")],
        "icmp-type",
        "invalid format - invalid icmp-type value '8'\n",
    ),
    (
        &[("iface", "eth0")],
        "iface",
        "value does not match the regex pattern 'net\\d+'",
    ),
    (&[("macro", "SSHH")], "macro", "unknown macro 'SSHH'"),
    (
        &[("macro", "ssh"), ("proto", "tcp"), ("dport", "2222")],
        "dport",
        "parameter 'dport' already define in macro (value = '22')",
    ),
    (
        &[("log", "loud")],
        "log",
        "value 'loud' does not have a value in the enumeration 'emerg, alert, crit, err, warning, notice, info, debug, nolog'",
    ),
    (
        &[("enable", "-1")],
        "enable",
        "value must have a minimum value of 0",
    ),
];

#[tokio::test]
async fn what_is_wrong_with_a_rule_stands_under_the_parameter() {
    let lab = Lab::new().await;
    for (extra, field, reason) in CASES {
        let mut form = vec![("type", "in"), ("action", "ACCEPT")];
        form.extend_from_slice(extra);
        let answer = add(&lab, &form).await;
        assert_eq!(answer.status, 400, "{extra:?}");
        assert_eq!(answer.reason, "Parameter verification failed.");
        assert_eq!(answer.error(field), *reason, "{extra:?}");
    }
    let long = format!("192.0.2.1,{}", "192.0.2.100,".repeat(50));
    let answer = add(
        &lab,
        &[
            ("type", "in"),
            ("action", "ACCEPT"),
            ("dest", long.trim_end_matches(',')),
        ],
    )
    .await;
    assert_eq!(answer.error("dest"), "value may only be 512 characters long");
    let answer = add(&lab, &[("type", "in"), ("action", "GO")]).await;
    assert_eq!(answer.error("action"), "unknown action 'GO'");
    let answer = add(&lab, &[("type", "in"), ("action", "A")]).await;
    assert_eq!(answer.error("action"), "value does not match the regex pattern");
    let answer = add(&lab, &[("type", "forward"), ("action", "DROP")]).await;
    assert_eq!(
        answer.error("type"),
        "invalid rule type 'forward' for rule_env 'vm'"
    );
    let answer = add(&lab, &[("action", "DROP")]).await;
    assert_eq!(answer.error("type"), "property is missing and it is not optional");
    assert_eq!(rules(&lab).await.len(), 0);
    assert_eq!(lab.control().effect_count(Effect::FirewallChanged, 102, None), 0);
}

#[tokio::test]
async fn a_macro_is_spelled_as_pve_spells_it() {
    let lab = Lab::new().await;
    add(&lab, &[("type", "in"), ("action", "ACCEPT"), ("macro", "hTTps")])
        .await
        .data();
    assert_eq!(rules(&lab).await[0]["macro"], "HTTPS");
    let list = lab.get("/cluster/firewall/macros").await.data();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 86);
    assert!(
        list.iter()
            .all(|m| m["descr"].as_str().is_some_and(|text| !text.is_empty()))
    );
}

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
async fn a_line_break_in_a_comment_smuggles_a_rule_in() {
    let lab = Lab::new().await;
    let form = [
        ("type", "in"),
        ("action", "DROP"),
        ("comment", "hello\nIN ACCEPT -source 203.0.113.9"),
    ];
    add(&lab, &form).await.data();
    let list = rules(&lab).await;
    assert_eq!(list.len(), 2, "what a client that does not clean comments gets");
    assert_eq!(
        (&list[1]["action"], &list[1]["enable"]),
        (&json!("ACCEPT"), &json!(1))
    );
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
