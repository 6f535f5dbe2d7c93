//! Placeholder.

pub mod markup;
pub mod template;
