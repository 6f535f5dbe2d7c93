use portico_sdk::prelude::*;

#[derive(serde::Serialize)]
struct Page {
    title: String,
}

fn page(_: &Context, _: &Request) -> Result<Response, Error> {
    Response::page(&Page { title: "x".into() })
}

fn main() {
    let _ = Router::new().get("", page);
}
