//! The `scs` command.

fn main() {}
