//! The template engine, set up for sources that are not trusted.

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::error::{Excerpt, TemplateError};
use super::filters;
use super::limits::TemplateLimits;
use super::syntax::{Names, prepare};

/// The name under which templates import the panel's kit.
pub(super) const KIT_NAME: &str = "portico/ui.html";

/// The kit itself.
const KIT: &str = include_str!("../../../templates/ui.html");

/// The deepest nesting whatever the limits say; see [`TemplateLimits::recursion`].
const MAX_RECURSION: usize = 160;

/// What a set of templates is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Pages and fragments: everything that is printed is escaped.
    Html,
    /// Mails: nothing is escaped.
    Text,
}

/// Templates of one kind, compiled.
#[derive(Debug)]
pub(super) struct Engine {
    environment: Environment<'static>,
}

impl Engine {
    /// Compiles templates. They may name each other, and those of kind HTML the kit.
    ///
    /// Recurses as deep as the sources nest: only for a thread with a large stack.
    pub(super) fn compile(
        kind: Kind,
        sources: &[(String, String)],
        limits: &TemplateLimits,
    ) -> Result<Self, TemplateError> {
        let mut environment = Environment::empty();
        let registered = filters::all(&mut environment);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(false);
        environment.set_fuel(Some(limits.fuel));
        environment.set_recursion_limit(limits.recursion.min(MAX_RECURSION));
        match kind {
            Kind::Html => {
                environment.set_auto_escape_callback(|_| AutoEscape::Html);
                environment.set_formatter(write_html);
            }
            Kind::Text => {
                environment.set_auto_escape_callback(|_| AutoEscape::None);
                environment.set_formatter(write_text);
            }
        }
        let mut templates: BTreeSet<String> = sources.iter().map(|(name, _)| name.clone()).collect();
        if kind == Kind::Html {
            templates.insert(KIT_NAME.to_owned());
        }
        let names = Names {
            filters: &registered.filters,
            tests: &registered.tests,
            templates: &templates,
        };
        let kit = (kind == Kind::Html).then_some((KIT_NAME, KIT));
        for (name, source) in kit
            .into_iter()
            .chain(sources.iter().map(|(name, source)| (&**name, &**source)))
        {
            let guarded = prepare(name, source, &names)?;
            environment
                .add_template_owned(name.to_owned(), guarded)
                .map_err(|error| TemplateError::Syntax {
                    template: Excerpt::new(name),
                    line: error.line().unwrap_or(0),
                    message: Excerpt::new(&error.to_string()),
                })?;
        }
        Ok(Self { environment })
    }

    /// Renders one template.
    pub(super) fn render(
        &self,
        name: &str,
        root: Value,
        limits: &TemplateLimits,
    ) -> Result<String, TemplateError> {
        let template = self
            .environment
            .get_template(name)
            .map_err(|_| TemplateError::UnknownTemplate {
                name: Excerpt::new(name),
            })?;
        let mut writer = CappedWriter {
            out: Vec::new(),
            limit: limits.output_bytes,
            exceeded: false,
        };
        // The engine is not known to panic on what `prepare` lets through. If it does, one page fails and not the panel.
        let rendered = catch_unwind(AssertUnwindSafe(|| {
            template.render_captured_to(root, &mut writer).map(drop)
        }));
        match rendered {
            Ok(Ok(())) => String::from_utf8(writer.out).map_err(|_| TemplateError::Engine {
                template: Excerpt::new(name),
            }),
            Ok(Err(_)) if writer.exceeded => Err(TemplateError::OutputTooLarge {
                template: Excerpt::new(name),
                limit: limits.output_bytes,
            }),
            Ok(Err(error)) => Err(explain(name, &error, limits)),
            Err(_) => Err(TemplateError::Engine {
                template: Excerpt::new(name),
            }),
        }
    }
}

/// Takes output up to a limit.
struct CappedWriter {
    out: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl io::Write for CappedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len().saturating_add(bytes.len()) > self.limit {
            self.exceeded = true;
            return Err(io::Error::other("too much output"));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints a value into HTML.
fn write_html(out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if value.is_safe() => Ok(out.write_str(text)?),
        Some(text) => {
            let mut rest = text;
            while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
                let (before, from) = rest.split_at(at);
                out.write_str(before)?;
                out.write_str(match from.as_bytes().first() {
                    Some(b'<') => "&lt;",
                    Some(b'>') => "&gt;",
                    Some(b'&') => "&amp;",
                    Some(b'"') => "&quot;",
                    _ => "&#39;",
                })?;
                rest = from.get(1..).unwrap_or_default();
            }
            Ok(out.write_str(rest)?)
        }
        None => write_scalar(out, value),
    }
}

/// Prints a value into plain text.
fn write_text(out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => Ok(out.write_str(text)?),
        None => write_scalar(out, value),
    }
}

/// Prints what is not text: a number or truth value as such, nothing for `none`. Lists and the like cannot be printed.
fn write_scalar(out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(()),
        ValueKind::Bool | ValueKind::Number => Ok(out.write_fmt(format_args!("{value}"))?),
        kind => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a {kind} cannot be printed: loop over it, or use `join` or `tojson`"),
        )),
    }
}

/// What an error of the engine means.
fn explain(name: &str, error: &Error, limits: &TemplateLimits) -> TemplateError {
    let template = Excerpt::new(name);
    // An error in an included template or a macro is the source of the one in what includes it.
    let mut innermost = error;
    let mut depth = 0;
    loop {
        if innermost.kind() == ErrorKind::OutOfFuel {
            return TemplateError::Fuel {
                template,
                limit: limits.fuel,
            };
        }
        if innermost.detail() == Some("recursion limit exceeded") {
            return TemplateError::Recursion { template };
        }
        let source = std::error::Error::source(innermost).and_then(|source| source.downcast_ref::<Error>());
        match source {
            Some(source) if depth < 200 => innermost = source,
            _ => break,
        }
        depth += 1;
    }
    if innermost.kind() == ErrorKind::TemplateNotFound {
        return TemplateError::UnknownTemplate {
            name: Excerpt::new(innermost.detail().unwrap_or_default()),
        };
    }
    let message = match innermost.detail() {
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    TemplateError::Render {
        template: Excerpt::new(innermost.name().unwrap_or(name)),
        line: innermost.line().unwrap_or(0),
        message: Excerpt::new(&message),
    }
}
