//! Waits for Proxmox, which does not answer.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("host-call-sleeps", &["snapshots.read"])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let list = portico_sdk::snapshots::list()?;
        say(format!("{} snapshots", list.len()))
    }
}
