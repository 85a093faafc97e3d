//! What the poller does while its branch's memory is full, or the branch is paused or halted.

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;

use super::command::Command;
use super::group::lock;
use super::poller::{MOST_RECORDS, POLL, Poller};
use crate::event::Mark;

/// Without room for this long the partitions are paused; before that, only polling stops, since a pause
/// throws the prefetched records away.
const PATIENCE: Duration = Duration::from_secs(1);
/// Once the budget is spent it is taken from again when a part of it is free: were one record's room enough, the poller
/// would wake for each record that is resolved, and chunks of a few records would cost as much as full ones.
const PARTS: usize = 8;
/// So long it waits for that part: what holds the rest may be stragglers, which are tried for minutes.
const FOR_A_PART: Duration = Duration::from_millis(100);

impl Poller {
    /// Waits until there is room again and the branch may take records, pausing the partitions at once where it may not,
    /// and for want of room when that takes long. Serves commands only between waits, and rebalances while paused.
    pub(super) fn wait_for_room(&mut self) -> Result<(), String> {
        self.flush()?;
        let started = Instant::now();
        loop {
            self.turn()?;
            let bytes = self.held.as_ref().map_or(0, size_of_held);
            let group = self.group();
            let (budget, ledger) = (Arc::clone(&group.branch.budget), self.ledger());
            let asked = !group.branch.control.may_take();
            let room = if asked {
                false
            } else if self.paused {
                budget.wait_half(POLL) && ledger.wait_span(MOST_RECORDS / 2, POLL)
            } else {
                let part = if started.elapsed() < FOR_A_PART {
                    budget.limit() / PARTS
                } else {
                    0
                };
                budget.wait_for(bytes.max(part), POLL) && ledger.wait_span(MOST_RECORDS, POLL)
            };
            if room {
                break;
            }
            if !self.paused && (asked || started.elapsed() >= PATIENCE) {
                self.pause_all(true)?;
            }
            if self.paused {
                // A record that comes here was fetched before the pause: its partition is sought back.
                // Where room is waited for, that was the wait of this turn.
                let polled = self
                    .consumer
                    .poll(if asked { POLL } else { Duration::ZERO });
                match polled.map(|p| p.map(|m| m.detach())) {
                    Some(Ok(message)) if self.held.is_none() => self.held = Some(message),
                    Some(Ok(message)) => {
                        let partition = message.partition();
                        if let Some(next) = self.ledger().next(partition) {
                            let offset = match &self.held {
                                Some(m) if m.partition() == partition => m.offset() + 1,
                                Some(_) | None => next,
                            };
                            self.seek(Mark { partition, offset })?;
                        }
                    }
                    Some(Err(why)) => self.polled_error(&why)?,
                    None => {}
                }
            }
            match self.commands.try_recv() {
                Ok(Command::Stop(deadline)) => {
                    self.stopping = Some(deadline);
                    return Ok(());
                }
                Ok(command) => self.obey(command)?,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.stopping = Some(Duration::ZERO);
                    return Ok(());
                }
            }
        }
        if self.paused {
            self.pause_all(false)?;
        }
        Ok(())
    }

    fn pause_all(&mut self, pause: bool) -> Result<(), String> {
        let ledger = self.ledger();
        let assigned = lock(&self.group().assigned).clone();
        let open = assigned.into_iter().filter(|p| ledger.mark(*p).is_some());
        let tpl = self.list(open);
        let done = if pause {
            self.consumer.pause(&tpl)
        } else {
            self.consumer.resume(&tpl)
        };
        self.paused = pause;
        done.map_err(|e| e.to_string())
    }
}

/// About what the record takes of the budget; headers are counted when it is offered.
fn size_of_held(message: &rdkafka::message::OwnedMessage) -> usize {
    message.payload().map_or(0, <[u8]>::len)
        + message.key().map_or(0, <[u8]>::len)
        + crate::route::RECORD_OVERHEAD
}
