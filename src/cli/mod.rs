//! The command line: one file a command. A command's file holds its arguments and runs it.
//!
//! Exit codes: 0 all is well; 1 the command failed; 2 the command line, the settings, a topic or a pipeline
//! is wrong (`topics` alone has others: see there).

mod bench;
mod completions;
mod dead;
pub mod demo;
mod produce;
mod reference;
mod reload;
mod rewind;
mod run;
mod status;
mod token;
mod topics;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{LoadOptions, Problems};

/// Something that was given is wrong; clap uses the same for the command line.
const WRONG_INPUT: u8 = 2;

/// The settings, a topic or a pipeline is wrong: a failure that says which file and line, and has an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongInput(Problems);

/// Keeps Elasticsearch and Redis in step with MySQL and MariaDB, through Kafka.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// The settings file [default: $TWOLANE_SETTINGS, else twolane.toml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the pipelines until SIGINT or SIGTERM
    Run(run::Args),
    /// Show the whole lane on this machine: a database that changes, both sinks, and a comparison of every row
    Demo(demo::run::Args),
    /// Check the settings, topics and pipelines; each problem is one line with its file, line and column
    Validate(validate::Args),
    /// Compare the topics, schemas and streams with their files, and make them so
    Topics(topics::Args),
    /// Send events into a topic, one JSON object a line on standard input, and say what became of each
    Produce(produce::Args),
    /// Look at dead letters, and write them into their sinks again
    Dead(dead::Args),
    /// Whether a running process is ready, and what its branches do
    Status(status::Args),
    /// Every partition, which process owns it, and how far a running process is in its own
    Lag(status::Args),
    /// The supervision tree of a running process
    Actors(status::Args),
    /// What the live lane of a running process does
    Rooms(status::Args),
    /// The settings of a running process without its secrets, and where each was written
    Settings(status::Args),
    /// What was asked of a running process, by whom, and what became of it
    Audit(status::Args),
    /// Let a branch of a running process fetch nothing more: what it has is written, and its partitions stay with it
    Pause(status::Branch),
    /// Let a halted branch of a running process start anew, and a paused one go on
    Resume(status::Branch),
    /// Make an actor of a running process anew
    Restart(status::Actor),
    /// Have a running process read its files again: what means something else is made anew, the rest does not notice
    Reload(status::Args),
    /// Read records of a pipeline again, after showing what that means
    Rewind(rewind::Args),
    /// Print a token for the live lane, for development
    Token(token::Args),
    /// Measure the lane beside what its servers can take, on this machine
    Bench(bench::Args),
    /// Print a reference page in Markdown
    Reference(reference::Args),
    /// Print what a shell needs to complete this command line
    Completions(completions::Args),
}

/// Reads this process's command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = LoadOptions::from_process(cli.settings);
    let result = match cli.command {
        Command::Run(args) => run::run(&args, &options),
        Command::Demo(args) => demo::run::run(&args),
        Command::Validate(args) => validate::run(&args, &options),
        Command::Topics(args) => topics::run(&args, &options),
        Command::Produce(args) => produce::run(&args, &options),
        Command::Dead(args) => dead::run(&args, &options),
        Command::Status(args) => status::status(&args, &options),
        Command::Lag(args) => status::lag(&args, &options),
        Command::Actors(args) => status::actors(&args, &options),
        Command::Rooms(args) => status::rooms(&args, &options),
        Command::Settings(args) => status::settings(&args, &options),
        Command::Audit(args) => status::audit(&args, &options),
        Command::Pause(args) => status::pause(&args, &options),
        Command::Resume(args) => status::resume(&args, &options),
        Command::Restart(args) => status::restart(&args, &options),
        Command::Reload(args) => reload::run(&args, &options),
        Command::Rewind(args) => rewind::run(&args, &options),
        Command::Token(args) => token::run(&args, &options),
        Command::Bench(args) => bench::run(&args),
        Command::Reference(args) => reference::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    result.unwrap_or_else(|error| match error.downcast_ref::<WrongInput>() {
        Some(problems) => {
            eprintln!("{problems}");
            ExitCode::from(WRONG_INPUT)
        }
        None => {
            eprintln!("twolane: {error:#}");
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_shell_is_given_every_command() {
        for shell in <clap_complete::Shell as clap::ValueEnum>::value_variants() {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "twolane", &mut text);
            let text = String::from_utf8(text).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(
                    text.contains(command.get_name()),
                    "{shell}: {}",
                    command.get_name()
                );
            }
        }
    }
}
