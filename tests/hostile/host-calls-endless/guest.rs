//! Calls the host for ever, whatever the host says.
use portico_hostile_guests::{Line, description, mark};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("host-calls-endless", &["vm.read"])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let mut granted = 0_u32;
        loop {
            granted = granted.wrapping_add(u32::from(vm::network().is_ok()));
            std::hint::black_box(granted);
        }
    }
}
