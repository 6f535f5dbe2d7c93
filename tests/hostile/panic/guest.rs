//! Panics with a text that no customer should read.
use portico_hostile_guests::{Line, description, mark};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("panic", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        panic!("HOSTILE panic at {}", "/etc/passwd")
    }
}
