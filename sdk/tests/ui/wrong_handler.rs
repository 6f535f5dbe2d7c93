use portico_sdk::prelude::*;

fn page(_: &Request) -> Result<Response, Error> {
    Err(Error::NotFound)
}

fn main() {
    let _ = Router::new().get("", page);
}
