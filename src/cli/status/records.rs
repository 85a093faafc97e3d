//! `twolane settings` and `audit`.

use std::process::ExitCode;

use super::shapes::{Audited, Setting};
use super::table::Table;
use super::{Args, show};
use crate::config::LoadOptions;
use crate::dead::text;

/// The settings of a process, each with where it was written.
pub(in crate::cli) fn settings(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let shown = |all: &Vec<Setting>| {
        let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
        for setting in all {
            table.row([
                setting.path.clone(),
                setting.value.clone().unwrap_or_default(),
                match &setting.place {
                    Some(place) => place.clone(),
                    None => setting.origin.clone(),
                },
            ]);
        }
        table.text()
    };
    show(args, options, "settings", shown, |_| true)
}

/// The last actions of a process, the newest last.
pub(in crate::cli) fn audit(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let shown = |audited: &Audited| {
        let mut table = Table::new(&[
            "TIME", "ACTION", "TARGET", "FROM", "TOKEN", "OUTCOME", "WHY",
        ]);
        for entry in audited.entries.iter().rev() {
            table.row([
                entry.time.clone(),
                entry.action.clone(),
                text::line(&entry.target),
                entry.from.clone(),
                entry.token.clone().unwrap_or_default(),
                entry.outcome.clone(),
                text::line(entry.reason.as_deref().unwrap_or_default()),
            ]);
        }
        table.text()
    };
    show(args, options, "audit", shown, |_| true)
}
