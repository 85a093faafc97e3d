//! Reading again what was resolved before, since an operator wants it.
//!
//! The group is turned back to the new offsets first, so that whoever reads the partitions next, here or in another
//! process, begins there. A record that is not resolved is never passed over: no offset above a partition's watermark
//! is taken.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::command::Event;
use super::group::{Group, lock};
use super::poller::Poller;
use crate::event::Mark;

impl Poller {
    pub(super) fn turn_back(
        &mut self,
        marks: &[Mark],
        answer: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), String> {
        let turned = match self.may_turn_back(marks) {
            Ok(()) => self.begin_again(marks)?,
            refused @ Err(_) => refused,
        };
        if answer.send(turned).is_err() {
            tracing::debug!(
                branch = self.group().branch.name,
                "nobody waits any more to hear what became of a rewind"
            );
        }
        Ok(())
    }

    /// Only an open partition has nobody on the way to begin it from where it stood before.
    fn may_turn_back(&self, marks: &[Mark]) -> Result<(), String> {
        let topic = &self.group().branch.topic().name;
        for mark in marks {
            match self.ledger().mark(mark.partition) {
                Some((watermark, _)) if mark.offset <= watermark => {}
                Some((watermark, _)) => {
                    return Err(format!(
                        "{topic} partition {}: offset {} lies above the watermark {watermark}: the records between them would be lost",
                        mark.partition, mark.offset
                    ));
                }
                None => {
                    return Err(format!(
                        "{topic} partition {} is not read by this process at the moment: plan again",
                        mark.partition
                    ));
                }
            }
        }
        Ok(())
    }

    /// The inner error is the brokers'; then the partitions go on from what is committed.
    fn begin_again(&mut self, marks: &[Mark]) -> Result<Result<(), String>, String> {
        for mark in marks {
            self.lease().close(mark.partition);
            self.drop_held(mark.partition);
        }
        let group = self.group();
        let committed = group.turn_back(&self.consumer, marks);
        let partitions: Vec<i32> = marks.iter().map(|m| m.partition).collect();
        match &committed {
            Ok(()) => tracing::warn!(
                branch = group.branch.name,
                topic = group.branch.topic().name,
                ?marks,
                "turned back by an operator"
            ),
            Err(why) => tracing::warn!(
                branch = group.branch.name,
                topic = group.branch.topic().name,
                ?marks,
                "not turned back: {why}"
            ),
        }
        group
            .events
            .blocking_send(Event::TurnedBack(partitions))
            .map_err(|_| "the source is gone".to_owned())?;
        Ok(committed.map_err(|why| format!("the brokers did not take the offsets: {why}")))
    }
}

impl Group {
    /// Makes these the group's committed offsets, lower as they are.
    fn turn_back(&self, consumer: &BaseConsumer<Self>, marks: &[Mark]) -> Result<(), KafkaError> {
        let topic = &self.branch.topic().name;
        let mut tpl = TopicPartitionList::new();
        for mark in marks {
            tpl.add_partition_offset(topic, mark.partition, Offset::Offset(mark.offset))?;
        }
        let _waiting = self.progress.waiting("kafka");
        // Stored as well, or the next commit would carry the offset that was stored before, which is higher.
        consumer.store_offsets(&tpl)?;
        consumer.commit(&tpl, CommitMode::Sync)?;
        for mark in marks {
            lock(&self.committed).insert(mark.partition, mark.offset);
            self.branch
                .stats
                .partition(mark.partition, |p| p.committed = mark.offset);
        }
        Ok(())
    }
}
