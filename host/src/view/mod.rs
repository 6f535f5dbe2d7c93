//! The panel's own pages: templates, the typed contexts they are rendered with, and every address.
//!
//! One page is one file here (its context, a struct that implements [`Template`] with samples) and one file in
//! `templates/`. [`View`] holds the environment, built once: all templates embedded, undefined variables are errors,
//! HTML is escaped by default and no template says otherwise: the one thing inserted as it is, a plugin's content, comes
//! as [`CheckedHtml`], which only the markup policy's output may become. The words of error pages are in [`error`].
//!
//! Adding a page: the template, the context with samples, one line in [`templates`] and one in
//! [`View::for_each_sample`]. The tests below then render it with every sample.
//!
//! Not here: handlers, sessions, the templates of plugins (`portico_runtime` renders those, with the same UI kit).

pub mod activity;
pub mod error;
pub mod frame;
pub mod login;
pub mod mail;
pub mod page;
pub mod profile;
pub mod service;
pub mod services;
mod templates;
pub mod urls;

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use portico_runtime::template::{RenderContext, filters};
use serde::{Serialize, Serializer};

use crate::assets::Assets;

/// The source of the UI kit, which plugins' templates import as `portico/ui.html`.
pub const UI_KIT: &str = templates::UI_KIT;

/// The `Content-Security-Policy` that all pages are made for: no inline script or style, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
     base-uri 'none'";

/// A context type: what one template is rendered with.
pub trait Template: Serialize + Sized {
    /// The template's name, the path under `templates/`.
    const NAME: &'static str;

    /// IANA name of the time zone that the filter `datetime` shows times in; none where there are no times.
    fn time_zone(&self) -> Option<&str> {
        None
    }

    /// Named examples, between them every branch of the template. They are rendered by tests and at start.
    fn samples() -> Vec<(&'static str, Self)>;
}

/// A template failed, which is a defect of the panel: the page is a 500.
#[derive(Debug, thiserror::Error)]
#[error("template `{template}` could not be rendered")]
pub struct ViewError {
    /// The template's name.
    pub template: &'static str,
    /// What minijinja says.
    #[source]
    pub source: Error,
}

/// The template environment could not be built, or a sample not rendered.
#[derive(Debug, thiserror::Error)]
#[error("the page templates are damaged")]
pub struct BuildError(#[from] Error);

/// Markup that went through the markup policy and may be inserted as it is.
#[derive(Debug, Clone)]
pub struct CheckedHtml(Value);

impl CheckedHtml {
    /// Declares `html` as checked. Only for the output of the markup policy and of this module's own templates.
    pub fn assume_checked(html: String) -> Self {
        Self(Value::from_safe_string(html))
    }
}

impl Serialize for CheckedHtml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer) // minijinja keeps the mark "safe" when it serialises its own values
    }
}

/// What a template sees: the context, and behind it the time zone for the filters.
fn data<T: Template>(context: &T) -> Value {
    let render = RenderContext::new(context.time_zone().unwrap_or("UTC"), "en");
    filters::with_context(Value::from(Serde(context)), &render)
}

/// All templates of the panel.
pub struct View {
    environment: Environment<'static>,
}

impl View {
    /// Parses all templates.
    ///
    /// They have minijinja's own filters, and those for times and sizes that plugins' templates get too.
    ///
    /// # Errors
    /// A template does not parse.
    pub fn new(assets: Arc<Assets>) -> Result<Self, BuildError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
            Some((_, "html")) => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
        filters::register(&mut environment);
        environment.add_global("urls", Value::from(Serde(urls::Fixed::new())));
        environment.add_function("asset", move |name: String| {
            // Hashed names need no escaping; without the mark every slash would become an entity.
            assets
                .url(&name)
                .map(|url| Value::from_safe_string(url.to_string()))
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("there is no asset `{name}`")))
        });
        environment.add_template("portico/ui.html", UI_KIT)?;
        for (name, source) in templates::PAGES {
            environment.add_template(name, source)?;
        }
        Ok(Self { environment })
    }

    /// Renders a page or fragment.
    ///
    /// # Errors
    /// The template failed: a defect of the panel.
    pub fn render<T: Template>(&self, context: &T) -> Result<String, ViewError> {
        let failed = |source| ViewError {
            template: T::NAME,
            source,
        };
        let template = self.environment.get_template(T::NAME).map_err(failed)?;
        template.render(data(context)).map_err(failed)
    }

    /// Renders every template with every sample, so that a damaged one is found at start and not by a customer.
    ///
    /// # Errors
    /// The first template that fails.
    pub fn check(&self) -> Result<(), ViewError> {
        self.for_each_sample(|_, _, _| ())
    }

    /// Renders every sample and calls `each` with the template's name, the sample's name and the text.
    ///
    /// # Errors
    /// The first template that fails.
    pub fn for_each_sample(&self, mut each: impl FnMut(&str, &str, &str)) -> Result<(), ViewError> {
        self.samples_of::<login::LoginPage>(&mut each)?;
        self.samples_of::<services::ServicesPage>(&mut each)?;
        self.samples_of::<services::ServicesFragment>(&mut each)?;
        self.samples_of::<frame::FramePage>(&mut each)?;
        self.samples_of::<frame::FrameHeadFragment>(&mut each)?;
        self.samples_of::<error::ErrorPage>(&mut each)?;
        self.samples_of::<error::ErrorFragment>(&mut each)?;
        self.samples_of::<activity::ActivityPage>(&mut each)?;
        self.samples_of::<profile::ProfilePage>(&mut each)?;
        self.samples_of::<mail::NewPassword>(&mut each)?;
        self.samples_of::<mail::JobFailed>(&mut each)?;
        self.samples_of::<mail::PasswordChanged>(&mut each)
    }

    fn samples_of<T: Template>(&self, each: &mut impl FnMut(&str, &str, &str)) -> Result<(), ViewError> {
        for (name, sample) in T::samples() {
            each(T::NAME, name, &self.render(&sample)?);
        }
        Ok(())
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
