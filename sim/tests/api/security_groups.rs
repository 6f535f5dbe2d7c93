//! Proves the datacenter's firewall: security groups with rules, its own rules, sets and aliases.

use crate::lab::Lab;
use pve_sim::{Fault, Major, Options, Scenario};
use serde_json::{Value, json};

const GROUPS: &str = "/cluster/firewall/groups";
const WEB: &str = "/cluster/firewall/groups/webserver";
const RULES: &str = "/cluster/firewall/rules";
const SSH: [(&str, &str); 4] = [
    ("type", "in"),
    ("action", "ACCEPT"),
    ("macro", "SSH"),
    ("enable", "1"),
];

/// Logged in as root: the panel's token does not reach the datacenter's file.
async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab
}

/// What the rules of a place do, from the top.
async fn macros(lab: &Lab, path: &str) -> Vec<String> {
    let list = lab.list(path).await;
    let names = list
        .iter()
        .map(|rule| rule["macro"].as_str().unwrap_or_default().to_owned());
    names.collect()
}

#[tokio::test]
async fn a_group_of_the_scenario_has_its_rules() {
    let lab = lab().await;
    let rules = lab.list(WEB).await;
    assert_eq!(rules.len(), 2);
    assert_eq!(
        (&rules[0]["macro"], &rules[0]["pos"], &rules[0]["comment"]),
        (&json!("Web"), &json!(0), &json!("everybody"))
    );
    assert_eq!(rules[1]["source"], "dc/office");
    assert_eq!(lab.get(&format!("{WEB}/1")).await.data()["pos"], "1");
    assert_eq!(lab.get(&format!("{WEB}/7")).await.reason, "no rule at position 7");
    assert_eq!(
        lab.get(&format!("{GROUPS}/nobody")).await.reason,
        "no such security group 'nobody'"
    );
}

#[tokio::test]
async fn rules_of_a_group_are_made_moved_changed_and_removed() {
    let lab = lab().await;
    let form = [("type", "forward"), ("action", "DROP"), ("macro", "Ping")];
    lab.post(WEB, &form).await.data();
    assert_eq!(macros(&lab, WEB).await, ["Ping", "Web", "SSH"]);
    let first = lab.list(WEB).await.swap_remove(0);
    assert_eq!(first["enable"], 0, "off unless told otherwise");
    lab.put(&format!("{WEB}/0"), &[("moveto", "3")]).await.data();
    assert_eq!(macros(&lab, WEB).await, ["Web", "SSH", "Ping"]);
    let changed = [("digest", first["digest"].as_str().unwrap()), ("enable", "1")];
    let answer = lab.put(&format!("{WEB}/2"), &changed).await;
    assert!(answer.reason.starts_with("detected modified configuration"));
    lab.put(&format!("{WEB}/2"), &changed[1..]).await.data();
    assert_eq!(lab.list(WEB).await[2]["enable"], 1);
    lab.delete(&format!("{WEB}/0")).await.data();
    assert_eq!(macros(&lab, WEB).await, ["SSH", "Ping"]);
}

#[tokio::test]
async fn a_group_takes_what_a_group_may_have() {
    let lab = lab().await;
    let refused =
        async |form: &[(&str, &str)], field: &str| lab.post(WEB, form).await.error(field).to_owned();
    assert_eq!(
        refused(&[("type", "group"), ("action", "other")], "type").await,
        "invalid rule type 'group' for rule_env 'group'"
    );
    assert_eq!(
        refused(&[("type", "in"), ("action", "DROP"), ("iface", "net0")], "type").await,
        "parameter -i not allowed for this rule type"
    );
    assert_eq!(
        refused(&[("type", "forward"), ("action", "REJECT")], "action").await,
        "cannot define REJECT rules on forward chain"
    );
    assert_eq!(
        refused(
            &[("type", "in"), ("action", "DROP"), ("source", "+none")],
            "source"
        )
        .await,
        "no such ipset 'none'"
    );
}

#[tokio::test]
async fn a_group_goes_when_it_is_empty_whoever_uses_it() {
    let lab = lab().await;
    let vm = "/nodes/pve1/qemu/100/firewall/rules";
    let form = [("type", "group"), ("action", "webserver"), ("enable", "1")];
    lab.post(vm, &form).await.data();
    let answer = lab.delete(WEB).await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "Security group 'webserver' is not empty")
    );
    for _ in 0..2 {
        lab.delete(&format!("{WEB}/0")).await.data();
    }
    lab.delete(WEB).await.data();
    assert_eq!(lab.list(GROUPS).await, Vec::<Value>::new());
    assert_eq!(lab.list(vm).await[0]["action"], "webserver", "its rule stays");
    assert_eq!(lab.delete(WEB).await.reason, "no such security group 'webserver'");
    // PVE does not look whether there is such a group.
    lab.post(vm, &[("type", "group"), ("action", "nobody")])
        .await
        .data();
}

