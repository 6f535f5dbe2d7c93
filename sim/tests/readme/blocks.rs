//! Which blocks of code the document has, and who runs each.

use crate::markdown::{blocks, prose, sections};

/// The section, the language, and who runs it. Whoever adds a block to the document adds it here and to a test.
const RUN_BY: &[(&str, &str, &str)] = &[
    ("pve-sim", "sh", "clients"),
    ("pve-sim", "text", "clients"),
    ("With the clients you have", "sh", "clients"),
    (
        "With the clients you have",
        "python",
        "sim/tests/proxmoxer/areas/readme.py",
    ),
    (
        "With the clients you have",
        "hcl",
        "nobody: scenario checks its names, the document says so",
    ),
    (
        "With the clients you have",
        "yaml",
        "nobody: scenario checks its names, the document says how it was run",
    ),
    ("Making things go wrong", "sh", "ctl"),
    ("In process", "rust", "a doctest of the library"),
    ("Control API", "text", "control: faults"),
    ("Control API", "text", "control: actions"),
    ("Scenario files", "toml", "scenario"),
];

#[test]
fn every_block_of_code_is_run_by_somebody() {
    let blocks = blocks();
    let there = blocks.iter().map(|block| (block.section, block.language));
    let known = RUN_BY.iter().map(|(section, language, _)| (*section, *language));
    assert_eq!(there.collect::<Vec<_>>(), known.collect::<Vec<_>>());
}

#[test]
fn no_code_hides_in_blocks_that_are_only_indented() {
    for section in sections() {
        let hidden = prose(section).find(|line| line.starts_with("    "));
        assert_eq!(hidden, None, "fence it, with its language");
    }
}
