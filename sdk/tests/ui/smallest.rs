use portico_sdk::prelude::*;

struct Smallest;

portico_sdk::export!(Smallest);

impl Feature for Smallest {
    fn describe() -> Description {
        Description::new("smallest", "1.0.0", "Smallest")
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        Err(Error::NotFound)
    }
}

fn main() {}
