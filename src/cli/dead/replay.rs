//! `twolane dead replay`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{anyhow, bail};

use super::Whose;
use crate::config::Config;
use crate::dead::{At, Branches, DeadTopic, Replayed, Which, replay, text};
use crate::ops::audit::{Actor, Audit, Outcome};
use crate::sink::dead_letter::dead_topic;

/// Arguments of `dead replay`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["letters", "all", "reason"]))]
pub(super) struct Args {
    /// The letters, as `twolane dead list` names them
    #[arg(value_name = "LETTER")]
    letters: Vec<At>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Those with this reason
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    whose: Whose,
    /// Only those that this sink rejected
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// Check everything and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Replays the letters one by one. Whoever reads the output may go away: what was asked for is done all the same.
pub(super) async fn run(args: &Args, config: Config) -> anyhow::Result<ExitCode> {
    let source = args.whose.one_topic(&config)?;
    let Some(mut topic) = DeadTopic::open(&config.settings.kafka, &source)? else {
        bail!(
            "there is nothing to replay: there is no topic {}",
            dead_topic(&source)
        );
    };
    let which = args.which();
    let audit = Audit::new(config.settings.admin.audit_file.clone());
    // What writes nothing is no action.
    let noted = match args.dry_run {
        true => None,
        false => {
            let target = which.of(&topic.name);
            let noted = audit.begin(&Actor::command_line(), "replay", &target);
            Some(noted.map_err(|why| anyhow!(why))?)
        }
    };
    let pipelines = config.pipelines.into_iter().map(Arc::new).collect();
    let mut branches = Branches::new(Arc::new(config.settings), pipelines);
    let mut out = io::stdout();
    let tell = |replayed: &Replayed| {
        let _gone = writeln!(out, "{}", line(replayed));
    };
    let tally = replay(&mut topic, &which, &mut branches, args.dry_run, tell).await;
    if let Some(noted) = noted {
        match &tally {
            Ok(tally) => noted.end(Outcome::Done, Some(tally.summary())),
            Err(why) => noted.end(Outcome::Failed, Some(format!("{why:#}"))),
        }
    }
    let tally = tally?;
    let _gone = writeln!(
        out,
        "{}; the letters stay in {}, which is a log",
        tally.summary(),
        topic.name
    );
    Ok(if tally.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn line(replayed: &Replayed) -> String {
    let told = text::line(&replayed.verdict.told());
    match &replayed.of {
        Some((branch, source)) => format!(
            "{}  {}  {}  {told}",
            replayed.at,
            text::line(branch),
            text::line(source)
        ),
        None => format!("{}  {told}", replayed.at),
    }
}

// === impl Args ===

impl Args {
    fn which(&self) -> Which {
        Which {
            letters: self.letters.clone(),
            reason: self.reason.clone(),
            pipeline: self.whose.pipeline.clone(),
            sink: self.sink.clone(),
        }
    }
}
