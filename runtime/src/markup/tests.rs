//! What the policy lets through and what it does not.

use super::Policy;

fn policy() -> Policy {
    Policy::new("/services/7/snapshots/")
}

#[test]
fn plain_markup_passes_and_relative_addresses_are_completed() {
    let cleaned = policy().apply("<p>Hi <a href='x'>y</a> &amp; 1 < 2</p>").unwrap();
    assert_eq!(
        cleaned.html,
        "<p>Hi <a href=\"/services/7/snapshots/x\">y</a> &amp; 1 &lt; 2</p>"
    );
    assert_eq!(cleaned.violations, []);
}
