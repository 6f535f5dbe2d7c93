//! A service as its pages show it: sidebar, state, buttons, jobs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::page::Tone;
use super::urls::Url;

/// A state in words, with its colour.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// One or two words: "Running".
    pub label: String,
    /// What they mean.
    pub tone: Tone,
    /// What must be known about it: "as of 40 seconds ago".
    pub note: Option<String>,
}

impl Status {
    /// A state without a note.
    pub fn new(label: impl Into<String>, tone: Tone) -> Self {
        Self {
            label: label.into(),
            tone,
            note: None,
        }
    }

    /// Adds a note.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// What a confirmation asks.
#[derive(Debug, Clone, Serialize)]
pub struct Confirm {
    /// The question.
    pub title: String,
    /// What will be lost.
    pub message: String,
}

/// A button or an entry of the sidebar.
///
/// It leads somewhere (`href`) or does something (`post_action`). With a `disabled_reason` it stays visible and does
/// neither.
#[derive(Debug, Clone, Serialize)]
pub struct Action {
    /// The words on it.
    pub label: String,
    /// A name of `web/icons.json`.
    pub icon: Option<String>,
    /// Where it leads.
    pub href: Option<Url>,
    /// What it posts to.
    pub post_action: Option<Url>,
    /// Hidden values of the form.
    pub fields: BTreeMap<String, String>,
    /// Why it is not available: a sentence for the customer.
    pub disabled_reason: Option<String>,
    /// It is the page that is shown.
    pub active: bool,
    /// The colour of the button.
    pub tone: Tone,
    /// It must be confirmed first.
    pub confirm: Option<Confirm>,
}

impl Action {
    /// A way to another page.
    pub fn link(label: impl Into<String>, icon: impl Into<String>, href: Url) -> Self {
        Self {
            href: Some(href),
            ..Self::bare(label.into(), icon.into(), Tone::Muted)
        }
    }

    /// An action that takes effect at once.
    pub fn post(label: impl Into<String>, icon: impl Into<String>, tone: Tone, action: Url) -> Self {
        Self {
            post_action: Some(action),
            ..Self::bare(label.into(), icon.into(), tone)
        }
    }

    /// Asks before it acts.
    #[must_use]
    pub fn confirmed(mut self, title: impl Into<String>, message: impl Into<String>) -> Self {
        self.confirm = Some(Confirm {
            title: title.into(),
            message: message.into(),
        });
        self
    }

    /// Makes it dimmed when there is a reason to.
    #[must_use]
    pub fn dimmed(mut self, reason: Option<String>) -> Self {
        self.disabled_reason = reason;
        self
    }

    /// Marks it as the page that is shown.
    #[must_use]
    pub fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }

    fn bare(label: String, icon: String, tone: Tone) -> Self {
        Self {
            label,
            icon: (!icon.is_empty()).then_some(icon),
            href: None,
            post_action: None,
            fields: BTreeMap::new(),
            disabled_reason: None,
            active: false,
            tone,
            confirm: None,
        }
    }
}

/// The sidebar of a service, on every page of it.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceNav {
    /// The service's name.
    pub name: String,
    /// Back to the list.
    pub list_href: Url,
    /// One entry a plugin, then the activity log.
    pub sidebar: Vec<Action>,
}

/// The job that works on the service now.
#[derive(Debug, Clone, Serialize)]
pub struct RunningJob {
    /// What it does: "Taking a snapshot".
    pub title: String,
    /// The step it is in.
    pub step: Option<String>,
    /// How far it is, 0 to 1, where that is known.
    pub fraction: Option<f64>,
    /// Epoch seconds.
    pub started_at: i64,
    /// What the customer should know; none: that it goes on without him.
    pub note: Option<String>,
}

/// How the last job ended.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What it did.
    pub title: String,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// A plain sentence: what was done, or why it was not and what to do.
    pub text: String,
    /// Epoch seconds.
    pub finished_at: i64,
}

