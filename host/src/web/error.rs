//! Everything a page can fail with, and the one place where that becomes a status and words.
//!
//! A handler's error travels in the response's extensions to [`super::guard::around`], which knows the theme and the
//! request's id, and renders it: a whole page, or a part of one where a script asked for a part.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::state::App;
use super::visit::wants_fragment;
use crate::domain::RecordError;
use crate::store::StoreError;
use crate::view::ViewError;
use crate::view::error::{ErrorFragment, ErrorPage, ErrorView};
use crate::view::page::{Page, Theme};
use crate::view::service::ServiceNav;
use crate::view::urls::Url;

/// Why a page failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PageError {
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn {
        /// Where to come back to.
        next: Option<Url>,
    },
    /// Another site caused the request.
    #[error("the request came from another site")]
    CrossOrigin {
        /// The panel's own origin.
        panel: String,
    },
    /// There is no such page, or it is somebody else's.
    #[error("not found")]
    NotFound,
    /// The product does not include it.
    #[error("access denied")]
    Denied {
        /// The overview of the service.
        back: Url,
    },
    /// The service is suspended by the provider.
    #[error("the service is suspended")]
    Suspended,
    /// Another operation holds the VM.
    #[error("busy: {operation}")]
    Busy {
        /// What holds it.
        operation: String,
        /// The page that asked.
        retry: Url,
    },
    /// Too many requests.
    #[error("too many requests")]
    TooMany {
        /// Seconds.
        retry_after: u64,
        /// The page that asked, if it can be asked for again.
        retry: Option<Url>,
    },
    /// No room at the moment.
    #[error("overloaded")]
    Overloaded {
        /// Seconds.
        retry_after: u64,
        /// The page that asked.
        retry: Url,
    },
    /// The form was refused.
    #[error("{0}")]
    Refused(String),
    /// Something went wrong that is not the customer's doing. Logged where it was made.
    #[error("something went wrong")]
    Wrong {
        /// The page that asked, if it can be asked for again.
        retry: Option<Url>,
        /// Whether Proxmox or a plugin is the cause (502), or the panel itself (500).
        behind: bool,
    },
}

impl PageError {
    /// A defect of the panel, which is logged here.
    pub(super) fn internal(what: &str) -> Self {
        tracing::error!(what, "a page failed");
        Self::Wrong {
            retry: None,
            behind: false,
        }
    }

    /// Too many requests of something that is not asked for again by a link.
    pub(super) fn too_many(retry_after: u64) -> Self {
        Self::TooMany {
            retry_after,
            retry: None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn { .. } => StatusCode::UNAUTHORIZED,
            Self::CrossOrigin { .. } | Self::Denied { .. } | Self::Suspended => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Busy { .. } => StatusCode::LOCKED,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Wrong { behind: true, .. } => StatusCode::BAD_GATEWAY,
            Self::Wrong { behind: false, .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooMany { retry_after, .. } | Self::Overloaded { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    fn view(&self, request_id: &str) -> ErrorView {
        match self {
            Self::NotSignedIn { .. } => {
                ErrorView::other("Signed out", "Your session has ended. Sign in again.")
            }
            Self::CrossOrigin { panel } => ErrorView::refused(panel),
            Self::NotFound => ErrorView::not_found(),
            Self::Denied { back } => ErrorView::access_denied(back.clone()),
            Self::Suspended => ErrorView::other(
                "Suspended",
                "This service is suspended. Please contact your provider.",
            ),
            Self::Busy { operation, retry } => {
                ErrorView::busy(&format!("{}.", busy_reason(operation)), retry.clone())
            }
            Self::TooMany { retry_after, retry } => ErrorView::too_many_requests(*retry_after, retry.clone()),
            Self::Overloaded { retry_after, retry } => ErrorView::overloaded(*retry_after, retry.clone()),
            Self::Refused(text) => ErrorView::other("That did not work", text),
            Self::Wrong { retry, .. } => ErrorView::something_went_wrong(request_id, retry.clone()),
        }
    }
}

/// What a dimmed button and an error page say of an operation that holds the VM.
pub(super) fn busy_reason(operation: &str) -> String {
    match operation {
        "backup" => "A backup is running".to_owned(),
        "snapshot" => "A snapshot is being taken".to_owned(),
        "snapshot removal" => "A snapshot is being removed".to_owned(),
        "rollback" => "A rollback is running".to_owned(),
        "restore" => "A restore is running".to_owned(),
        "reinstall" => "A reinstall is running".to_owned(),
        "migrate" => "The VM is being moved".to_owned(),
        "clone" => "The VM is being copied".to_owned(),
        other => format!("An operation is running: {other}"),
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Wrong {
            retry: None,
            behind: false,
        }
    }
}

impl From<RecordError> for PageError {
    fn from(error: RecordError) -> Self {
        if error.is_not_found() {
            return Self::NotFound;
        }
        tracing::error!(error = %crate::plugins::components::chain(&error), "the records failed");
        Self::Wrong {
            retry: None,
            behind: false,
        }
    }
}

impl From<ViewError> for PageError {
    fn from(error: ViewError) -> Self {
        tracing::error!(error = %crate::plugins::components::chain(&error), "a template failed");
        Self::Wrong {
            retry: None,
            behind: false,
        }
    }
}

/// An error and the page around it.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Why.
    pub error: PageError,
    /// The layout of who is signed in.
    pub page: Option<Box<Page>>,
    /// The sidebar of the service.
    pub service: Option<Box<ServiceNav>>,
}

impl<E: Into<PageError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            page: None,
            service: None,
        }
    }
}

/// A failure on its way to [`render`].
#[derive(Clone)]
pub(super) struct Rendering(Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.error.status().into_response();
        response.extensions_mut().insert(Rendering(Arc::new(self)));
        response
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        Failure::from(self).into_response()
    }
}

/// Turns the failure in a response's extensions into a page.
pub(super) fn render(app: &App, request: &HeaderMap, request_id: &str, mut response: Response) -> Response {
    let Some(Rendering(failure)) = response.extensions_mut().remove::<Rendering>() else {
        return response;
    };
    let mut page = page_of(app, request, request_id, &failure);
    page.headers_mut()
        .extend(super::rates::carried(response.headers()));
    page
}

fn page_of(app: &App, request: &HeaderMap, request_id: &str, failure: &Failure) -> Response {
    let fragment = wants_fragment(request);
    if let PageError::NotSignedIn { next } = &failure.error
        && !fragment
    {
        let login = next.as_ref().map_or_else(Url::login, Url::login_then);
        return Redirect::to(login.as_str()).into_response();
    }
    let view = failure.error.view(request_id);
    let html = if fragment {
        app.view.render(&ErrorFragment { error: view })
    } else {
        let theme = Theme::from_cookie(super::site::cookie(request, Theme::COOKIE));
        let page = failure
            .page
            .as_deref()
            .cloned()
            .unwrap_or_else(|| Page::anonymous(theme));
        app.view.render(&ErrorPage {
            page,
            service: failure.service.as_deref().cloned(),
            error: view,
        })
    };
    let mut page = match html {
        Ok(html) => (failure.error.status(), Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the error page failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.\n").into_response()
        }
    };
    if fragment {
        let name = HeaderName::from_static("x-portico-fragment");
        page.headers_mut().insert(name, HeaderValue::from_static("error"));
    }
    if let Some(seconds) = failure.error.retry_after() {
        page.headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    page
}
