//! The document, taken apart as far as these tests need it: blocks of code, rows of tables, code within the text.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::collections::BTreeSet;

const README: &str = include_str!("../../README.md");

/// A fenced block of code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The heading it stands under, without `#`.
    pub(crate) section: &'static str,
    /// The word behind the fence; empty if there is none.
    pub(crate) language: &'static str,
    /// Its lines.
    pub(crate) text: String,
}

/// All lines with the heading they stand under and whether a fence encloses them; headings and fences are left out,
/// but a fence that opens is given with its language.
enum Line {
    Prose(&'static str, &'static str),
    Opens(&'static str, &'static str),
    Code(&'static str),
}

fn lines() -> impl Iterator<Item = Line> {
    let (mut section, mut inside) = ("", false);
    README.lines().filter_map(move |line| {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            return inside.then_some(Line::Opens(section, language));
        }
        if inside {
            return Some(Line::Code(line));
        }
        if line.starts_with('#') {
            section = line.trim_start_matches('#').trim();
            return None;
        }
        Some(Line::Prose(section, line))
    })
}

/// All blocks in their order.
pub(crate) fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in lines() {
        match line {
            Line::Opens(section, language) => blocks.push(Block {
                section,
                language,
                text: String::new(),
            }),
            Line::Code(code) => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(code);
                block.text.push('\n');
            }
            Line::Prose(..) => {}
        }
    }
    blocks
}

/// The blocks of a section in a language.
pub(crate) fn blocks_of(section: &str, language: &str) -> Vec<Block> {
    let mut found = blocks();
    found.retain(|block| block.section == section && block.language == language);
    assert!(!found.is_empty(), "no `{language}` under `{section}`");
    found
}

/// The rows of the tables in a section, without those above and of the line; a cell is what stands between two bars.
pub(crate) fn rows(section: &str) -> Vec<Vec<&'static str>> {
    let mut rows: Vec<Vec<&'static str>> = Vec::new();
    let mut in_head = true;
    for line in prose(section) {
        let Some(row) = line.strip_prefix('|') else {
            in_head = true;
            continue;
        };
        if in_head {
            in_head = !row.starts_with("---");
            continue;
        }
        rows.push(row.trim_end_matches('|').split(" | ").map(str::trim).collect());
    }
    assert!(!rows.is_empty(), "no table under `{section}`");
    rows
}

/// The lines of a section that are no code.
pub(crate) fn prose(section: &str) -> impl Iterator<Item = &'static str> {
    lines().filter_map(move |line| match line {
        Line::Prose(of, text) if of == section => Some(text),
        _ => None,
    })
}

/// All headings that something stands under.
pub(crate) fn sections() -> BTreeSet<&'static str> {
    let of = |line| match line {
        Line::Prose(section, _) | Line::Opens(section, _) => Some(section),
        Line::Code(_) => None,
    };
    lines().filter_map(of).collect()
}

/// What stands between backticks.
pub(crate) fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
