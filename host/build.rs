//! Has the crate built again when the web assets are: an embedded folder that gains files is not noticed otherwise.

#[expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
}