/// What stands above a plugin's page and changes while one looks at it.
#[derive(Debug, Clone, Serialize)]
pub struct Head {
    /// The service's name.
    pub name: String,
    /// Its main addresses.
    pub addresses: Vec<String>,
    /// The product's name.
    pub product: String,
    /// The machine's state.
    pub status: Status,
    /// The action bar; only on the overview.
    pub actions: Vec<Action>,
    /// The management buttons; only on the overview.
    pub management: Vec<Action>,
    /// The job under way.
    pub job: Option<RunningJob>,
    /// The end of the last one, while it is news.
    pub outcome: Option<Outcome>,
    /// Where this part is asked for again.
    pub live_href: Url,
}

/// The id of the service in samples.
pub(super) const SAMPLE_ID: &str = "0192f0c1-7a3e-7c11-8f00-000000000001";

impl ServiceNav {
    pub(super) fn sample(active: &str) -> Self {
        let plugin = |label: &str, icon: &str, id: &str| {
            Action::link(label, icon, Url::plugin(&SAMPLE_ID, id)).active(id == active)
        };
        let not_included = || Some("Not included in your plan".to_owned());
        Self {
            name: "web-1.example.net".to_owned(),
            list_href: Url::services(),
            sidebar: vec![
                plugin("Information", "layout-dashboard", "overview"),
                plugin("Charts", "chart-line", "charts"),
                plugin("Reinstall", "refresh-alert", "reinstall"),
                plugin("Snapshots", "camera", "snapshots"),
                plugin("Backups", "archive", "backups").dimmed(not_included()),
                plugin("Reset password", "key", "reset-password"),
                plugin("revDNS", "world-www", "rdns"),
                plugin("ISO", "disc", "iso").dimmed(not_included()),
                plugin("Firewall", "shield-lock", "firewall"),
                Action::link("Activity", "activity", Url::activity(&SAMPLE_ID, None))
                    .active(active == "activity"),
            ],
        }
    }
}

impl Head {
    pub(super) fn sample(overview: bool) -> Self {
        let plugin = |path: &str| Url::plugin_path(&SAMPLE_ID, "overview", path);
        let mut head = Self {
            name: "web-1.example.net".to_owned(),
            addresses: vec!["203.0.113.10".to_owned(), "2001:db8:10::10".to_owned()],
            product: "Pro 4".to_owned(),
            status: Status::new("Running", Tone::Success),
            actions: Vec::new(),
            management: Vec::new(),
            job: None,
            outcome: None,
            live_href: Url::service_live(&SAMPLE_ID, if overview { "overview" } else { "snapshots" }),
        };
        if overview {
            let warning = "The machine is switched off at once. What is not written to disk is lost.";
            head.actions = vec![
                Action::post("Start", "player-play", Tone::Success, plugin("start"))
                    .dimmed(Some("The VM is running".to_owned())),
                Action::post("Stop", "player-stop", Tone::Muted, plugin("stop")),
                Action::post("Reboot", "refresh", Tone::Muted, plugin("reboot")),
                Action::post("Reset", "bolt", Tone::Danger, plugin("reset"))
                    .confirmed("Reset web-1.example.net?", warning),
                Action::link("noVNC", "terminal-2", Url::plugin(&SAMPLE_ID, "console")),
                Action::link("Charts", "chart-line", Url::plugin(&SAMPLE_ID, "charts")),
            ];
            let sidebar = ServiceNav::sample("overview").sidebar;
            head.management = sidebar.into_iter().skip(2).take(7).collect();
        }
        head
    }

    pub(super) fn with_sample_job(mut self, fraction: Option<f64>) -> Self {
        self.job = Some(RunningJob {
            title: "Taking a snapshot".to_owned(),
            step: fraction.map(|_| "Saving the memory".to_owned()),
            fraction,
            started_at: 1_764_000_000,
            note: None,
        });
        self.status = self.status.with_note("A snapshot is being taken");
        self
    }

    pub(super) fn with_sample_outcome(mut self, succeeded: bool) -> Self {
        let text = if succeeded {
            "The snapshot before-upgrade was taken."
        } else {
            "The storage is full: nothing was changed. Remove a snapshot and try again, or ask your provider."
        };
        self.outcome = Some(Outcome {
            title: "Taking a snapshot".to_owned(),
            succeeded,
            text: text.to_owned(),
            finished_at: 1_764_000_042,
        });
        self
    }
}
