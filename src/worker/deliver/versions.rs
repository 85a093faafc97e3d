//! Whether the versions that a sink holds can be: one that no record of the topic has halts the branch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Delivery;
use crate::commit::Resolution;
use crate::event::{Position, Version};
use crate::retry::Because;

impl Delivery {
    /// A version that this lane has not read yet: from another epoch, or past what it has taken.
    pub(super) fn is_suspicious(&self, write: u32, by: Version) -> bool {
        let Some(w) = self.job.batch().writes().get(write as usize) else {
            return false;
        };
        by > w.version
            && (by.epoch_bits() != w.version.epoch_bits()
                || self
                    .branch
                    .ledger
                    .next(w.position.partition)
                    .is_none_or(|next| by.offset() >= next))
    }

    /// Asks the broker whether the records of these versions can exist; a version from nowhere halts the branch.
    /// It is asked once for each partition: where much is read again, almost every write meets a newer one.
    pub(super) async fn check_versions(&mut self, suspicious: Vec<(u32, Version)>) {
        let spec = self.branch.topic().epoch.get();
        let mut ends: BTreeMap<i32, Option<i64>> = BTreeMap::new();
        let mut resolved = Vec::new();
        let mut unknown = None;
        for (write, by) in suspicious {
            let Some(position) = self.position(write) else {
                continue;
            };
            let end = match ends.entry(position.partition) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    let asked = self.branch.probe.watermarks(position.partition);
                    let asked = self.progress.wait("kafka", asked).await;
                    let end = asked.map(|(_, end)| end).map_err(|why| unknown = Some(why));
                    *new.insert(end.ok())
                }
            };
            let epoch = by.epoch_bits();
            match end {
                None => self.select.push(write),
                Some(end) if epoch == spec && by.offset() < end => {
                    self.job
                        .settle(write, Resolution::Superseded, &mut resolved);
                }
                Some(end) => self.branch.halt(format!(
                    "{} {position}: the sink holds version {by} (epoch {epoch}, offset {}), which no record of this topic has \
                     (epoch {spec}, end offset {end}): the topic was made anew, or something else writes to this sink. Raise \
                     `epoch` in {} above {epoch} if the topic was made anew",
                    self.branch.topic().name,
                    by.offset(),
                    self.branch.topic().file.display(),
                )),
            }
        }
        self.branch.ledger.resolve(resolved);
        if let Some(why) = unknown {
            self.unavailable_of(
                Arc::clone(&self.branch.kafka),
                &why.to_string(),
                false,
                Because::Away,
            )
            .await;
        }
    }

    fn position(&self, write: u32) -> Option<Position> {
        let write = self.job.batch().writes().get(write as usize)?;
        Some(write.position)
    }
}
