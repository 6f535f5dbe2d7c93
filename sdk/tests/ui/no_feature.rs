struct Plain;

portico_sdk::export!(Plain);

fn main() {}
