//! The markup policy: what HTML of a plugin may reach a customer's browser.

/// Why a plugin's markup was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct MarkupError {
    /// The line of the rendered markup, from 1.
    pub line: usize,
    /// What was refused, cut to a length fit for a log.
    pub what: String,
}

/// Something that the policy took out of the markup. The page is shown without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The line of the rendered markup, from 1.
    pub line: usize,
    /// What was taken out and why, cut to a length fit for a log.
    pub what: String,
}

/// Markup that passed the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The markup to put into the content area.
    pub html: String,
    /// What was taken out.
    pub violations: Vec<Violation>,
}

/// What one plugin may write on one service's pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    base_path: String,
}

impl Policy {
    /// `base_path` is the plugin's own prefix on this service, with a slash at both ends: `/services/ID/PLUGIN/`.
    pub fn new(base_path: impl Into<String>) -> Self {
        Self {
            base_path: base_path.into(),
        }
    }

    /// Passes `html` through the policy.
    pub fn apply(&self, html: &str) -> Result<Cleaned, MarkupError> {
        let _ = (html, &self.base_path);
        Err(MarkupError {
            line: 1,
            what: "the markup policy is not built yet".to_owned(),
        })
    }
}
