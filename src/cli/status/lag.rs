//! `twolane lag`: every partition, who has it, and how far that is where it is this process.

use std::process::ExitCode;

use super::shapes::{Group, Partition, Pipeline};
use super::table::{Table, count};
use super::{Args, ask, print};
use crate::config::LoadOptions;

/// The partitions.
pub(in crate::cli) fn lag(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    ask(args, options, async |client| {
        let (pipelines, all) = client.get::<Vec<Pipeline>>("pipelines").await?;
        let (groups, who) = client.get::<Vec<Group>>("groups").await?;
        if args.json {
            print(&format!(
                "{{\"pipelines\": {},\n\"groups\": {}}}\n",
                all.trim(),
                who.trim()
            ))?;
        } else {
            print(&table(&pipelines, &groups))?;
            for group in &groups {
                if let Some(why) = &group.error {
                    eprintln!("who is in {} is not known: {why}", group.group);
                }
            }
        }
        Ok(true)
    })
}

fn table(pipelines: &[Pipeline], groups: &[Group]) -> String {
    let mut table = Table::new(&[
        "BRANCH",
        "TOPIC",
        "PARTITION",
        "END",
        "WATERMARK",
        "COMMITTED",
        "LAG",
        "OWNER",
    ]);
    for pipeline in pipelines {
        for branch in &pipeline.branches {
            let group = groups.iter().find(|g| g.group == branch.group);
            for (partition, owner) in rows(&branch.partitions, group) {
                let ours = branch.partitions.iter().find(|p| p.partition == partition);
                table.row([
                    branch.group.clone(),
                    pipeline.topic.clone(),
                    partition.to_string(),
                    count(ours.map(|p| p.end)),
                    count(ours.and_then(|p| p.watermark)),
                    count(ours.and_then(|p| p.committed)),
                    count(ours.and_then(|p| p.lag)),
                    owner,
                ]);
            }
        }
    }
    table.text()
}

/// Every partition that is known, in order, each with who has it.
fn rows(ours: &[Partition], group: Option<&Group>) -> Vec<(i32, String)> {
    let mut rows: Vec<(i32, String)> = Vec::new();
    for member in group.into_iter().flat_map(|g| &g.members) {
        let here = if member.this_process {
            " (this process)"
        } else {
            ""
        };
        let owner = format!("{} at {}{here}", member.client_id, member.host);
        rows.extend(member.partitions.iter().map(|p| (*p, owner.clone())));
    }
    let nobody = group.into_iter().flat_map(|g| &g.unowned);
    rows.extend(nobody.map(|p| (*p, "nobody".to_owned())));
    for partition in ours {
        if !rows.iter().any(|(p, _)| *p == partition.partition) {
            rows.push((partition.partition, "this process".to_owned()));
        }
    }
    rows.sort();
    rows
}
