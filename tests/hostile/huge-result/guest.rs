//! Answers with 3 MiB.
use portico_hostile_guests::{Line, description, mark};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("huge-result", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        Ok(Response::Json("x".repeat(3 << 20)))
    }
}
