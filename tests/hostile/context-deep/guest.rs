//! Answers with data of 1,000 levels.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("context-deep", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let data = format!("{}1{}", "{\"text\":".repeat(1_000), "}".repeat(1_000));
        let Response::Page(mut page) = say("")? else {
            return Err(Error::failed("not a page"));
        };
        page.view.data = data;
        Ok(Response::Page(page))
    }
}
