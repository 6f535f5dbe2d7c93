//! Imports an interface that the provider did not approve.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("imports-not-approved", &["vm.read"])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        say(format!("{:?}", vm::status()?.state))
    }
}
