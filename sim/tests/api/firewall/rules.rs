//! Proves where rules go, digests, and how fields are set and unset.

use serde_json::{Value, json};

use super::{add, at, four, order, rules};
use crate::lab::Lab;

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
