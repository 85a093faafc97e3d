//! The `twolane` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    twolane::cli::main()
}
