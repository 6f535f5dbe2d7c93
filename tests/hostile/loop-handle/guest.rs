//! Never ends while it answers a page.
use portico_hostile_guests::{Line, description, mark, spin};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("loop-handle", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        spin()
    }
}
