//! The branch that rejected a letter, as far as a replay needs it: the same decoder, projection and sink as the
//! lane's workers have, and the same checks before anything is written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::letter::Letter;
use crate::config::{Deletes, Partitioner, PipelineSpec, Settings, SinkSpec};
use crate::decode::{self, DecodeError, Decoder, Schemas};
use crate::event::partition::predicted_partition;
use crate::event::{Batch, Body, Changes, Origin, Pass, Position, Record, Version};
use crate::retry::{Because, Delays, Server};
use crate::schema_registry::{RegistryError, SchemaRegistry};
use crate::sink::{Outcome, Sink, SinkError, SinkHub, registry};
use crate::source::Probe;
use crate::transform::Projection;

/// How often a write is tried: with the delays of [`Delays::server`] some 5 s, in which a failover or a
/// restart passes; whoever waits at the command line should hear of a longer outage.
const ATTEMPTS: u32 = 7;
/// How old the last check of the topic's identity may be.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its record is in the sink.
    Applied,
    /// The sink holds the same version or a higher one.
    Superseded(Option<Version>),
    /// Its record changes no document.
    Passed(Pass),
    /// It would be written.
    Ready,
    /// The decoder or the sink does not take it: why.
    Rejected(String),
    /// It may not be written: why.
    Refused(String),
    /// It could not be tried: why.
    Failed(String),
}

/// A branch, opened for replays.
pub(crate) struct Branch {
    pipeline: Arc<PipelineSpec>,
    spec: SinkSpec,
    probe: Probe,
    hub: Arc<dyn SinkHub>,
    server: Arc<Server>,
    sink: Arc<dyn Sink>,
    decoder: Box<dyn Decoder>,
    /// Answers for schemas that a record names.
    registry: Option<SchemaRegistry>,
    schemas: Arc<Schemas>,
    projection: Projection,
    batch: Batch,
    checked: Option<Instant>,
    /// One past the last record of a partition, as last asked.
    ends: BTreeMap<i32, i64>,
    /// Why nothing more is tried.
    closed: Option<Verdict>,
}

// === impl Branch ===

impl Branch {
    /// Asks no server yet.
    ///
    /// # Errors
    /// Where the settings or the specs make no branch.
    pub(crate) fn open(
        settings: &Settings,
        pipeline: &Arc<PipelineSpec>,
        spec: &SinkSpec,
    ) -> anyhow::Result<Self> {
        let hub = registry::hub(settings, pipeline, spec)?;
        let schemas = Arc::default();
        let group = format!("{}.{}", pipeline.name, spec.name);
        Ok(Self {
            probe: Probe::new(&settings.kafka, Arc::clone(&pipeline.topic), &group)?,
            server: registry::server(settings, spec),
            sink: hub.connect()?,
            decoder: decode::decoder(&pipeline.topic, &schemas),
            projection: registry::projection(pipeline, spec)?,
            registry: settings
                .schema_registry
                .as_ref()
                .map(SchemaRegistry::new)
                .transpose()
                .map_err(anyhow::Error::msg)?,
            schemas,
            batch: Batch::new(hub.shape()),
            hub,
            pipeline: Arc::clone(pipeline),
            spec: spec.clone(),
            checked: None,
            ends: BTreeMap::new(),
            closed: None,
        })
    }

    /// Writes the letter's record with its original version, unless `dry_run`; everything else is checked in
    /// either case.
    pub(crate) async fn replay(&mut self, letter: &Letter, now_ms: i64, dry_run: bool) -> Verdict {
        let (position, version, timestamp_ms) =
            match admit(letter, &self.pipeline, &self.spec, now_ms) {
                Ok(admitted) => admitted,
                Err(why) => return Verdict::Refused(why),
            };
        if let Some(closed) = &self.closed {
            return closed.clone();
        }
        if let Err(verdict) = self.check().await {
            self.closed = Some(verdict.clone());
            return verdict;
        }
        match self.end(position).await {
            Ok(end) if position.offset < end => {}
            Ok(end) => {
                return Verdict::Refused(format!(
                    "{position} is past the end of topic {} ({end}): the topic was made anew, and this is a letter of \
                     the one before",
                    self.pipeline.topic.name
                ));
            }
            Err(why) => return Verdict::Failed(why),
        }
        let mut packed = Vec::new();
        let record = letter.record(position, timestamp_ms, &mut packed);
        let select = loop {
            match self.fill(&record, version) {
                Ok(Ok(select)) => break select,
                Ok(Err(pass)) => return Verdict::Passed(pass),
                Err(why) => match (why.needs, &self.registry) {
                    (Some(id), Some(registry)) => match registry.schema(id).await {
                        Ok(text) => self.schemas.insert(id, text),
                        Err(why @ RegistryError::Unknown(_)) => {
                            return Verdict::Rejected(why.to_string());
                        }
                        Err(why @ RegistryError::Away { .. }) => {
                            return Verdict::Failed(why.to_string());
                        }
                    },
                    (_, _) => return Verdict::Rejected(why.to_string()),
                },
            }
        };
        if brings_back_deleted(self.spec.deletes, &self.batch, &select) {
            return Verdict::Refused(format!(
                "becomes a repair (not available yet): with deletes = \"hard\" sink {} does not remember deleted rows, \
                 and this record could bring one back",
                self.spec.name
            ));
        }
        if dry_run {
            return Verdict::Ready;
        }
        let verdict = self.write(select, position).await;
        if let Verdict::Failed(_) = verdict {
            self.closed = Some(verdict.clone());
        }
        verdict
    }

