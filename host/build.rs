//! Has the crate built again when the web assets are: an embedded folder that gains files is not noticed otherwise.

fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
}
