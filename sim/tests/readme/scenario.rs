//! The scenario file, and what the document says about the demo's cluster.

use pve_sim::{Options, Scenario};

use crate::lab::Lab;
use crate::markdown::{blocks_of, rows, spans};

#[tokio::test]
async fn the_scenario_of_the_document_makes_the_cluster_that_its_comments_describe() {
    let text = &blocks_of("Scenario files", "toml")[0].text;
    let options = Options {
        scenario: Scenario::from_toml(text).unwrap(),
        ..Options::default()
    };
    let mut lab = Lab::with(options).await;
    lab.use_token("PVEAPIToken=me@pve!t=11111111-2222-3333-4444-555555555555");
    assert_eq!(lab.list("/cluster/resources?type=vm").await.len(), 501);
    let rules = lab.list("/nodes/pve1/qemu/1499/firewall/rules").await;
    assert_eq!(rules.len(), 2, "each has a copy of this VM's firewall file");
    let then = lab.get("/nodes/pve1/qemu/100/config?snapshot=first").await.data();
    assert_eq!(then["cores"], 1, "what differed then");
    assert_eq!(lab.config("pve1", 100).await["cores"], 2);
}

#[tokio::test]
async fn the_vms_of_the_demo_are_those_of_the_table() {
    let lab = Lab::new().await;
    let table = rows("The demo cluster");
    let (vms, logins): (Vec<_>, Vec<_>) = table.iter().partition(|row| row[0].starts_with(char::is_numeric));
    assert_eq!(logins.len(), 3);
    let there = lab.control().vms();
    assert_eq!(vms.len(), there.len());
    for (row, vm) in vms.iter().zip(there) {
        assert_eq!(row[0], format!("{} {}", vm.vmid, vm.config["name"]));
        assert_eq!(row[1], vm.node);
        let status = row[2].split(',').next().unwrap();
        if ["running", "stopped", "paused"].contains(&status) {
            assert_eq!(status, vm.status, "{row:?}");
        }
    }
}

#[tokio::test]
async fn the_logins_of_the_demo_are_those_of_the_table() {
    let mut lab = Lab::new().await;
    let table = rows("The demo cluster");
    let logins = table
        .iter()
        .filter(|row| row[1].contains('`'))
        .collect::<Vec<_>>();
    assert_eq!(logins.len(), 3);
    for row in logins {
        let (who, secret) = (spans(row[0]).next().unwrap(), spans(row[1]).next().unwrap());
        if row[0].starts_with("token") {
            lab.use_token(&format!("PVEAPIToken={who}={secret}"));
        } else {
            lab.log_in(who, secret).await;
        }
        assert_eq!(lab.get("/version").await.status, 200, "{who}");
    }
}

/// Terraform is not run; at least its example speaks of what there is.
#[tokio::test]
async fn the_example_for_terraform_names_a_token_and_a_vm_that_exist() {
    let mut lab = Lab::new().await;
    let text = &blocks_of("With the clients you have", "hcl")[0].text;
    let value = |key: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(key)).unwrap();
        line.split_once("= ").unwrap().1.trim_matches('"')
    };
    lab.use_token(&format!("PVEAPIToken={}", value("api_token")));
    let path = format!(
        "/nodes/{}/qemu/{}/firewall/rules",
        value("node_name"),
        value("vm_id")
    );
    assert_eq!(lab.get(&path).await.status, 200);
}

/// Nor is Ansible, here.
#[tokio::test]
async fn the_example_for_ansible_names_a_token_and_a_template_that_exist() {
    let mut lab = Lab::new().await;
    let text = &blocks_of("With the clients you have", "yaml")[0].text;
    let value = |key: &str| {
        let mut lines = text.lines().map(str::trim);
        lines
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
            .unwrap()
    };
    let (user, token, secret) = (
        value("api_user"),
        value("api_token_id"),
        value("api_token_secret"),
    );
    lab.use_token(&format!("PVEAPIToken={user}!{token}={secret}"));
    let all = lab.list("/cluster/resources?type=vm").await;
    let template = all.iter().find(|vm| vm["name"] == value("clone")).unwrap();
    assert_eq!(
        (&template["template"], &template["node"]),
        (&1.into(), &value("node").into())
    );
}

#[test]
fn the_scenario_for_the_go_client_has_the_template_of_its_tests() {
    let text = include_str!("../../scenarios/telmate.toml");
    assert!(Scenario::from_toml(text).is_ok());
    assert!(text.contains("vmid = 9000") && text.contains("password = \"Enter123!\""));
}
