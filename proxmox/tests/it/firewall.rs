//! The firewall's calls against recorded answers, and the order of calls that brings a rule to its place.

use std::sync::Mutex;

use crate::support::*;
use portico_proxmox::{
    Error, FirewallDirection, FirewallName, FirewallOptionsUpdate, FirewallPolicy, Membership, NodeName,
    Reason, RuleComment, RuleDraft, RulePlace, RuleText, SetMember, Vm,
};

const EMPTY: &str = r#"{"data":[]}"#;
const NULL: &str = r#"{"data":null}"#;

fn list(digest: &str, comments: &[&str]) -> String {
    let rules = comments.iter().enumerate().map(|(pos, comment)| {
        format!(r#"{{"pos":{pos},"type":"in","action":"ACCEPT","enable":1,"comment":"{comment}","digest":"{digest}"}}"#)
    });
    format!(r#"{{"data":[{}]}}"#, rules.collect::<Vec<_>>().join(","))
}

/// A server that gives these replies, one after the other, to all but the list of VMs.
async fn scripted(replies: Vec<Reply>) -> (Server, Vm) {
    let replies = Mutex::new(replies.into_iter());
    let server = Server::start(move |request| {
        if request.line.contains("/cluster/resources") {
            return ok(ON_PVE1);
        }
        replies
            .lock()
            .unwrap()
            .next()
            .unwrap_or_else(|| bare(501, "not in this test"))
    })
    .await;
    let vm = server.client().vm(vmid());
    (server, vm)
}

/// All calls but that for the list of VMs, without what they have in common.
fn calls(server: &Server) -> Vec<String> {
    let requests = server.requests().into_iter();
    let own = requests.filter(|request| !request.line.contains("/cluster/resources"));
    own.map(|request| {
        let line = request
            .line
            .replace("/api2/json/nodes/pve1/qemu/100/firewall", "");
        format!("{line} {}", request.body).trim_end().to_owned()
    })
    .collect()
}

fn draft() -> RuleDraft {
    RuleDraft {
        protocol: Some(RuleText::new("tcp").unwrap()),
        destination_ports: Some(RuleText::new("22").unwrap()),
        comment: RuleComment::cleaned("a\nb"),
        ..RuleDraft::new(FirewallDirection::In, FirewallPolicy::Accept)
    }
}

const POSTED: &str = "POST /rules type=in&action=ACCEPT&enable=0&proto=tcp&dport=22&comment=a+b";

#[tokio::test]
async fn a_rule_for_the_end_is_made_off_then_moved_then_switched_on() {
    let (server, vm) = scripted(vec![
        ok(&list("d1", &["x", "y"])),
        ok(NULL),
        ok(&list("d2", &["a b", "x", "y"])),
        ok(NULL),
        ok(&list("d3", &["x", "y", "a b"])),
        ok(NULL),
    ])
    .await;
    vm.add_firewall_rule(&draft(), RulePlace::End, Some("d1"))
        .await
        .unwrap();
    assert_eq!(
        calls(&server),
        [
            "GET /rules",
            POSTED,
            "GET /rules",
            "PUT /rules/0 moveto=3&digest=d2",
            "GET /rules",
            "PUT /rules/2 enable=1&digest=d3",
        ]
    );
}

#[tokio::test]
async fn a_rule_for_the_top_needs_no_move() {
    let (server, vm) = scripted(vec![ok(EMPTY), ok(NULL)]).await;
    vm.add_firewall_rule(&draft(), RulePlace::End, None)
        .await
        .unwrap();
    assert_eq!(
        calls(&server),
        ["GET /rules", &POSTED.replace("enable=0", "enable=1")]
    );
}

#[tokio::test]
async fn a_rule_is_not_added_to_a_list_that_was_changed() {
    let (server, vm) = scripted(vec![ok(&list("d2", &["x"]))]).await;
    let error = vm
        .add_firewall_rule(&draft(), RulePlace::Top, Some("d1"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Refused { reason: Reason::DigestMismatch, target, .. } if target.vmid == Some(vmid())),
        "{error}"
    );
    let target = error.target();
    assert_eq!(target.node.as_ref().map(NodeName::as_str), Some("pve1"));
    assert_eq!(target.call, "POST /nodes/{node}/qemu/{vmid}/firewall/rules");
    assert_eq!(calls(&server), ["GET /rules"]);
}

#[tokio::test]
async fn another_rule_that_came_to_the_new_ones_place_is_not_switched_on() {
    let (server, vm) = scripted(vec![
        ok(&list("d1", &["x", "y"])),
        ok(NULL),
        ok(&list("d2", &["a b", "x", "y"])),
        ok(NULL),
        // Somebody put a rule on the top just now.
        ok(&list("d3", &["z", "x", "y", "a b"])),
        fail(
            500,
            "detected modified configuration - file changed by other user? Try again.",
        ),
    ])
    .await;
    let added = vm.add_firewall_rule(&draft(), RulePlace::End, None).await;
    assert_eq!(added.unwrap_err().reason(), Some(&Reason::DigestMismatch));
    assert_eq!(
        calls(&server)[3..],
        [
            "PUT /rules/0 moveto=3&digest=d2",
            "GET /rules",
            "DELETE /rules/0?digest=d2",
        ]
    );
}

#[tokio::test]
async fn a_rule_that_cannot_be_moved_is_taken_away_again() {
    let (server, vm) = scripted(vec![
        ok(&list("d1", &["x"])),
        ok(NULL),
        ok(&list("d2", &["a b", "x"])),
        fail(500, "cfs-lock 'firewall-vm-100' error: got lock request timeout"),
        ok(NULL),
    ])
    .await;
    let error = vm
        .add_firewall_rule(&draft(), RulePlace::End, Some("d1"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Refused {
                reason: Reason::LockTimeout,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(calls(&server).last().unwrap(), "DELETE /rules/0?digest=d2");
}

#[tokio::test]
async fn moving_down_counts_the_rule_itself_and_moving_up_does_not() {
    let (server, vm) = scripted(vec![ok(NULL), ok(NULL)]).await;
    vm.move_firewall_rule(1, 3, Some("d")).await.unwrap();
    vm.move_firewall_rule(3, 1, Some("d")).await.unwrap();
    vm.move_firewall_rule(2, 2, Some("d")).await.unwrap();
    assert_eq!(
        calls(&server),
        ["PUT /rules/1 moveto=4&digest=d", "PUT /rules/3 moveto=1&digest=d"]
    );
}

#[tokio::test]
async fn an_edited_rule_loses_the_fields_that_the_draft_leaves_open() {
    let (server, vm) = scripted(vec![ok(NULL), ok(NULL), ok(NULL)]).await;
    vm.update_firewall_rule(4, &draft(), Some("d")).await.unwrap();
    vm.enable_firewall_rule(4, false, None).await.unwrap();
    vm.remove_firewall_rule(4, Some("d")).await.unwrap();
    assert_eq!(
        calls(&server),
        [
            "PUT /rules/4 type=in&action=ACCEPT&enable=1&proto=tcp&dport=22&comment=a+b\
             &delete=macro%2Ciface%2Csource%2Cdest%2Csport%2Cicmp-type%2Clog&digest=d",
            "PUT /rules/4 enable=0",
            "DELETE /rules/4?digest=d",
        ]
    );
}

#[tokio::test]
async fn refusals_have_their_reason_and_wrong_fields_their_text() {
    for (text, reason) in [
        (
            "detected modified configuration - file changed by other user? Try again.",
            Reason::DigestMismatch,
        ),
        ("no rule at position 9", Reason::RuleNotFound),
        ("cfs-lock 'firewall-vm-100' error: no quorum!", Reason::NoQuorum),
    ] {
        let (_server, vm) = scripted(vec![fail(500, text)]).await;
        let error = vm.remove_firewall_rule(9, None).await.unwrap_err();
        assert!(
            matches!(&error, Error::Refused { reason: found, .. } if *found == reason),
            "{error}"
        );
    }
    let body = r#"{"data":null,"errors":{"source":"no such ipset 'x'"},"message":"Parameter verification failed.\n"}"#;
    let refused = Reply::Send(400, "Parameter verification failed.".to_owned(), body.to_owned());
    let (_server, vm) = scripted(vec![refused]).await;
    let error = vm.update_firewall_rule(0, &draft(), None).await.unwrap_err();
    assert!(
        matches!(&error, Error::Parameters { errors, .. } if errors["source"] == "no such ipset 'x'"),
        "{error}"
    );
}

#[tokio::test]
async fn options_tell_what_is_in_force_and_changes_name_only_what_changes() {
    let (server, vm) = scripted(vec![
        ok(r#"{"data":{"digest":"aa"}}"#),
        ok(r#"{"data":{"enable":"1","policy_in":"REJECT","policy_out":"DROP","ipfilter":1,"ndp":0,"log_level_in":"info","digest":"bb"}}"#),
        ok(NULL),
    ])
    .await;
    let unset = vm.firewall_options().await.unwrap();
    assert_eq!(
        (unset.enabled(), unset.input(), unset.output()),
        (false, FirewallPolicy::Drop, FirewallPolicy::Accept)
    );
    let set = vm.firewall_options().await.unwrap();
    assert_eq!(
        (set.enabled(), set.input(), set.output()),
        (true, FirewallPolicy::Reject, FirewallPolicy::Drop)
    );
    assert_eq!((set.ipfilter, set.ndp, set.dhcp), (Some(true), Some(false), None));
    let update = FirewallOptionsUpdate {
        policy_in: Some(FirewallPolicy::Accept),
        enable: Some(false),
        ..FirewallOptionsUpdate::default()
    };
    vm.set_firewall_options(update, set.digest.as_deref())
        .await
        .unwrap();
    assert_eq!(
        calls(&server).last().unwrap(),
        "PUT /options enable=0&policy_in=ACCEPT&digest=bb"
    );
}

#[tokio::test]
async fn sets_are_made_filled_emptied_and_removed() {
    let entries = r#"{"data":[{"cidr":"192.0.2.0/24","nomatch":1,"digest":"e"},{"cidr":"2001:db8::1","comment":"x"},{"cidr":7}]}"#;
    let (server, vm) = scripted(vec![
        ok(r#"{"data":[{"name":"ipfilter-net0","digest":"s"},{"name":"../x"}]}"#),
        ok(NULL),
        ok(NULL),
        ok(entries),
        ok(NULL),
        fail(500, "IPSet 'ipfilter-net0' is not empty"),
        ok(NULL),
        fail(500, "no such IPSet 'ipfilter-net0'"),
    ])
    .await;
    let name = FirewallName::ip_filter(0);
    let sets = vm.firewall_sets().await.unwrap();
    assert_eq!(sets.len(), 1);
    assert!(sets[0].name == name && name.is_ip_filter());
    vm.create_firewall_set(&name, &RuleComment::cleaned("own addresses"))
        .await
        .unwrap();
    let network = SetMember::new("192.0.2.0/24").unwrap();
    vm.add_to_firewall_set(&name, &network, Membership::Excluded, &RuleComment::default())
        .await
        .unwrap();
    let entries = vm.firewall_set(&name).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].membership == Membership::Excluded && entries[1].comment.as_deref() == Some("x"));
    vm.remove_from_firewall_set(&name, &entries[0].member, Some("e"))
        .await
        .unwrap();
    let full = vm.remove_firewall_set(&name, false).await.unwrap_err();
    assert!(matches!(
        full,
        Error::Refused {
            reason: Reason::SetNotEmpty,
            ..
        }
    ));
    vm.remove_firewall_set(&name, true).await.unwrap();
    let gone = vm.firewall_set(&name).await.unwrap_err();
    assert!(matches!(
        gone,
        Error::Refused {
            reason: Reason::SetNotFound,
            ..
        }
    ));
    assert_eq!(
        calls(&server)[1..7],
        [
            "POST /ipset name=ipfilter-net0&comment=own+addresses",
            "POST /ipset/ipfilter-net0 cidr=192.0.2.0%2F24&nomatch=1",
            "GET /ipset/ipfilter-net0",
            "DELETE /ipset/ipfilter-net0/192.0.2.0%2F24?digest=e",
            "DELETE /ipset/ipfilter-net0",
            "DELETE /ipset/ipfilter-net0?force=1",
        ]
    );
}

#[tokio::test]
async fn the_datacenters_switch_and_macros_are_read_and_may_be_refused() {
    let server = Server::routed(vec![
        (
            "/cluster/firewall/macros",
            ok(r#"{"data":[{"macro":"SSH","descr":"x"},{"macro":"ftp"},{"descr":"no name"}]}"#),
        ),
        (
            "/cluster/firewall/options",
            ok(r#"{"data":{"enable":1734000000,"policy_in":"DROP","digest":"c"}}"#),
        ),
    ])
    .await;
    let client = server.client();
    let macros = client.firewall_macros().await.unwrap();
    let names = macros.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["ftp", "SSH"]);
    assert!(client.cluster_firewall().await.unwrap().enabled());

    let text = "Permission check failed (/, Sys.Audit)";
    let server = Server::routed(vec![("/cluster/firewall/options", fail(403, text))]).await;
    let error = server.client().cluster_firewall().await.unwrap_err();
    assert!(
        matches!(&error, Error::PermissionDenied { privileges, .. } if privileges == &["Sys.Audit"]),
        "{error}"
    );
}

#[tokio::test]
async fn references_name_sets_and_aliases() {
    let (_server, vm) = scripted(vec![ok(
        r#"{"data":[{"type":"ipset","name":"office","ref":"+office","scope":"dc"},{"type":"alias","name":"home","ref":"home"}]}"#,
    )])
    .await;
    let references = vm.firewall_references().await.unwrap();
    assert_eq!(
        (references[0].scope.as_deref(), references[1].kind.as_str()),
        (Some("dc"), "alias")
    );
}
