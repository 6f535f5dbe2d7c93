//! What can go wrong with a plugin's templates, told to the provider.

use std::fmt;

use crate::markup::MarkupError;

/// The longest text of a plugin that an error repeats, in bytes.
const EXCERPT: usize = 300;

/// A text that came from a plugin, cut to a length that is fit for a log line and freed of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// Cuts `text`.
    pub fn new(text: &str) -> Self {
        let mut short = String::new();
        for character in text.chars() {
            if short.len() + character.len_utf8() > EXCERPT {
                short.push('…');
                break;
            }
            short.push(if character.is_control() { ' ' } else { character });
        }
        Self(short)
    }

    /// The cut text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is wrong with the JSON a template is to be rendered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// More bytes than the limit.
    #[error("the data has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the JSON.
        size: usize,
        /// [`TemplateLimits::data_bytes`](super::TemplateLimits::data_bytes).
        limit: usize,
    },
    /// Arrays and objects in each other deeper than the limit.
    #[error("the data nests deeper than {limit} levels")]
    TooDeep {
        /// [`TemplateLimits::data_depth`](super::TemplateLimits::data_depth).
        limit: usize,
    },
    /// Not JSON, or its outermost value is not an object.
    #[error("the data is not a JSON object: {reason}")]
    Invalid {
        /// What the parser said.
        reason: Excerpt,
    },
}

/// Why a plugin's templates were refused, or why one could not be rendered.
///
/// All of it is for the provider: the customer sees a page that says that something went wrong, with a request id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A name that is not allowed, or that is given twice.
    #[error("template name `{name}` is not allowed: {reason}")]
    Name {
        /// The name.
        name: Excerpt,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// More templates than the limit.
    #[error("the plugin has {count} templates, the limit is {limit}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// [`TemplateLimits::templates`](super::TemplateLimits::templates).
        limit: usize,
    },
    /// One template's source, or all of them together, is over the limit.
    #[error("the source of {what} has {size} bytes, the limit is {limit}")]
    SourceTooLarge {
        /// The template's name, or `all templates`.
        what: Excerpt,
        /// Bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The template does not parse.
    #[error("{template}:{line}: {message}")]
    Syntax {
        /// The template.
        template: Excerpt,
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What the parser said.
        message: Excerpt,
    },
    /// The template uses something that the sandbox does not have.
    #[error("{template}:{line}: {what}")]
    Forbidden {
        /// The template.
        template: Excerpt,
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What it is and what to write instead.
        what: Excerpt,
    },
    /// A view, an include, an import or an extends names a template that there is not.
    #[error("there is no template `{name}`")]
    UnknownTemplate {
        /// The name.
        name: Excerpt,
    },
    /// The template did more work than the limit allows.
    #[error("template `{template}` used up its fuel of {limit}")]
    Fuel {
        /// The template.
        template: Excerpt,
        /// [`TemplateLimits::fuel`](super::TemplateLimits::fuel).
        limit: u64,
    },
    /// Macros, includes or loops in each other deeper than the limit.
    #[error("template `{template}` nests macros, includes or loops deeper than allowed")]
    Recursion {
        /// The template.
        template: Excerpt,
    },
    /// More output than the limit.
    #[error("template `{template}` wrote more than {limit} bytes")]
    OutputTooLarge {
        /// The template.
        template: Excerpt,
        /// [`TemplateLimits::output_bytes`](super::TemplateLimits::output_bytes).
        limit: usize,
    },
    /// The JSON to render with is not acceptable.
    #[error("template `{template}`: {reason}")]
    Data {
        /// The template.
        template: Excerpt,
        /// What is wrong with it.
        #[source]
        reason: DataError,
    },
    /// The template failed while it was rendered: an undefined variable, a filter that does not fit the value…
    #[error("{template}:{line}: {message}")]
    Render {
        /// The template in which it happened, which can be one that the rendered one includes.
        template: Excerpt,
        /// The line, from 1; 0 when it is not known.
        line: usize,
        /// What happened.
        message: Excerpt,
    },
    /// The template did not render with one of the samples it ships.
    #[error("sample {index} of template `{template}`: {reason}")]
    Sample {
        /// The template.
        template: Excerpt,
        /// Which sample, from 0.
        index: usize,
        /// What happened.
        #[source]
        reason: Box<TemplateError>,
    },
    /// The markup policy refused the page.
    #[error("the markup of template `{template}` was refused: {reason}")]
    Markup {
        /// The template.
        template: Excerpt,
        /// What was refused.
        #[source]
        reason: MarkupError,
    },
    /// The template engine itself failed. A defect of the host, not of the plugin.
    #[error("the template engine failed on `{template}`")]
    Engine {
        /// The template, empty when it was not about one.
        template: Excerpt,
    },
}
