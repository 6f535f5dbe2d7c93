//! Hands the host a text of 3 MiB.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("huge-string", &["storage.use"])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let key = "x".repeat(3 << 20);
        let found = portico_sdk::storage::service().get::<String>(&key)?;
        say(format!("{}", found.is_some()))
    }
}
