//! Writes to its store until the host refuses, then reads what is there.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;
use portico_sdk::storage;

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("storage-flood", &["storage.use"])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, request: &Request) -> Result<Response, Error> {
        mark();
        if request.method == portico_sdk::Method::Get {
            let kept = storage::service().list::<String>("flood", None, 100)?;
            return say(format!(
                "kept {}",
                kept.iter().map(|entry| entry.value.len()).sum::<usize>()
            ));
        }
        let block = "x".repeat(60_000);
        for number in 0..100 {
            storage::service().set(&format!("flood{number:03}"), &block)?;
        }
        Ok(Response::redirect(""))
    }
}
