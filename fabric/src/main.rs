//! The binary `perper-fabric`.

fn main() {
    println!("perper-fabric {}", env!("CARGO_PKG_VERSION"));
}
