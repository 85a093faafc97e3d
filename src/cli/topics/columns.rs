//! Columns that a topic's newest rows have and its spec does not, and the other way round: what the table looks
//! like by now, as far as its changes say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};

use super::item::{Item, Verdict};
use crate::config::{Settings, TopicSpec};
use crate::decode::{Decoder, Schemas, decoder};
use crate::event::{Changes, Headers, Position, Record};
use crate::schema_registry::SchemaRegistry;
use crate::source::client_config;
use crate::transform::scan::Members;

/// The newest records of a partition that are looked at: enough to meet a row among tombstones and heartbeats.
const NEWEST: i64 = 10;
/// How long one partition's may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What differs; nothing where the spec declares no columns, or the topic holds no row that can be read.
pub(super) async fn of(settings: &Settings, spec: &Arc<TopicSpec>) -> Option<Item> {
    if spec.columns.is_empty() {
        return None;
    }
    let what = format!("columns of {}", spec.name);
    let (kafka, topic) = (settings.kafka.clone(), Arc::clone(spec));
    let read = tokio::task::spawn_blocking(move || newest(&client_config(&kafka), &topic)).await;
    let records = match read.map_err(anyhow::Error::from).and_then(|read| read) {
        Ok(records) => records,
        Err(why) => return Some(Item::failed(what, format!("{why:#}"))),
    };
    let found = columns(settings, spec, &records).await?;
    let declared: BTreeSet<String> = spec.columns.keys().cloned().collect();
    let difference = |of: &BTreeSet<String>, other: &BTreeSet<String>, words: &str| {
        let lines = of.difference(other);
        lines
            .map(|column| format!("`{column}` {words}"))
            .collect::<Vec<_>>()
    };
    let mut lines = difference(
        &found,
        &declared,
        "is in the newest rows and not in [columns]: declare its type there, or leave it to `on_new_column`",
    );
    lines.extend(difference(
        &declared,
        &found,
        "is in [columns] and not in the newest rows: was it dropped, or renamed?",
    ));
    let verdict = if lines.is_empty() {
        Verdict::Keep
    } else {
        Verdict::Differs(lines)
    };
    Some(Item::new(what, verdict))
}

/// The columns of the newest row that can be read.
async fn columns(
    settings: &Settings,
    spec: &TopicSpec,
    records: &[OwnedMessage],
) -> Option<BTreeSet<String>> {
    let schemas = Arc::new(Schemas::default());
    let mut decoder = decoder(spec, &schemas);
    let mut newest: Vec<&OwnedMessage> = records.iter().collect();
    newest.sort_by_key(|record| std::cmp::Reverse(record.timestamp().to_millis()));
    for message in newest {
        let record = Record {
            position: Position {
                partition: message.partition(),
                offset: message.offset(),
            },
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            key: message.key(),
            value: message.payload(),
            headers: Headers::default(),
        };
        let mut found = row(decoder.as_mut(), &record);
        if let Err(Some(id)) = found
            && let Some(registry) = &settings.schema_registry
            && let Ok(registry) = SchemaRegistry::new(registry)
            && let Ok(text) = registry.schema(id).await
        {
            schemas.insert(id, text);
            found = row(decoder.as_mut(), &record);
        }
        if let Ok(Some(columns)) = found {
            return Some(columns);
        }
    }
    None
}

/// The columns of a record's last row, if it holds one; or the schema that it cannot be read without.
fn row(
    decoder: &mut dyn Decoder,
    record: &Record<'_>,
) -> Result<Option<BTreeSet<String>>, Option<crate::decode::SchemaId>> {
    let rows = match decoder.decode(record).map_err(|e| e.needs)? {
        Changes::One(row) => vec![row],
        Changes::Many(rows) | Changes::Partly { rows, .. } => rows,
        Changes::Pass(_) => Vec::new(),
    };
    let Some(row) = rows.into_iter().rev().find_map(|row| row.after) else {
        return Ok(None);
    };
    let mut columns = BTreeSet::new();
    let mut members = Members::of(&row.object).map_err(|_| None)?;
    while let Some((name, _)) = members.next().map_err(|_| None)? {
        let mut plain = Vec::new();
        name.unescape(&mut plain).map_err(|_| None)?;
        columns.insert(String::from_utf8_lossy(&plain).into_owned());
    }
    Ok(Some(columns))
}

/// Blocks.
fn newest(config: &rdkafka::ClientConfig, spec: &TopicSpec) -> anyhow::Result<Vec<OwnedMessage>> {
    let consumer: BaseConsumer = config
        .clone()
        // librdkafka assigns nothing without a name for a group; the brokers never hear of it.
        .set("group.id", "twolane-topics")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .create()
        .context("the settings under [kafka] make no client")?;
    let mut all = Vec::new();
    for partition in 0..spec.partitions {
        let asking = || format!("Kafka does not say what is in {}", spec.name);
        let (start, end) = consumer
            .fetch_watermarks(&spec.name, partition, TIMEOUT)
            .with_context(asking)?;
        if start == end {
            continue;
        }
        let from = Offset::Offset((end - NEWEST).max(start));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&spec.name, partition, from)?;
        consumer.assign(&list)?;
        let (begun, mut next) = (Instant::now(), start);
        while next < end && begun.elapsed() < TIMEOUT {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    next = message.offset() + 1;
                    all.push(message.detach());
                }
                // Compaction and transactions leave gaps, also at the end.
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(why)) => return Err(why).with_context(asking),
                None => {}
            }
        }
    }
    Ok(all)
}
