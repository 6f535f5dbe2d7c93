//! Asks for what its product does not grant: reading the VM on a page, a snapshot and switching off in a form.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("scope-not-granted", &["storage.use"])
            .permission("look", "Read the VM", &["vm.read"])
            .permission("snapshots", "Read snapshots", &["snapshots.read"])
            .permission("stop", "Switch the VM off", &["power.stop"])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, request: &Request) -> Result<Response, Error> {
        mark();
        match request.path.as_str() {
            "status" => say(format!("{:?}", vm::status()?.state)),
            "snapshots" => say(format!("{}", portico_sdk::snapshots::list()?.len())),
            "stop" => {
                portico_sdk::power::stop()?;
                Ok(Response::redirect(""))
            }
            _ => {
                portico_sdk::storage::service().get::<String>("key")?;
                say("granted")
            }
        }
    }
}
