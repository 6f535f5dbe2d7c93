//! The sandbox for templates that plugins supply.
//!
//! A plugin sends the sources of its templates once, when it is installed: [`TemplateSet::compile`] checks and compiles
//! them and renders each with the samples it ships. For a request the plugin names one of them and gives JSON:
//! [`TemplateSet::render_page`] for a browser, [`TemplateSet::render_mail`] for a mail.
//!
//! Both the sources and the JSON are hostile until shown otherwise. What holds:
//!
//! - No template can end the process, block for long or take much memory: sizes are capped before anything is parsed;
//!   sources are compiled on a thread with a large stack, as the parser recurses; rendering has fuel, a depth and an
//!   output cap, and works only on values that are bounded (`value`), as the engine's own fuel does not count all.
//!   A rendering with the default limits was tested on the 2 MiB stack of an async runtime's thread.
//! - Text that is printed into HTML is escaped, always; there is no `safe` and no way to switch escaping off. This keeps
//!   honest authors from mistakes. What a dishonest one writes is the markup policy's concern ([`crate::markup`]).
//! - A template reaches the plugin's own templates and the panel's kit, no file, no network, no clock.
//!
//! How it is built: `syntax` says what a source may use and guards its lists and maps; `engine` is the template engine
//! with nothing in it but [`filters`]; `data` parses the JSON; `mail` splits a text into subject and body.
//!
//! Not here: where sources come from, which template answers which request, the panel's own pages.

mod context;
mod data;
mod engine;
mod error;
pub mod filters;
mod limits;
mod mail;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use context::RenderContext;
pub use error::{DataError, Excerpt, TemplateError};
pub use limits::TemplateLimits;
pub use mail::Mail;

use crate::markup::{Policy, Violation};
use engine::{Engine, Kind};

/// The stack of the thread that compiles. The parser recurses once for each link of a chain such as `a.b.c`: 64 KiB of
/// source make it need some 30 MiB at most.
const COMPILE_STACK: usize = 64 * 1024 * 1024;

/// The longest name of a template, in bytes.
const MAX_NAME: usize = 100;

/// The prefix of the panel's own templates.
const HOST_PREFIX: &str = "portico/";

/// A template as a plugin supplies it.
#[derive(Debug, Clone)]
pub struct TemplateSource {
    /// `page.html`, `mail/done.txt`: letters, digits, `-`, `_`, `.` and `/`. Ends in `.html` or `.txt`.
    pub name: String,
    /// The source.
    pub source: String,
    /// JSON objects that it must render with.
    pub samples: Vec<String>,
}

/// A page that passed the markup policy.
#[derive(Debug, Clone)]
pub struct Page {
    /// To be put into the content area as it is.
    pub html: String,
    /// What the policy left out of it, for the provider.
    pub violations: Vec<Violation>,
}

/// A plugin's templates, compiled. Cheap to share, renders from several threads at once.
#[derive(Debug)]
pub struct TemplateSet {
    html: Engine,
    text: Engine,
    names: BTreeSet<String>,
    limits: TemplateLimits,
}

impl TemplateSet {
    /// Checks and compiles a plugin's templates, and renders each with its samples, those in HTML through the markup
    /// policy.
    ///
    /// Blocks for up to a second: for install, not for a request, and to be called from a blocking thread.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with template and line, for the provider.
    pub fn compile(sources: Vec<TemplateSource>, limits: &TemplateLimits) -> Result<Self, TemplateError> {
        let limits = limits.clone();
        let engine_failed = || TemplateError::Engine {
            template: Excerpt::new(""),
        };
        std::thread::Builder::new()
            .name("templates".to_owned())
            .stack_size(COMPILE_STACK)
            .spawn(move || compile_here(&sources, limits))
            .map_err(|_| engine_failed())?
            .join()
            .map_err(|_| engine_failed())?
    }

    /// The names of the templates, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Renders template `name` with the JSON object `data_json`. For one in HTML this is the markup as the plugin wrote
    /// it: what goes to a browser is made by [`TemplateSet::render_page`].
    ///
    /// # Errors
    ///
    /// [`TemplateError::UnknownTemplate`], [`TemplateError::Data`], and what can go wrong while it is rendered.
    pub fn render(
        &self,
        name: &str,
        data_json: &str,
        context: &RenderContext,
    ) -> Result<String, TemplateError> {
        if !self.names.contains(name) {
            return Err(TemplateError::UnknownTemplate {
                name: Excerpt::new(name),
            });
        }
        let data = data::parse(data_json, &self.limits).map_err(|reason| TemplateError::Data {
            template: Excerpt::new(name),
            reason,
        })?;
        let root = filters::with_context(data, context);
        match kind(name) {
            Kind::Html => self.html.render(name, root, &self.limits),
            Kind::Text => Ok(mail::clean(&self.text.render(name, root, &self.limits)?)),
        }
    }

