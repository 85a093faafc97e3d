//! `twolane token`: a token for the live lane, for development. In production an identity service signs them.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::WrongInput;
use super::demo::run::duration;
use crate::config::{self, LoadOptions};
use crate::live::auth;
use crate::live::names::{BadName, RoomId, UserId};

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose it is
    #[arg(long, value_name = "USER", value_parser = user)]
    user: UserId,
    /// A room in which the user is a moderator; may be given several times
    #[arg(long, value_name = "ROOM", value_parser = room, conflicts_with = "notify")]
    moderates: Vec<RoomId>,
    /// The token of a service that notifies users, and is none itself
    #[arg(long)]
    notify: bool,
    /// How long it is valid, such as 30s, 5m or 1h
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "1h")]
    lifetime: Duration,
}

/// Prints the token, and nothing else.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let settings = config::load_settings(options).map_err(WrongInput)?;
    let settings = settings.live.auth.ok_or_else(|| {
        anyhow!(
            "the settings say nothing of tokens: for development set live.auth.algorithm = \"HS256\", live.auth.issuer and live.auth.key (`openssl rand -hex 32`)"
        )
    })?;
    let token = auth::mint(
        &settings,
        &args.user,
        &args.moderates,
        args.notify,
        args.lifetime,
    )?;
    writeln!(std::io::stdout().lock(), "{token}").context("writing the token")?;
    Ok(ExitCode::SUCCESS)
}

fn user(text: &str) -> Result<UserId, BadName> {
    UserId::new(text)
}

fn room(text: &str) -> Result<RoomId, BadName> {
    RoomId::new(text)
}
