//! Lines into records, and records into counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::{mpsc, watch};

use super::read::Chunk;
use super::tally::{Counts, Tally};
use crate::produce::{EventTopic, Outgoing, Producer, Receipt};

/// Everything that a run works with.
pub(super) struct Sending<'a> {
    pub producer: &'a Producer,
    pub topic: &'a EventTopic,
    pub tally: &'a Arc<Tally>,
    /// Records that may wait for their acknowledgement.
    pub queue: u32,
    /// How long each of them may.
    pub timeout: Duration,
}

/// Why no more lines were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There are no more.
    Input,
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-C twice: what was on its way was not waited for.
    AtOnce,
    /// A record was not acknowledged in time: the next ones would fare no better.
    Away,
}

/// A record on its way, and the line that it comes from.
type OnItsWay = (u64, Receipt);

// === impl Sending ===

impl Sending<'_> {
    /// Sends every line, and waits for what is on its way.
    ///
    /// # Errors
    /// Where the input cannot be read, or nothing can be sent any more.
    pub(super) async fn run(
        &self,
        mut lines: mpsc::Receiver<io::Result<Chunk>>,
    ) -> anyhow::Result<Ended> {
        let queue = usize::try_from(self.queue).unwrap_or(usize::MAX);
        let (on_their_way, receipts) = mpsc::channel(queue);
        let (late, mut is_late) = watch::channel(false);
        let settled = tokio::spawn(settle(receipts, Arc::clone(self.tally), self.timeout, late));
        let ended = tokio::select! {
            ended = self.send(&mut lines, &on_their_way) => ended?,
            Ok(_) = is_late.wait_for(|late| *late) => Ended::Away,
            _ = tokio::signal::ctrl_c() => Ended::Interrupted,
        };
        drop(on_their_way);
        if ended == Ended::Interrupted {
            self.tally.clear();
            eprintln!("stopped; waiting for what is on its way (Ctrl-C again: leave at once)");
        }
        tokio::select! {
            // A task that panicked has said so, and what it had not counted is shown as on its way.
            _ = settled => Ok(ended),
            _ = tokio::signal::ctrl_c() => Ok(Ended::AtOnce),
        }
    }

    async fn send(
        &self,
        lines: &mut mpsc::Receiver<io::Result<Chunk>>,
        on_their_way: &mpsc::Sender<OnItsWay>,
    ) -> anyhow::Result<Ended> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while let Some(chunk) = lines.recv().await {
            let chunk = chunk.context("cannot read standard input")?;
            let mut rest = chunk.text.as_slice();
            let mut number = chunk.first;
            while !rest.is_empty() {
                let end = memchr::memchr(b'\n', rest);
                let (line, next) = match end {
                    Some(at) => rest.split_at(at + 1),
                    None => (rest, &[][..]),
                };
                let cut = chunk.cut && next.is_empty();
                let line = line.trim_ascii();
                if cut {
                    self.tally.taken(number, true);
                    self.tally
                        .refused(number, &"the line is longer than 24 MiB: make it smaller");
                } else if line.is_empty() {
                    self.tally.taken(number, false);
                } else {
                    self.event(number, line, &mut key, &mut value, on_their_way)
                        .await?;
                }
                rest = next;
                number += 1;
            }
        }
        Ok(Ended::Input)
    }

    /// Dropped at any moment, the event is either not sent, or among those on their way.
    async fn event(
        &self,
        number: u64,
        line: &[u8],
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
        on_their_way: &mpsc::Sender<OnItsWay>,
    ) -> anyhow::Result<()> {
        if let Err(refused) = self.topic.encode(line, key, value) {
            self.tally.taken(number, true);
            self.tally.refused(number, &refused);
            return Ok(());
        }
        let Ok(place) = on_their_way.reserve().await else {
            // Whoever waits for the receipts has panicked.
            anyhow::bail!("the acknowledgements are not counted any more");
        };
        let record = Outgoing {
            topic: &self.topic.spec().name,
            key: Some(key),
            value: Some(value),
            headers: None,
        };
        let sent = self.producer.send(record).await;
        self.tally.taken(number, true);
        match sent {
            Ok(receipt) => place.send((number, receipt)),
            Err(why) => match Verdict::of(&why) {
                Verdict::Refused(why) => self.tally.refused(number, &why),
                Verdict::Late => anyhow::bail!("line {number} cannot be sent: {why}"),
            },
        }
        Ok(())
    }
}

/// Counts what becomes of the records, in the order of their lines.
async fn settle(
    mut receipts: mpsc::Receiver<OnItsWay>,
    tally: Arc<Tally>,
    timeout: Duration,
    late: watch::Sender<bool>,
) {
    while let Some((line, receipt)) = receipts.recv().await {
        let why = match receipt.await {
            Ok(_) => {
                tally.acknowledged();
                continue;
            }
            Err(why) => why,
        };
        match Verdict::of(&why) {
            Verdict::Refused(why) => tally.refused(line, &why),
            Verdict::Late => {
                if tally.unacknowledged(line) {
                    tally.clear();
                    eprintln!(
                        "line {line}: Kafka did not acknowledge it within {}: {why}",
                        crate::config::show_duration(timeout)
                    );
                    late.send_replace(true);
                }
            }
        }
    }
}

/// What an error of the client says of its record.
enum Verdict {
    /// The broker will not have it, however often it is sent.
    Refused(String),
    /// It may be there, or could be later.
    Late,
}

// === impl Verdict ===

impl Verdict {
    fn of(error: &KafkaError) -> Self {
        let KafkaError::MessageProduction(code) = error else {
            return Self::Late;
        };
        let remedy = match code {
            RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => {
                "make it smaller, or raise max.message.bytes in the topic's spec and apply it"
            }
            RDKafkaErrorCode::InvalidRecord | RDKafkaErrorCode::InvalidMessage => {
                "a setting of the topic forbids it (a compacted topic takes no record without a key)"
            }
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed => {
                "give the user of kafka.username the right to write to the topic"
            }
            _ => return Self::Late,
        };
        Self::Refused(format!("the broker refuses the event ({code}): {remedy}"))
    }
}

// === impl Ended ===

impl Ended {
    /// Whether the whole input was read and waited for.
    pub(super) fn is_whole(self) -> bool {
        match self {
            Self::Input => true,
            Self::Interrupted | Self::AtOnce | Self::Away => false,
        }
    }

    /// What is to be added to the counts.
    pub(super) fn remark(self, counts: &Counts) -> String {
        let again = counts.first_unacknowledged.unwrap_or(counts.last_line + 1);
        let go_on = format!("go on from line {again} (`tail -n +{again}`)");
        match self {
            Self::Input => String::new(),
            Self::Interrupted => format!("; interrupted after line {}: {go_on}", counts.last_line),
            Self::AtOnce => format!(
                "; interrupted after line {}, and what was on its way was not waited for: it may be there or not",
                counts.last_line
            ),
            Self::Away => format!("; stopped, since Kafka does not answer: {go_on}"),
        }
    }
}
