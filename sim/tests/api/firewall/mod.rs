//! Proves the firewall.
//!
//! `rules` proves where rules go and how they are changed, `checks` what is refused and how, `files` what else is in
//! a firewall file, who may change it, and when it comes and goes.

mod checks;
mod files;
mod rules;

use serde_json::Value;

use crate::lab::{Answer, Lab};

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