    /// The topic's identity, and the sink's.
    async fn check(&mut self) -> Result<(), Verdict> {
        if self.checked.is_some_and(|at| at.elapsed() < CHECK_EVERY) {
            return Ok(());
        }
        let identity = self.probe.identity().await;
        let identity = identity.map_err(|why| Verdict::Failed(why.to_string()))?;
        match self.hub.inspect(&identity).await {
            Ok(()) => {
                self.checked = Some(Instant::now());
                Ok(())
            }
            Err(SinkError::Refused(why)) => Err(Verdict::Refused(why)),
            Err(
                why @ (SinkError::Unavailable { .. }
                | SinkError::Late(_)
                | SinkError::TooLarge(_)
                | SinkError::Forgot { .. }),
            ) => Err(Verdict::Failed(why.to_string())),
        }
    }

    /// One past the last record of the position's partition, asked anew where the last answer is too low.
    async fn end(&mut self, position: Position) -> Result<i64, String> {
        if let Some(end) = self.ends.get(&position.partition)
            && position.offset < *end
        {
            return Ok(*end);
        }
        let asked = self.probe.watermarks(position.partition).await;
        let (_, end) = asked.map_err(|why| why.to_string())?;
        self.ends.insert(position.partition, end);
        Ok(end)
    }

    /// Puts the record's writes into the batch and selects them: of several to one document, which share their
    /// version, the last, as the lane does.
    fn fill(
        &mut self,
        record: &Record<'_>,
        version: Version,
    ) -> Result<Result<Vec<u32>, Pass>, DecodeError> {
        self.batch.clear();
        let changes = match self.decoder.decode(record)? {
            Changes::Pass(pass) => return Ok(Err(pass)),
            Changes::One(change) => vec![change],
            Changes::Many(changes) => changes,
            // What it may not write is still in the letter.
            Changes::Partly { rows, .. } => rows,
        };
        let mut written = Vec::with_capacity(changes.len());
        for change in &changes {
            let origin = Origin {
                position: record.position,
                version,
                record: 0,
                committed_ms: change.source.committed_ms,
            };
            written.push(self.projection.write(change, origin, &mut self.batch)?);
        }
        Ok(Ok(last_of_each(&self.batch, &written)))
    }

    /// Writes the selection; one verdict for all of it, the worst.
    async fn write(&mut self, select: Vec<u32>, position: Position) -> Verdict {
        let mut delays = Delays::server();
        let mut attempts = 0;
        let mut parts = VecDeque::from([select]);
        let mut applied = false;
        let mut by = None;
        while let Some(part) = parts.pop_front() {
            let why = match self.sink.write(&self.batch, &part, &[]).await {
                Ok(outcomes) if outcomes.len() == part.len() => {
                    let mut again = Vec::new();
                    let mut why = None;
                    for (at, outcome) in part.into_iter().zip(outcomes) {
                        match outcome {
                            Outcome::Applied => applied = true,
                            Outcome::Superseded { by: held } => by = by.max(held),
                            Outcome::Rejected(failure) => {
                                return Verdict::Rejected(format!(
                                    "{}: {}",
                                    failure.kind, failure.detail
                                ));
                            }
                            Outcome::Retry(failure) => {
                                again.push(at);
                                why = Some(format!("{}: {}", failure.kind, failure.detail));
                            }
                        }
                    }
                    let Some(why) = why else { continue };
                    parts.push_front(again);
                    why
                }
                Ok(outcomes) => {
                    let why = format!("{} answers to {} writes", outcomes.len(), part.len());
                    parts.push_front(part);
                    why
                }
                Err(SinkError::TooLarge(why)) => {
                    if part.len() < 2 {
                        return Verdict::Rejected(format!("too_large: {why}"));
                    }
                    parts.extend(part.chunks(part.len().div_ceil(2)).map(<[u32]>::to_vec));
                    continue;
                }
                Err(SinkError::Unavailable { detail, alarm: _ } | SinkError::Late(detail)) => {
                    parts.push_front(part);
                    detail
                }
                Err(SinkError::Refused(why)) => return Verdict::Failed(why),
                Err(why @ SinkError::Forgot { .. }) => return Verdict::Failed(why.to_string()),
            };
            attempts += 1;
            if attempts >= ATTEMPTS {
                return Verdict::Failed(why);
            }
            self.server.again(&mut delays, Because::Refused).await;
        }
        if let Some(held) = by
            && let Err(verdict) = self.exists(held, position).await
        {
            return verdict;
        }
        if applied {
            Verdict::Applied
        } else {
            Verdict::Superseded(by)
        }
    }

