//! What the hostile plugins share: a page, the mark they leave in memory, and ways to waste time.
//!
//! Each plugin is an example of this package, `../<probe>/guest.rs`. Not here: what is expected of the panel, which is
//! in `../<probe>/expected.toml`.

use std::hint::black_box;

use portico_sdk::prelude::*;

/// The mark, hidden so that a guest that looks for it does not find its own copy.
const HIDDEN: [u8; 16] = hide(*b"HOSTILE-RESIDUE!");
const MASK: u8 = 0x5a;

const fn hide(text: [u8; 16]) -> [u8; 16] {
    let mut hidden = [0; 16];
    let mut at = 0;
    while at < 16 {
        hidden[at] = text[at] ^ MASK;
        at += 1;
    }
    hidden
}

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
    let text: Vec<u8> = HIDDEN.iter().map(|byte| byte ^ black_box(MASK)).collect();
    std::mem::forget(black_box(text.repeat(16 << 10)));
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
    /// Bytes that were not zero in memory that was never used by this instance.
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
            // SAFETY: as above; the block ends below the end.
            let block = unsafe { core::slice::from_raw_parts(at as *const u8, 16) };
            if block
                .iter()
                .zip(HIDDEN)
                .all(|(byte, hidden)| byte ^ MASK == hidden)
            {
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
