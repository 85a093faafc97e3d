//! `twolane pause`, `resume` and `restart`.

use std::process::ExitCode;

use super::{Actor, Branch, ask, print};
use crate::config::LoadOptions;

/// Pauses a branch.
pub(in crate::cli) fn pause(args: &Branch, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    switch(args, options, "pause")
}

/// Lets a halted branch start anew, and a paused one go on.
pub(in crate::cli) fn resume(args: &Branch, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    switch(args, options, "resume")
}

fn switch(args: &Branch, options: &LoadOptions, what: &str) -> anyhow::Result<ExitCode> {
    ask(&args.of, options, async |client| {
        let path = ["pipelines", &args.pipeline, &args.sink, what];
        print(&client.post(&path).await?)?;
        Ok(true)
    })
}

/// Makes an actor anew.
pub(in crate::cli) fn restart(args: &Actor, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    ask(&args.of, options, async |client| {
        let mut path = vec!["actors"];
        path.extend(args.actor.split('/'));
        path.push("restart");
        print(&client.post(&path).await?)?;
        Ok(true)
    })
}
