//! A plugin's page in the frame of its service, and the live part above it.

use serde::Serialize;

use super::page::{Flash, Page, Tone};
use super::service::{Head, ServiceNav};
use super::{CheckedHtml, Template};

/// Context of `frame.html`.
#[derive(Debug, Serialize)]
pub struct FramePage {
    /// The layout's part.
    pub page: Page,
    /// The plugin's title.
    pub title: String,
    /// Sidebar.
    pub service: ServiceNav,
    /// State, buttons, jobs.
    pub head: Head,
    /// What the plugin rendered.
    pub content: CheckedHtml,
}

/// Context of `frame_head.html`: the answer of [`super::urls::pattern::SERVICE_LIVE`].
#[derive(Debug, Serialize)]
pub struct FrameHeadFragment {
    /// IANA name of the zone that times are shown in.
    pub time_zone: String,
    /// State, buttons, jobs.
    pub head: Head,
}

impl Template for FramePage {
    const NAME: &'static str = "frame.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.page.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let sample = |active: &str, head: Head| Self {
            page: Page::sample(),
            title: "Snapshots".to_owned(),
            service: ServiceNav::sample(active),
            head,
            content: CheckedHtml::assume_checked("<p>What the plugin says.</p>".to_owned()),
        };
        let mut told = sample("snapshots", Head::sample(false).with_sample_job(None));
        let text = "The snapshot is being taken.".to_owned();
        told.page.flash = vec![Flash {
            tone: Tone::Success,
            text,
        }];
        told.page.fast = true;
        vec![
            ("overview", sample("overview", Head::sample(true))),
            (
                "overview-busy",
                sample("overview", Head::sample(true).with_sample_job(Some(0.37))),
            ),
            ("snapshots", sample("snapshots", Head::sample(false))),
            ("snapshots-told", told),
            (
                "snapshots-done",
                sample("snapshots", Head::sample(false).with_sample_outcome(true)),
            ),
            (
                "snapshots-failed",
                sample("snapshots", Head::sample(false).with_sample_outcome(false)),
            ),
        ]
    }
}

impl Template for FrameHeadFragment {
    const NAME: &'static str = "frame_head.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        vec![
            (
                "overview",
                Self {
                    time_zone: "Europe/Berlin".to_owned(),
                    head: Head::sample(true),
                },
            ),
            (
                "busy",
                Self {
                    time_zone: "Europe/Berlin".to_owned(),
                    head: Head::sample(false).with_sample_job(Some(0.37)),
                },
            ),
        ]
    }
}
