//! What the compiler says to an author who got something wrong: the message must point at the author's line.
//!
//! `TRYBUILD=overwrite cargo test -p portico-sdk --test compile_fail` writes the expected texts anew.

#[test]
fn mistakes_are_told_at_the_line_they_are_made() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/smallest.rs");
    cases.compile_fail("tests/ui/no_feature.rs");
    cases.compile_fail("tests/ui/no_handle.rs");
    cases.compile_fail("tests/ui/not_a_type.rs");
    cases.compile_fail("tests/ui/no_template.rs");
    cases.compile_fail("tests/ui/wrong_handler.rs");
}
