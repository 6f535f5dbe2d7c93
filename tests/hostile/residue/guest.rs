//! Not hostile: looks through all the memory it can have for what an earlier guest left there.
use portico_hostile_guests::{Line, description, look, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("residue", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, request: &Request) -> Result<Response, Error> {
        // With it, what is looked for is there, so that finding nothing means something.
        if request.path == "planted" {
            mark();
        }
        let found = look(31 << 20);
        say(format!("marks {} dirty {}", found.marks, found.dirty))
    }
}
