//! `twolane completions`: what a shell completes, made from the command line itself.

use std::io::Write as _;
use std::process::ExitCode;

use clap_complete::Shell;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell. Put the output where it looks, such as ~/.local/share/bash-completion/completions/twolane
    shell: Shell,
}

/// Prints the shell's file.
pub(super) fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "twolane", &mut text);
    std::io::stdout().lock().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}
