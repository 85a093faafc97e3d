//! The `twolane` command.

fn main() {}