    /// Whether a version that stands in the way is one of this topic's.
    async fn exists(&mut self, held: Version, position: Position) -> Result<(), Verdict> {
        let epoch = self.pipeline.topic.epoch.get();
        let at = Position {
            offset: held.offset(),
            ..position
        };
        let end = self.end(at).await.map_err(Verdict::Failed)?;
        if held.epoch_bits() == epoch && held.offset() < end {
            return Ok(());
        }
        Err(Verdict::Rejected(format!(
            "the sink holds version {held} (epoch {}, offset {}), which no record of partition {} has (epoch {epoch}, end \
             offset {end}): the topic was made anew, or something else writes to this sink",
            held.epoch_bits(),
            held.offset(),
            position.partition,
        )))
    }
}

/// Of the writes to each document the last, in their order.
fn last_of_each(batch: &Batch, written: &[u32]) -> Vec<u32> {
    let mut last = HashMap::new();
    for at in written {
        if let Some(write) = batch.writes().get(*at as usize) {
            last.insert(batch.id(write), *at);
        }
    }
    let mut select: Vec<u32> = last.into_values().collect();
    select.sort_unstable();
    select
}

/// Whether a sink that remembers no deleted row might show one again.
fn brings_back_deleted(deletes: Deletes, batch: &Batch, select: &[u32]) -> bool {
    let upserts = |at: &u32| match batch.writes().get(*at as usize).map(|w| batch.body(w)) {
        Some(Body::Json(_) | Body::Fields(_)) => true,
        Some(Body::Delete) | None => false,
    };
    match deletes {
        Deletes::Tombstone => false,
        Deletes::Hard => select.iter().any(upserts),
    }
}

/// Where the letter's record stood, its original version and its time; or why it may not be written again.
fn admit(
    letter: &Letter,
    pipeline: &PipelineSpec,
    sink: &SinkSpec,
    now_ms: i64,
) -> Result<(Position, Version, i64), String> {
    let about = &letter.about;
    let topic = &pipeline.topic;
    let spec = topic.file.display();
    if about.topic != topic.name {
        return Err(format!(
            "its record came from topic {}, and pipeline {} reads {}",
            about.topic, pipeline.name, topic.name
        ));
    }
    let (Some(partition), Some(offset), Some(version)) =
        (about.partition, about.offset, about.version)
    else {
        return Err(String::from(
            "its headers do not say which partition, offset and version its record had",
        ));
    };
    if !(0..topic.partitions).contains(&partition) || version.offset() != offset || offset < 0 {
        return Err(format!(
            "its headers contradict each other or {spec}: partition {partition} of {}, offset {offset}, version {version}",
            topic.partitions
        ));
    }
    if version.epoch_bits() != topic.epoch.get() {
        return Err(format!(
            "it is of epoch {}, and {spec} says {}: what the topic now holds is newer than anything of that epoch",
            version.epoch_bits(),
            topic.epoch
        ));
    }
    if let Some(bytes) = about.omitted {
        return Err(format!(
            "its value of {bytes} bytes was omitted: becomes a repair (not available yet)"
        ));
    }
    let record_time = young(about.record_time_ms, "record", sink, now_ms)?;
    young(about.time_ms, "letter", sink, now_ms)?;
    if topic.partitioner == Some(Partitioner::Murmur2)
        && let Some(key) = &letter.key
    {
        let predicted = predicted_partition(key, topic.partitions);
        if predicted != partition {
            return Err(format!(
                "its key belongs to partition {predicted} by the partitioner that {spec} declares, not to {partition}"
            ));
        }
    }
    let position = Position { partition, offset };
    Ok((position, version, record_time))
}

/// A time that lies less than half the sink's horizon back. Past the horizon the sink has forgotten what was
/// deleted, and an older record would bring it back; half of it is left for clocks and for the way there.
fn young(time_ms: Option<i64>, whose: &str, sink: &SinkSpec, now_ms: i64) -> Result<i64, String> {
    let half = sink.horizon / 2;
    let Some(time_ms) = time_ms.filter(|t| *t > 0) else {
        return Err(format!(
            "the {whose}'s time is unknown: becomes a repair (not available yet)"
        ));
    };
    let age = u64::try_from(now_ms.saturating_sub(time_ms)).unwrap_or(0);
    let age = Duration::from_millis(age);
    if age > half {
        return Err(format!(
            "becomes a repair (not available yet): the {whose} is {} old, past half of the horizon of sink {} ({})",
            days(age),
            sink.name,
            days(sink.horizon)
        ));
    }
    Ok(time_ms)
}

/// A duration in its largest fitting unit.
fn days(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        172_800.. => format!("{} days", s / 86_400),
        7_200.. => format!("{} hours", s / 3_600),
        120.. => format!("{} minutes", s / 60),
        _ => format!("{s} s"),
    }
}

#[cfg(test)]
mod tests;
