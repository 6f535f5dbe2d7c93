//! What the policy lets through and what it does not.
//!
//! `allowed`: markup that plugins write; `attacks`: vectors, each with its outcome; `browser`: that a browser's parser
//! builds from the output exactly the tree that was checked, and that nothing leaves the content area.

mod allowed;
mod attacks;
mod browser;

use super::{Cleaned, MarkupError, Policy};

/// The plugin's prefix in all tests.
const BASE: &str = "/services/7/snapshots/";

fn apply(html: &str) -> Result<Cleaned, MarkupError> {
    Policy::new(BASE).apply(html)
}
