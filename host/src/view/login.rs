//! The sign-in page.

use serde::Serialize;

use super::Template;
use super::page::{Page, Theme};
use super::urls::Url;

/// Context of `login.html`.
#[derive(Debug, Serialize)]
pub struct LoginPage {
    /// The layout's part.
    pub page: Page,
    /// Why the last attempt failed. One sentence for every cause: it must not tell which accounts exist.
    pub error: Option<String>,
    /// What was typed, so that it need not be typed again.
    pub email: String,
    /// Where to go afterwards.
    pub next: Option<Url>,
}

impl Template for LoginPage {
    const NAME: &'static str = "login.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.page.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let page = || Page::anonymous(Theme::Auto);
        vec![
            (
                "empty",
                Self {
                    page: page(),
                    error: None,
                    email: String::new(),
                    next: None,
                },
            ),
            (
                "refused",
                Self {
                    page: page(),
                    error: Some("E-mail address or password is wrong.".to_owned()),
                    email: "ada@example.net".to_owned(),
                    next: Some(Url::service(&super::service::SAMPLE_ID)),
                },
            ),
        ]
    }
}
