//! Tests of the declared parameters and of what is said of wrong ones.

use super::*;

const DECLARED: &[Property] = &[
    Property::text("snapname")
        .format(format::config_id)
        .no_longer_than(40),
    Property::boolean("vmstate").optional(),
    Property::integer("timeout").optional().at_least(0),
    Property::text("net").numbered(31),
    Property::boolean("force").optional().requires("delete"),
    Property::text("delete").optional().list_of(format::config_id),
    Property::boolean("fresh").optional().new_in_9(),
];

fn errors_of(pairs: &[(&str, &str)], major: Major) -> IndexMap<String, String> {
    let given = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), Raw::Text((*v).to_owned())))
        .collect::<BTreeMap<_, _>>();
    check(DECLARED.iter(), &given, major).err().unwrap_or_default()
}

#[test]
fn a_missing_and_an_unknown_parameter_are_both_named() {
    let errors = errors_of(&[("snapnam", "a1")], Major::V9);
    assert_eq!(errors["snapname"], "property is missing and it is not optional");
    assert_eq!(
        errors["snapnam"],
        "property is not defined in schema and the schema does not allow additional properties"
    );
}

#[test]
fn a_boolean_in_words_fails_its_type_check() {
    let errors = errors_of(&[("snapname", "ab"), ("vmstate", "true")], Major::V9);
    assert_eq!(errors["vmstate"], "type check ('boolean') failed - got 'true'");
}

#[test]
fn a_snapshot_name_of_one_letter_has_an_invalid_format() {
    assert_eq!(
        errors_of(&[("snapname", "a")], Major::V9)["snapname"],
        "invalid format - invalid configuration ID 'a'\n"
    );
}

#[test]
fn numbered_parameters_end_at_their_last_number() {
    assert!(errors_of(&[("snapname", "ab"), ("net31", "x")], Major::V9).is_empty());
    assert!(errors_of(&[("snapname", "ab"), ("net32", "x")], Major::V9).contains_key("net32"));
    assert!(errors_of(&[("snapname", "ab"), ("net01", "x")], Major::V9).contains_key("net01"));
}

#[test]
fn a_parameter_of_9_is_unknown_to_8() {
    assert!(errors_of(&[("snapname", "ab"), ("fresh", "1")], Major::V9).is_empty());
    assert!(errors_of(&[("snapname", "ab"), ("fresh", "1")], Major::V8).contains_key("fresh"));
}

#[test]
fn two_errors_of_one_parameter_are_joined_by_a_backslash_and_an_n() {
    let needing = [
        Property::boolean("force").optional().requires("delete"),
        Property::boolean("now").optional().requires("delete"),
    ];
    let given = ["force", "now"].map(|name| (name.to_owned(), Raw::Text("1".to_owned())));
    let errors = check(needing.iter(), &given.into(), Major::V9).unwrap_err();
    assert_eq!(
        errors["delete"],
        r"missing property required by 'force'\nmissing property required by 'now'"
    );
}

#[test]
fn a_parameter_that_needs_another_names_the_other() {
    assert_eq!(
        errors_of(&[("snapname", "ab"), ("force", "1")], Major::V9)["delete"],
        "missing property required by 'force'"
    );
}
