//! Calls itself without end.
use std::hint::black_box;

use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("recursion", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(cx: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let start = u64::try_from(cx.now).unwrap_or_default();
        say(format!("{}", deep(black_box(start))))
    }
}

/// Needs no memory, so that what ends it is the stack of calls.
#[inline(never)]
fn deep(level: u64) -> u64 {
    if level == u64::MAX {
        return 0;
    }
    deep(level + 1).rotate_left(7) ^ level
}
