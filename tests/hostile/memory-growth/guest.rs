//! Takes memory until there is none.
use portico_hostile_guests::{Line, description, mark};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("memory-growth", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        loop {
            let block = vec![0xa5_u8; 1 << 20];
            std::mem::forget(std::hint::black_box(block));
        }
    }
}
