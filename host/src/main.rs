//! The command `portico`: the panel and everything the provider does with it.

use std::process::ExitCode;
use std::sync::Arc;

#[tokio::main]
async fn main() -> ExitCode {
    portico_host::cli::main(Arc::new(portico_host::serve::Root)).await
}
