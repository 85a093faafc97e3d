//! From when each change was acknowledged to how long it took: since it was due, and since the broker had it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, Timestamp, TopicPartitionList};

use super::timed::Acknowledged;
use super::{Latencies, Quantiles};
use crate::cli::bench::live::pace::micros;
use crate::cli::bench::topic;
use crate::event::Position;

/// How long reading the topic once more may take without a record.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each change was due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// When the first one was, in microseconds since 1970.
    pub(super) begin_us: u64,
    /// Changes a second.
    pub(super) rate: u32,
    /// What was due in so much time from the first one on is not counted.
    pub(super) skip: Duration,
}

/// When the broker appended each record, in microseconds since 1970, as exactly as it says: to the millisecond, cut off.
#[derive(Debug)]
pub(super) struct Appended(HashMap<Position, u64>);

// === impl Schedule ===

impl Schedule {
    /// When the change of this row was due, in microseconds since 1970; `None` where it is not counted.
    fn due(&self, row: u64) -> Option<u64> {
        let after = row.checked_sub(1)? as f64 / f64::from(self.rate.max(1));
        (after >= self.skip.as_secs_f64()).then(|| self.begin_us + (after * 1e6) as u64)
    }
}

// === impl Appended ===

impl Appended {
    /// Reads the topic once more, after the measured run. Blocks.
    ///
    /// # Errors
    /// Where it cannot be read, or its records do not carry the broker's time.
    pub(super) fn read(brokers: &str, name: &str, partitions: i32) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = topic::config(brokers)
            .set("group.id", "twolane-bench")
            .set("enable.auto.commit", "false")
            .create()
            .context("cannot make a Kafka client")?;
        let mut all = TopicPartitionList::new();
        let mut left = 0;
        for partition in 0..partitions {
            let (start, end) = consumer
                .fetch_watermarks(name, partition, PATIENCE)
                .with_context(|| format!("where {name} partition {partition} ends"))?;
            left += end - start;
            all.add_partition_offset(name, partition, Offset::Beginning)?;
        }
        consumer.assign(&all)?;
        let mut appended = HashMap::new();
        let mut moved = Instant::now();
        while left > 0 {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let Timestamp::LogAppendTime(ms) = message.timestamp() else {
                        bail!("{name}: its records carry no time of the broker's");
                    };
                    let position = Position {
                        partition: message.partition(),
                        offset: message.offset(),
                    };
                    appended.insert(position, u64::try_from(ms)? * 1_000);
                    (left, moved) = (left - 1, Instant::now());
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(why)) => bail!("reading {name} once more: {why}"),
            }
            ensure!(
                moved.elapsed() < PATIENCE,
                "reading {name} once more: {left} records are missing"
            );
        }
        Ok(Self(appended))
    }
}

/// What a sink's times make, of those that count.
///
/// # Errors
/// Where none counts, or one is of a record that the topic does not hold.
pub(super) fn latencies(
    sink: &str,
    seen: &[Acknowledged],
    schedule: Schedule,
    appended: &Appended,
) -> anyhow::Result<Latencies> {
    let (mut from_due, mut from_append) = (micros()?, micros()?);
    for one in seen {
        let Some(due) = schedule.due(one.row) else {
            continue;
        };
        let at = appended.0.get(&one.position);
        let at = at.with_context(|| format!("{sink}: the topic has no record {}", one.position))?;
        from_due.saturating_record(one.at_us.saturating_sub(due));
        from_append.saturating_record(one.at_us.saturating_sub(*at));
    }
    ensure!(!from_due.is_empty(), "{sink}: no change was counted");
    Ok(Latencies {
        sink: sink.to_owned(),
        changes: from_due.len(),
        from_append: Quantiles::of(&from_append),
        from_due: Quantiles::of(&from_due),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule {
        begin_us: 1_000_000,
        rate: 100,
        skip: Duration::from_secs(1),
    };

    fn acknowledged(row: u64, at_us: u64) -> Acknowledged {
        Acknowledged {
            position: Position {
                partition: 0,
                offset: i64::try_from(row).unwrap(),
            },
            row,
            at_us,
        }
    }

    #[test]
    fn a_change_counts_from_when_it_was_due_and_the_first_ones_not_at_all() {
        assert_eq!(SCHEDULE.due(0), None);
        assert_eq!(SCHEDULE.due(100), None);
        // The 101st is due one second after the first.
        assert_eq!(SCHEDULE.due(101), Some(2_000_000));
    }

    #[test]
    fn both_latencies_are_of_the_same_changes() {
        let seen = [acknowledged(100, 9_000_000), acknowledged(101, 2_008_000)];
        let positions = seen.map(|one| (one.position, 2_005_000));
        let appended = Appended(HashMap::from(positions));
        let found = latencies("redis", &seen, SCHEDULE, &appended).unwrap();
        assert_eq!(found.changes, 1);
        assert!((found.from_due.p99_ms - 8.0).abs() < 0.02, "{found:?}");
        assert!((found.from_append.p99_ms - 3.0).abs() < 0.02, "{found:?}");
        assert!(latencies("redis", &seen, SCHEDULE, &Appended(HashMap::new())).is_err());
        assert!(latencies("redis", &seen[..1], SCHEDULE, &appended).is_err());
    }
}
