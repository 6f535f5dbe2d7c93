//! Never ends while it describes itself.
use portico_hostile_guests::spin;
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        spin()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        Ok(Response::redirect(""))
    }
}