#[tokio::test]
async fn a_renamed_group_keeps_its_rules_and_those_who_use_it() {
    let lab = lab().await;
    let vm = "/nodes/pve1/qemu/100/firewall/rules";
    for path in [vm, RULES] {
        let form = [("type", "group"), ("action", "webserver"), ("enable", "1")];
        lab.post(path, &form).await.data();
    }
    let form = [
        ("group", "sites"),
        ("rename", "webserver"),
        ("comment", "all sites"),
    ];
    lab.post(GROUPS, &form).await.data();
    assert_eq!(
        macros(&lab, "/cluster/firewall/groups/sites").await,
        ["Web", "SSH"]
    );
    assert_eq!(lab.list(GROUPS).await[0]["comment"], "all sites");
    for path in [vm, RULES] {
        assert_eq!(lab.list(path).await[0]["action"], "sites");
    }
    let answer = lab
        .post(GROUPS, &[("group", "x2"), ("rename", "webserver")])
        .await;
    assert_eq!(answer.error("group"), "Security group 'webserver' does not exist");
    let answer = lab.post(GROUPS, &[("group", "sites")]).await;
    assert_eq!(answer.error("group"), "Security group 'sites' already exists");
}

#[tokio::test]
async fn the_datacenter_has_rules_of_its_own() {
    let lab = lab().await;
    assert_eq!(lab.list(RULES).await.len(), 0);
    lab.post(RULES, &SSH).await.data();
    let form = [
        ("type", "forward"),
        ("action", "ACCEPT"),
        ("iface", "vmbr0"),
        ("enable", "1"),
    ];
    lab.post(RULES, &form).await.data();
    let rules = lab.list(RULES).await;
    assert_eq!(
        (&rules[0]["iface"], &rules[1]["macro"]),
        (&json!("vmbr0"), &json!("SSH"))
    );
    lab.delete(&format!("{RULES}/0")).await.data();
    assert_eq!(macros(&lab, RULES).await, ["SSH"]);
}

#[tokio::test]
async fn the_datacenter_has_sets_and_aliases_that_vms_see() {
    let lab = lab().await;
    let (sets, aliases) = ("/cluster/firewall/ipset", "/cluster/firewall/aliases");
    lab.post(sets, &[("name", "offices"), ("comment", "ours")])
        .await
        .data();
    let set = format!("{sets}/offices");
    lab.post(&set, &[("cidr", "203.0.113.7/24")]).await.data();
    assert_eq!(lab.list(&set).await[0]["cidr"], "203.0.113.0/24");
    lab.post(aliases, &[("name", "Home"), ("cidr", "203.0.113.9")])
        .await
        .data();
    lab.post(&set, &[("cidr", "home"), ("nomatch", "1")]).await.data();
    let vm = "/nodes/pve1/qemu/100/firewall/rules";
    for source in ["+dc/offices", "dc/home"] {
        let form = [("type", "in"), ("action", "DROP"), ("source", source)];
        lab.post(vm, &form).await.data();
    }
    let answer = lab
        .put(
            &format!("{aliases}/home"),
            &[("cidr", "203.0.113.10"), ("rename", "office")],
        )
        .await;
    assert_eq!(answer.error("name"), "alias 'office' already exists");
    let home = lab.get(&format!("{aliases}/home")).await.data();
    assert_eq!((&home["name"], &home["ipversion"]), (&json!("Home"), &json!(4)));
    assert_eq!(lab.delete(&set).await.reason, "IPSet 'offices' is not empty");
    lab.delete(&format!("{set}/203.0.113.0%2F24")).await.data();
    lab.delete(&format!("{set}?force=1")).await.data();
    lab.delete(&format!("{aliases}/home")).await.data();
    // The rules that named them are told to be wrong from now on.
    let rules = lab.list(vm).await;
    assert_eq!(rules[0]["errors"]["source"], "no such alias 'dc/home'");
    assert_eq!(rules[1]["errors"]["source"], "no such ipset 'offices'");
    let names = lab.list(sets).await;
    assert_eq!(names.len(), 1, "that of the scenario");
}

#[tokio::test]
async fn who_has_rights_on_vms_alone_does_not_reach_the_datacenter() {
    for pve in [Major::V8, Major::V9] {
        let lab = Lab::with(Options {
            pve,
            time_scale: 100.0,
            ..Options::default()
        })
        .await;
        let answer = lab.get(WEB).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (403, "Permission check failed (/, Sys.Audit)")
        );
        let answer = lab.post(WEB, &SSH).await;
        assert_eq!(answer.reason, "Permission check failed (/, Sys.Modify)");
        assert_eq!(lab.list(GROUPS).await.len(), 1, "names are for everybody");
    }
}

#[tokio::test]
async fn changes_wait_for_the_cluster_s_lock() {
    let lab = lab().await;
    lab.control().inject(Fault::HoldCfsLock {
        lock: "firewall-cluster".into(),
        text: None,
        times: None,
    });
    for path in [WEB, RULES] {
        let answer = lab.post(path, &SSH).await;
        assert_eq!(
            answer.reason,
            "cfs-lock 'firewall-cluster' error: got lock request timeout"
        );
    }
    let answer = lab.delete(WEB).await;
    assert!(answer.reason.contains("got lock request timeout"));
}

#[test]
fn a_scenario_with_a_wrong_rule_in_a_group_names_its_place() {
    let demo = include_str!("../../scenarios/demo.toml");
    let wrong = demo.replace("IN Web(ACCEPT) # everybody", "IN ACCEPT -source +none");
    let scenario = Scenario::from_toml(&wrong).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let started = runtime.block_on(pve_sim::Simulator::start(Options {
        scenario,
        ..Options::default()
    }));
    let error = started.unwrap_err().to_string();
    assert!(
        error.contains("group webserver") && error.contains("no such ipset 'none'"),
        "{error}"
    );
}
