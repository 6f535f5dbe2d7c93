//! Templates and the types they are rendered with.

use serde::Serialize;

use crate::Error;
use crate::bindings::exports::portico::plugin::guest;

/// The context of a template, tied to its name and source.
///
/// A view is made from a value of such a type, so that a page cannot name the wrong template and a template's names are
/// the fields of one struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the context of a template",
    label = "`portico_sdk::Template` is not implemented for this type",
    note = "a page is made from a type that names its template, the template's source and samples"
)]
pub trait Template: Serialize + Sized {
    /// `page.html`, `mail/done.txt`: letters, digits, `-`, `_`, `.` and `/`; ends in `.html` or `.txt`.
    const NAME: &'static str;
    /// `include_str!("../templates/page.html")`.
    const SOURCE: &'static str;

    /// Values that the host renders the template with at install. Cover each branch: a template that fails with one of
    /// them is refused there.
    fn samples() -> Vec<Self>;

    /// The value as the host takes it.
    ///
    /// # Errors
    /// `failed` when serde cannot write it as JSON.
    fn data(&self) -> Result<String, Error> {
        serde_json::to_string(self)
            .map_err(|error| Error::failed(format!("template `{}`: {error}", Self::NAME)))
    }
}

/// The templates of a plugin.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    list: Vec<guest::Template>,
}

impl Templates {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the template of a type.
    #[must_use]
    pub fn with<T: Template>(mut self) -> Self {
        // A sample that cannot be written is left out; the host then refuses a template without samples.
        let samples = T::samples()
            .iter()
            .filter_map(|sample| sample.data().ok())
            .collect();
        self.list.push(guest::Template {
            name: T::NAME.into(),
            source: T::SOURCE.into(),
            samples,
        });
        self
    }

    /// Adds a part that other templates include or import. It is checked with them.
    #[must_use]
    pub fn part(mut self, name: &str, source: &str) -> Self {
        self.list.push(guest::Template {
            name: name.into(),
            source: source.into(),
            samples: Vec::new(),
        });
        self
    }

    pub(crate) fn into_guest(self) -> Vec<guest::Template> {
        self.list
    }
}
