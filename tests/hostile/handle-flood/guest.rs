//! Takes handles of WASI until the host has no more for it.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

mod wasi {
    wit_bindgen::generate!({
        inline: "
            package hostile:handle-flood;

            world w {
                import wasi:clocks/monotonic-clock@0.2.6;
            }

            package wasi:io@0.2.6 {
                interface poll {
                    resource pollable;
                }
            }

            package wasi:clocks@0.2.6 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.6.{pollable};
                    subscribe-duration: func(when: u64) -> pollable;
                }
            }
        ",
        generate_all,
    });
}

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("handle-flood", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let mut held = Vec::new();
        for _ in 0..100_000 {
            held.push(wasi::wasi::clocks::monotonic_clock::subscribe_duration(1));
        }
        say(format!("{} handles", held.len()))
    }
}
