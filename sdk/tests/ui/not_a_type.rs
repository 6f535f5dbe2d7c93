portico_sdk::export!("snapshots");

fn main() {}
