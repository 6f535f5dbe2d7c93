//! Asks WASI for the folders it may open.
use portico_hostile_guests::{Line, description, mark, say};
use portico_sdk::prelude::*;

mod wasi {
    wit_bindgen::generate!({
        inline: "
            package hostile:wasi-files;

            world w {
                import wasi:filesystem/preopens@0.2.6;
            }

            package wasi:filesystem@0.2.6 {
                interface types {
                    resource descriptor;
                }

                interface preopens {
                    use types.{descriptor};
                    get-directories: func() -> list<tuple<descriptor, string>>;
                }
            }
        ",
        generate_all,
    });
}

struct Probe;

portico_sdk::export!(Probe);

impl Feature for Probe {
    fn describe() -> Description {
        description("wasi-files", &[])
    }

    fn templates() -> Templates {
        Templates::new().with::<Line>()
    }

    fn handle(_: &Context, _: &Request) -> Result<Response, Error> {
        mark();
        let folders = wasi::wasi::filesystem::preopens::get_directories();
        say(format!("folders {}", folders.len()))
    }
}
