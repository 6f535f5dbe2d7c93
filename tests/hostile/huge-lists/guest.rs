//! Hands the host a list of 200,000 pairs of texts, each of them empty.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("huge-lists", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let fields = vec![(String::new(), String::new()); 200_000];
        portico_sdk::log::write(portico_sdk::log::Level::Info, "HOSTILE lists", &fields);
        say("done")
    }
}
