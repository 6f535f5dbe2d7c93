//! Proves what is refused in a rule, under which parameter, with PVE's words.

use pve_sim::Effect;

use super::{add, rules};
use crate::lab::Lab;

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