    /// Renders the HTML template `name` and passes it through `policy`.
    ///
    /// # Errors
    ///
    /// As [`TemplateSet::render`], and [`TemplateError::Markup`]. A text template is unknown here.
    pub fn render_page(
        &self,
        name: &str,
        data_json: &str,
        context: &RenderContext,
        policy: &Policy,
    ) -> Result<Page, TemplateError> {
        if kind(name) != Kind::Html {
            return Err(TemplateError::UnknownTemplate {
                name: Excerpt::new(name),
            });
        }
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

    /// Renders the text template `name` as a mail.
    ///
    /// # Errors
    ///
    /// As [`TemplateSet::render`], and where there is no subject. An HTML template is unknown here.
    pub fn render_mail(
        &self,
        name: &str,
        data_json: &str,
        context: &RenderContext,
    ) -> Result<Mail, TemplateError> {
        if kind(name) != Kind::Text {
            return Err(TemplateError::UnknownTemplate {
                name: Excerpt::new(name),
            });
        }
        Mail::split(name, &self.render(name, data_json, context)?)
    }
}

fn kind(name: &str) -> Kind {
    if name.strip_suffix(".txt").is_some() {
        Kind::Text
    } else {
        Kind::Html
    }
}

fn compile_here(sources: &[TemplateSource], limits: TemplateLimits) -> Result<TemplateSet, TemplateError> {
    let names = check(sources, &limits)?;
    let of_kind = |wanted| -> Vec<(String, String)> {
        let wanted = sources.iter().filter(|source| kind(&source.name) == wanted);
        wanted
            .map(|source| (source.name.clone(), source.source.clone()))
            .collect()
    };
    let set = TemplateSet {
        html: Engine::compile(Kind::Html, &of_kind(Kind::Html), &limits)?,
        text: Engine::compile(Kind::Text, &of_kind(Kind::Text), &limits)?,
        names,
        limits,
    };
    let context = RenderContext::default();
    let policy = Policy::new("/services/sample/plugin/");
    for source in sources {
        for (index, sample) in source.samples.iter().enumerate() {
            let rendered = match kind(&source.name) {
                Kind::Html => set.render_page(&source.name, sample, &context, &policy).map(drop),
                Kind::Text => set.render(&source.name, sample, &context).map(drop),
            };
            rendered.map_err(|reason| TemplateError::Sample {
                template: Excerpt::new(&source.name),
                index,
                reason: Box::new(reason),
            })?;
        }
    }
    Ok(set)
}

/// Checks numbers, sizes and names before anything is parsed.
fn check(sources: &[TemplateSource], limits: &TemplateLimits) -> Result<BTreeSet<String>, TemplateError> {
    if sources.len() > limits.templates {
        return Err(TemplateError::TooMany {
            count: sources.len(),
            limit: limits.templates,
        });
    }
    let too_large = |what: &str, size, limit| TemplateError::SourceTooLarge {
        what: Excerpt::new(what),
        size,
        limit,
    };
    let mut names = BTreeSet::new();
    let mut total = 0_usize;
    for source in sources {
        let refused = |reason| TemplateError::Name {
            name: Excerpt::new(&source.name),
            reason,
        };
        check_name(&source.name).map_err(refused)?;
        if source.source.len() > limits.source_bytes {
            return Err(too_large(&source.name, source.source.len(), limits.source_bytes));
        }
        total = total.saturating_add(source.source.len());
        if !names.insert(source.name.clone()) {
            return Err(refused("it is given twice"));
        }
    }
    if total > limits.total_bytes {
        return Err(too_large("all templates", total, limits.total_bytes));
    }
    Ok(names)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("it must have 1 to 100 bytes");
    }
    if name.starts_with(HOST_PREFIX) {
        return Err("`portico/` is the panel's");
    }
    if !matches!(name.rsplit_once('.'), Some((_, "html" | "txt"))) {
        return Err("it must end in `.html` or `.txt`");
    }
    for segment in name.split('/') {
        if segment.is_empty() || segment.starts_with('.') || segment.contains("..") {
            return Err("its parts must not be empty, begin with a dot or contain two");
        }
        if !segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        {
            return Err("it may have letters, digits, `-`, `_` and `.` between slashes");
        }
    }
    Ok(())
}
