//! Writes six megabytes to the log.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("log-flood", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        for line in 0..2_000 {
            portico_sdk::info!("HOSTILE {line} {}", "x".repeat(3_000));
        }
        say("logged")
    }
}
