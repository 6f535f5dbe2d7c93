//! The pages shown instead of the one that was asked for, with their words.

use serde::Serialize;

use super::Template;
use super::page::Page;
use super::service::{SAMPLE_ID, ServiceNav};
use super::urls::Url;

/// What happened, in words for the customer. Made by the constructors, which are the only place for these words.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorView {
    icon: &'static str,
    title: &'static str,
    text: String,
    retry_after: Option<u64>,
    request_id: Option<String>,
    retry_href: Option<Url>,
    back_href: Option<Url>,
    back_label: &'static str,
}

impl ErrorView {
    /// 403: the product does not include it.
    pub fn access_denied(back: Url) -> Self {
        Self::new(
            "lock",
            "Access Denied",
            "This is not included in your plan. Ask your provider if you would like to use it.",
        )
        .back(back, "Back to the overview")
    }

    /// 403: the request did not come from a page of the panel, whose origin is `panel`. Those who typed another name of
    /// it see this too.
    pub fn refused(panel: &str) -> Self {
        Self::new(
            "ban",
            "Request refused",
            &format!(
                "The request did not come from a page of this panel, which is at {panel}. Open it there and try again."
            ),
        )
        .back(Url::services(), "Back to your services")
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(
            "help-circle",
            "Not found",
            "There is nothing at this address, or it is not yours.",
        )
        .back(Url::services(), "Back to your services")
    }

    /// 423: another operation works on the machine.
    pub fn busy(reason: &str, retry: Url) -> Self {
        Self::new("hourglass", "Busy", reason).retry(retry)
    }

    /// 429; `retry_after` in seconds.
    pub fn too_many_requests(retry_after: u64, retry: Option<Url>) -> Self {
        let mut error = Self::new(
            "hourglass",
            "Too many requests",
            "That was more in a short time than this panel takes. Nothing is wrong with your machine.",
        );
        error.retry_after = Some(retry_after);
        error.retry_href = retry;
        error
    }

    /// 503: all places for this are taken; `retry_after` in seconds.
    pub fn overloaded(retry_after: u64, retry: Url) -> Self {
        let mut error =
            Self::new("hourglass", "Just a moment", "There is more to do than usual.").retry(retry);
        error.retry_after = Some(retry_after);
        error
    }

    /// 502 or 500: the machine's host cannot be reached, or the page failed. The cause is in the provider's log under
    /// the request id.
    pub fn something_went_wrong(request_id: impl Into<String>, retry: Option<Url>) -> Self {
        let mut error = Self::new(
            "alert-triangle",
            "Something went wrong",
            "This page cannot be shown at the moment. Your machine is not affected by this.",
        );
        error.request_id = Some(request_id.into());
        error.retry_href = retry;
        error
    }

    /// Any other status that has no page of its own.
    pub fn other(title: &'static str, text: &str) -> Self {
        Self::new("alert-circle", title, text).back(Url::services(), "Back to your services")
    }

    fn new(icon: &'static str, title: &'static str, text: &str) -> Self {
        Self {
            icon,
            title,
            text: text.to_owned(),
            retry_after: None,
            request_id: None,
            retry_href: None,
            back_href: None,
            back_label: "",
        }
    }

    fn back(mut self, href: Url, label: &'static str) -> Self {
        self.back_href = Some(href);
        self.back_label = label;
        self
    }

    fn retry(mut self, href: Url) -> Self {
        self.retry_href = Some(href);
        self
    }
}

/// Context of `error.html`.
#[derive(Debug, Serialize)]
pub struct ErrorPage {
    /// The layout's part.
    pub page: Page,
    /// The service whose page it was, to keep its sidebar.
    pub service: Option<ServiceNav>,
    /// What happened.
    pub error: ErrorView,
}

/// Context of `error_body.html`: what a live fragment answers. Send it with the header `X-Portico-Fragment: error`.
#[derive(Debug, Serialize)]
pub struct ErrorFragment {
    /// What happened.
    pub error: ErrorView,
}

impl Template for ErrorPage {
    const NAME: &'static str = "error.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.page.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let overview = || Url::plugin(&SAMPLE_ID, "overview");
        let inside = |error| Self {
            page: Page::sample(),
            service: Some(ServiceNav::sample("backups")),
            error,
        };
        let outside = |error| Self {
            page: Page::sample(),
            service: None,
            error,
        };
        let anonymous = |error| Self {
            page: Page::anonymous(super::page::Theme::Auto),
            service: None,
            error,
        };
        vec![
            ("access-denied", inside(ErrorView::access_denied(overview()))),
            (
                "went-wrong",
                inside(ErrorView::something_went_wrong("7c1f0a52e9d3", Some(overview()))),
            ),
            ("overloaded", inside(ErrorView::overloaded(2, overview()))),
            (
                "busy",
                inside(ErrorView::busy(
                    "A backup is running. It must end first.",
                    overview(),
                )),
            ),
            ("not-found", outside(ErrorView::not_found())),
            (
                "too-many",
                anonymous(ErrorView::too_many_requests(1, Some(Url::services()))),
            ),
            ("refused", anonymous(ErrorView::refused("https://panel.example"))),
            (
                "internal",
                outside(ErrorView::something_went_wrong("7c1f0a52e9d3", None)),
            ),
            (
                "other",
                outside(ErrorView::other(
                    "Too large",
                    "What was sent is larger than this page takes.",
                )),
            ),
        ]
    }
}

impl Template for ErrorFragment {
    const NAME: &'static str = "error_body.html";

    fn samples() -> Vec<(&'static str, Self)> {
        let retry = Some(Url::plugin(&SAMPLE_ID, "overview"));
        vec![(
            "went-wrong",
            Self {
                error: ErrorView::something_went_wrong("7c1f0a52e9d3", retry),
            },
        )]
    }
}
