//! Making a [`Response`].

use serde::Serialize;

use crate::bindings::exports::portico::plugin::guest::{Flash, PageResponse, Redirection, View};
use crate::{Error, FlashTone, Response, Template};

impl Response {
    /// A page inside the panel's layout.
    ///
    /// # Errors
    /// `failed` when the data cannot be written as JSON.
    pub fn page(data: &impl Template) -> Result<Self, Error> {
        Ok(Self::Page(view(data)?))
    }

    /// A part of a page, for a live region.
    ///
    /// # Errors
    /// As [`Response::page`].
    pub fn fragment(data: &impl Template) -> Result<Self, Error> {
        Ok(Self::Fragment(view(data)?))
    }

    /// The answer to a POST that was accepted: the browser goes to a path under the plugin.
    pub fn redirect(path: &str) -> Self {
        Self::Redirect(Redirection {
            path: path.into(),
            flash: None,
        })
    }

    /// A JSON document.
    ///
    /// # Errors
    /// `failed` when the data cannot be written as JSON.
    pub fn json(data: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_string(data)
            .map(Self::Json)
            .map_err(|error| Error::failed(format!("json: {error}")))
    }

    /// Sends a page or fragment with this status: 200, 404, 409, 422 or 429.
    #[must_use]
    pub fn with_status(mut self, code: u16) -> Self {
        if let Self::Page(page) | Self::Fragment(page) = &mut self {
            page.status = code;
        }
        self
    }

    /// Gives a page its own title in the browser.
    #[must_use]
    pub fn with_title(mut self, text: &str) -> Self {
        if let Self::Page(page) = &mut self {
            page.title = Some(text.into());
        }
        self
    }

    /// Lets the page that is redirected to show a message once.
    #[must_use]
    pub fn with_flash(mut self, tone: FlashTone, text: impl Into<String>) -> Self {
        if let Self::Redirect(redirection) = &mut self {
            redirection.flash = Some(Flash {
                tone,
                text: text.into(),
            });
        }
        self
    }
}

fn view<T: Template>(data: &T) -> Result<PageResponse, Error> {
    let view = View {
        template: T::NAME.into(),
        data: data.data()?,
    };
    Ok(PageResponse {
        view,
        title: None,
        status: 200,
    })
}
