//! Placeholder.
use portico_sdk::bindings::exports::portico::plugin::guest;
use portico_sdk::bindings::portico::plugin as p;
pub struct X;
impl guest::Guest for X {
    fn describe() -> guest::Description {
        guest::Description {
            id: "snapshots".into(),
            version: "0.1.0".into(),
            title: "t".into(),
            summary: "s".into(),
            menu: None,
            buttons: vec![],
            permissions: vec![],
            provider_settings: "{}".into(),
            product_settings: "{}".into(),
            background: vec![],
        }
    }
    fn templates() -> Vec<guest::Template> {
        vec![]
    }
    fn handle(_c: guest::Context, _r: guest::Request) -> Result<guest::Response, p::types::Error> {
        p::vm::status()?;
        Ok(guest::Response::Json("{}".into()))
    }
    fn advance(_c: guest::Context, _j: guest::Job, _e: guest::Event) -> guest::Step {
        guest::Step::Done("x".into())
    }
}
#[cfg(target_arch = "wasm32")]
portico_sdk::bindings::export_guest!(X with_types_in portico_sdk::bindings);
