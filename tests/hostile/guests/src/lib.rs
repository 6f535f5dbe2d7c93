//! What the hostile plugins share: a page, the mark they leave in memory, and ways to waste time.
//!
//! Each plugin is an example of this package, `../<probe>/guest.rs`. Not here: what is expected of the panel, which is
//! in `../<probe>/expected.toml`.

use std::hint::black_box;

use portico_sdk::prelude::*;

/// The mark, hidden so that a guest that looks for it does not find its own copy.
const HIDDEN: [u64; 2] = [
    u64::from_le_bytes(*b"HOSTILE-") ^ MASK,
    u64::from_le_bytes(*b"RESIDUE!") ^ MASK,
];
const MASK: u64 = 0x5a5a_5a5a_5a5a_5a5a;

/// The only page of most probes: one line of text.
#[derive(Debug, serde::Serialize)]
pub struct Line {
    /// What it says.
    pub text: String,
}

impl Template for Line {
    const NAME: &'static str = "page.html";
    const SOURCE: &'static str = "<p>{{ text }}</p>";

    fn samples() -> Vec<Self> {
        vec![Self {
            text: "sample".into(),
        }]
    }
}

/// A page with one line.
///
/// # Errors
/// None in practice: a text is always JSON.
pub fn say(text: impl Into<String>) -> Result<Response, Error> {
    Response::page(&Line { text: text.into() })
}

/// A description with the one permission that every product of the tests grants.
pub fn description(id: &str, scopes: &[&str]) -> Description {
    Description::new(id, "1.0.0", "Hostile")
        .summary("A probe of the tests.")
        .permission("use", "Use it", scopes)
}

/// Leaves 256 KiB of the mark in memory, which no later guest may see.
pub fn mark() {
    let block = HIDDEN.map(|word| word ^ black_box(MASK));
    std::mem::forget(black_box(vec![block; 16 << 10]));
}

/// Never ends and never calls the host.
pub fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// What a look through the whole memory found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Residue {
    /// How often the mark was there.
    pub marks: usize,
    /// Words of 8 bytes that were not zero in memory that this instance has just got.
    pub dirty: usize,
}

/// Grows the memory as far as the host lets it and looks through all of it.
#[cfg(target_arch = "wasm32")]
pub fn look(most_bytes: usize) -> Residue {
    #![expect(
        unsafe_code,
        reason = "reads memory that this instance owns and nothing has written to"
    )]
    use core::arch::wasm32::{memory_grow, memory_size};
    const PAGE: usize = 64 << 10;
    let old = memory_size::<0>() * PAGE;
    let wanted = (most_bytes.saturating_sub(old)) / PAGE;
    let grown = memory_grow::<0>(wanted) != usize::MAX;
    let end = memory_size::<0>() * PAGE;
    let mut found = Residue::default();
    let mut at = 1024;
    while at + 16 <= end {
        // SAFETY: below the end of linear memory, and bytes have no invalid values.
        let word = unsafe { core::ptr::read_volatile(at as *const u64) };
        if word != 0 {
            if grown && at >= old {
                found.dirty += 1;
            }
            // SAFETY: as above; the second word ends below the end as well.
            let next = unsafe { core::ptr::read_volatile((at + 8) as *const u64) };
            if [word ^ MASK, next ^ MASK] == HIDDEN {
                found.marks += 1;
            }
        }
        at += 8;
    }
    found
}

/// Natively there is no linear memory to look through.
#[cfg(not(target_arch = "wasm32"))]
pub fn look(_: usize) -> Residue {
    Residue::default()
}
