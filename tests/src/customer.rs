//! What a customer does on the pages of a service, and how he learns what came of it.

use anyhow::{Context as _, bail};

use crate::browser::Browser;
use crate::page::Page;
use crate::wait::until;
use crate::world::at;

/// A line of a service's activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was done and what was said about it, such as `Snapshots: take The snapshot was taken.`
    pub what: String,
    /// `Requested`, `Done`, `Failed` or `Refused`.
    pub outcome: String,
}

impl Browser {
    /// Presses a button of a service's page. Its work begins; the page says so.
    ///
    /// # Errors
    /// When the panel refuses.
    pub async fn press(&self, vmid: u32, action: &str, form: &[(&str, &str)]) -> anyhow::Result<Page> {
        let page = self.post(&at(vmid, action), form).await?;
        if page.status != 303 {
            bail!("`{action}` was refused ({}): {}", page.status, page.text());
        }
        let to = page.location().context("a redirect leads nowhere")?.to_owned();
        self.get(&to).await
    }

    /// Waits until no job of the customer's holds the service, and returns what its page says of the last one.
    ///
    /// # Errors
    /// When it does not end, or the page fails.
    pub async fn outcome(&self, vmid: u32) -> anyhow::Result<String> {
        until("the job has ended", async || {
            let head = self.fragment(&at(vmid, "-/live?plugin=overview")).await?;
            if head.status != 200 {
                bail!("the head failed ({}): {}", head.status, head.text());
            }
            Ok((!head.body.contains("data-portico-fast")).then(|| head.text()))
        })
        .await
    }

    /// Presses a button and waits until its work has ended; returns what the page then says of it.
    ///
    /// # Errors
    /// When the panel refuses, or the work does not end.
    pub async fn work(&self, vmid: u32, action: &str, form: &[(&str, &str)]) -> anyhow::Result<String> {
        self.press(vmid, action, form).await?;
        self.outcome(vmid).await
    }

    /// The whole activity of a service, the newest first.
    ///
    /// # Errors
    /// When a page of it fails.
    pub async fn activity(&self, vmid: u32) -> anyhow::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut path = at(vmid, "-/activity");
        loop {
            let page = self.get(&path).await?;
            if page.status != 200 {
                bail!("the activity failed ({}): {}", page.status, page.text());
            }
            lines.extend(rows(&page).into_iter().map(|cells| Line {
                what: cells.get(3).cloned().unwrap_or_default(),
                outcome: cells.get(4).cloned().unwrap_or_default(),
            }));
            let older = page
                .attributes("href=\"")
                .find(|href| href.contains("/-/activity?before="));
            match older {
                Some(older) => path = older,
                None => return Ok(lines),
            }
        }
    }
}

/// The cells of each row of the page's tables, as text.
pub fn rows(page: &Page) -> Vec<Vec<String>> {
    let part = |body: &str| {
        Page {
            body: body.to_owned(),
            ..page.clone()
        }
        .text()
    };
    let rows = page
        .body
        .split("<tr")
        .skip(1)
        .filter_map(|row| row.split("</tr>").next());
    rows.map(|row| {
        let cells = row
            .split("<td")
            .skip(1)
            .filter_map(|cell| cell.split("</td>").next());
        cells.map(|cell| part(&format!("<td{cell}"))).collect::<Vec<_>>()
    })
    .filter(|cells| !cells.is_empty())
    .collect()
}
