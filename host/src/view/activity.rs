//! The activity log of a service.

use serde::Serialize;

use super::Template;
use super::page::{Page, Tone};
use super::service::{SAMPLE_ID, ServiceNav, Status};
use super::urls::Url;

/// One thing that was done.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Epoch seconds.
    pub at: i64,
    /// A name, or "The panel" for what it did by itself.
    pub who: String,
    /// The address it came from; none for the panel.
    pub from: Option<String>,
    /// What was done: "Snapshot removed".
    pub what: String,
    /// To what exactly.
    pub detail: Option<String>,
    /// How it ended.
    pub outcome: Status,
}

/// Context of `activity.html`.
#[derive(Debug, Serialize)]
pub struct ActivityPage {
    /// The layout's part.
    pub page: Page,
    /// Sidebar.
    pub service: ServiceNav,
    /// Newest first.
    pub entries: Vec<Entry>,
    /// The page of newer entries.
    pub newer_href: Option<Url>,
    /// The page of older entries.
    pub older_href: Option<Url>,
}

impl Template for ActivityPage {
    const NAME: &'static str = "activity.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.page.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let entry = |at, who: &str, from: Option<&str>, what: &str, detail: Option<&str>, outcome| Entry {
            at,
            who: who.to_owned(),
            from: from.map(str::to_owned),
            what: what.to_owned(),
            detail: detail.map(str::to_owned),
            outcome,
        };
        let done = || Status::new("Done", Tone::Success);
        let failed = Status::new("Failed", Tone::Danger).with_note("The storage is full");
        let ada = "Ada Lindqvist";
        let entries = vec![
            entry(
                1_764_000_600,
                ada,
                Some("198.51.100.7"),
                "Snapshot requested",
                Some("before-upgrade"),
                done(),
            ),
            entry(
                1_764_000_300,
                "The panel",
                None,
                "Snapshot removed",
                Some("Its lifetime was over"),
                done(),
            ),
            entry(
                1_763_990_000,
                ada,
                Some("2001:db8::7"),
                "Backup requested",
                None,
                failed,
            ),
            entry(
                1_763_900_000,
                ada,
                Some("2001:db8::7"),
                "Console opened",
                None,
                Status::new("Refused", Tone::Warning),
            ),
        ];
        let page = |entries, newer_href, older_href| Self {
            page: Page::sample(),
            service: ServiceNav::sample("activity"),
            entries,
            newer_href,
            older_href,
        };
        let older = Url::activity(&SAMPLE_ID, Some("1763900000-4"));
        vec![
            (
                "several",
                page(entries, Some(Url::activity(&SAMPLE_ID, None)), Some(older)),
            ),
            ("empty", page(Vec::new(), None, None)),
        ]
    }
}
