//! Writes every page of the panel with its samples as HTML files, to be looked at and checked in a browser.
//!
//! `cargo run -p portico-host --example render_samples -- OUT_DIR`, then serve `OUT_DIR` by any static file server: the
//! pages ask for `/assets/…`, which is written there too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use portico_host::assets::Assets;
use portico_host::view::frame::FramePage;
use portico_host::view::{CheckedHtml, Template as _, View};
use portico_runtime::markup::Policy;
use portico_runtime::template::{RenderContext, TemplateLimits, TemplateSet, TemplateSource};

/// Pages as plugins would render them, which show the kit at work.
const CONTENTS: [(&str, &str); 3] = [
    ("overview", include_str!("overview.html")),
    ("snapshots", include_str!("snapshots.html")),
    ("kit", include_str!("kit.html")),
];

fn main() -> Result<()> {
    let out: PathBuf = std::env::args_os()
        .nth(1)
        .context("usage: render_samples OUT_DIR")?
        .into();
    let view = View::new(Arc::new(Assets::load()?))?;
    let mut pages = Vec::new();
    view.for_each_sample(|template, sample, text| {
        let (stem, extension) = template.rsplit_once('.').unwrap_or((template, "html"));
        pages.push((
            format!("{}--{sample}.{extension}", stem.replace('/', "-")),
            text.to_owned(),
        ));
    })?;
    let contents = contents()?;
    for (sample, mut page) in FramePage::samples() {
        let name = if sample.starts_with("overview") {
            "overview"
        } else {
            "snapshots"
        };
        page.content = CheckedHtml::assume_checked(contents.get(name).cloned().unwrap_or_default());
        pages.push((format!("plugin--{sample}.html"), view.render(&page)?));
        if sample == "snapshots" {
            page.content = CheckedHtml::assume_checked(contents.get("kit").cloned().unwrap_or_default());
            pages.push(("plugin--kit.html".to_owned(), view.render(&page)?));
        }
    }
    std::fs::create_dir_all(&out)?;
    for (name, text) in &pages {
        std::fs::write(out.join(name), text).with_context(|| format!("writing `{name}`"))?;
    }
    copy_assets(&out)
}

/// Renders them the way the runtime does for a plugin, markup policy included.
fn contents() -> Result<BTreeMap<&'static str, String>> {
    let render = |(name, source): (&'static str, &str)| -> Result<(&'static str, String)> {
        let source = TemplateSource {
            name: "page.html".to_owned(),
            source: source.to_owned(),
            samples: vec!["{}".to_owned()],
        };
        let templates = TemplateSet::compile(vec![source], &TemplateLimits::default())?;
        let context = RenderContext::new("Europe/Berlin", "en");
        let page = templates.render_page("page.html", "{}", &context, &Policy::new("/services/1/plugin/"))?;
        anyhow::ensure!(
            page.violations.is_empty(),
            "{name}: the markup policy left out {:?}",
            page.violations
        );
        Ok((name, page.html))
    };
    CONTENTS.into_iter().map(render).collect()
}

fn copy_assets(out: &Path) -> Result<()> {
    let target = out.join("assets");
    std::fs::create_dir_all(&target)?;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../web/dist"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), target.join(entry.file_name()))?;
    }
    Ok(())
}
