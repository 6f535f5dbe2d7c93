use portico_sdk::prelude::*;

struct Silent;

portico_sdk::export!(Silent);

impl Feature for Silent {
    fn describe() -> Description {
        Description::new("silent", "1.0.0", "Silent")
    }
}

fn main() {}
