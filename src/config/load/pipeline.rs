//! From one file under `pipelines/` to a [`PipelineSpec`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeArray, DeTable, DeValue};

use super::pipeline_fields::PIPELINE;
use super::{document, sink};
use crate::config::read::{Heading, Source, Values, did_you_mean, listed};
use crate::config::{
    DocumentSpec, PipelineSpec, Place, Problems, SinkSpec, SuperviseSpec, TopicSpec,
};

/// The topics that pipelines may name: the spec, or `None` where the file that declares it is wrong.
pub(super) type Topics = BTreeMap<String, Option<Arc<TopicSpec>>>;

/// A pipeline spec, and what it claims of the sinks.
pub(super) struct ReadPipeline {
    /// The spec, where nothing that it needs is wrong.
    pub spec: Option<PipelineSpec>,
    /// What its sinks claim.
    pub claims: Vec<Claim>,
}

/// What a sink claims for itself, to be compared with all others.
pub(super) struct Claim {
    /// `<pipeline>.<sink>`.
    pub branch: String,
    /// The topic that it reads.
    pub topic: String,
    /// What it claims.
    pub of: Claimed,
    /// Where the claim is written.
    pub place: Place,
    /// How long it keeps what was deleted.
    pub horizon: std::time::Duration,
}

/// What can be claimed once.
pub(super) enum Claimed {
    /// An index by its alias.
    Index(String),
    /// Every Redis key with this prefix.
    Prefix(String),
    /// The sink's own claim is wrong.
    Nothing,
}

/// Reads one file. What is wrong goes to `problems`.
pub(super) fn read(file: &Path, topics: &Topics, problems: &mut Problems) -> Option<ReadPipeline> {
    let source = Source::read(file, problems)?;
    let name = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default()
        .to_owned();
    if let Err(wrong) = check_name(&name) {
        let message = format!("the file's name makes the pipeline's, {name:?}, which {wrong}");
        problems.add(Place::File(file.to_owned()), message);
    }
    if name == super::live::NAME {
        let message = "the file's name makes the pipeline's, \"live\", which is the live lane's: choose another name";
        problems.add(Place::File(file.to_owned()), message);
    }
    if name == super::ingest::NAME {
        let message = "the file's name makes the pipeline's, \"ingest\", which is the HTTP ingest's: choose another name";
        problems.add(Place::File(file.to_owned()), message);
    }
    let table = source.toml(problems)?;
    let mut values = Values::new(&PIPELINE, source.at(1, 1));
    values.read_table(table.get_ref(), &source, &Heading::TOP, problems);
    values.require(problems);

    let topic = topic(&values, topics, problems);
    let topic_name = values.text("topic").unwrap_or_default();
    let document = document::read(&values, topic.as_deref(), problems);
    let sinks = sinks(
        &name,
        &topic_name,
        table.get_ref(),
        &source,
        topic.as_deref(),
        &document,
        problems,
    );
    let (sinks, claims): (Vec<Option<SinkSpec>>, Vec<Option<Claim>>) = sinks.into_iter().unzip();
    let spec = (|| {
        Some(PipelineSpec {
            name,
            topic: topic?,
            document,
            sinks: sinks.into_iter().collect::<Option<_>>()?,
            supervise: SuperviseSpec {
                max_restarts: u32::try_from(values.integer("supervise.max_restarts")).ok()?,
                within: values.duration("supervise.within")?,
            },
            file: file.to_owned(),
        })
    })();
    Some(ReadPipeline {
        spec,
        claims: claims.into_iter().flatten().collect(),
    })
}

/// A branch's group is `<pipeline>.<sink>`, so neither part may hold a dot.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    // Two parts and the dot stay within the 249 characters that Kafka allows names.
    const LONGEST: usize = 100;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.is_empty() || !name.bytes().all(legal) {
        return Err("may hold letters, digits, '_' and '-' only, since it is a part of the consumer group's name".to_owned());
    }
    if name.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} characters"));
    }
    Ok(())
}

fn topic(values: &Values, topics: &Topics, problems: &mut Problems) -> Option<Arc<TopicSpec>> {
    let name = values.text("topic")?;
    if let Some(spec) = topics.get(&name) {
        return spec.clone();
    }
    let advice = match did_you_mean(&name, topics.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!(
            "the specs there are: {}",
            listed(topics.keys().map(String::as_str), "and")
        ),
    };
    problems.add(
        values.place("topic"),
        format!("topic {name:?} has no spec file: {advice}"),
    );
    None
}

fn sinks(
    pipeline: &str,
    topic_name: &str,
    table: &DeTable<'_>,
    source: &Source,
    topic: Option<&TopicSpec>,
    document: &DocumentSpec,
    problems: &mut Problems,
) -> Vec<(Option<SinkSpec>, Option<Claim>)> {
    let sections = match table
        .get("sink")
        .map(|sinks| (sinks.span(), sinks.get_ref()))
    {
        Some((_, DeValue::Array(sections))) if !sections.is_empty() => sections,
        None | Some((_, DeValue::Array(_))) => {
            let message =
                "there is no [[sink]]: add one with type = \"elasticsearch\" or type = \"redis\"";
            problems.add(source.at(1, 1), message);
            return Vec::new();
        }
        Some((
            span,
            DeValue::Table(_)
            | DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_),
        )) => {
            problems.add(
                source.place(span.start),
                "a sink is written as [[sink]], with two brackets",
            );
            return Vec::new();
        }
    };
    let mut names: BTreeMap<String, Place> = BTreeMap::new();
    sections_of(sections, source, problems)
        .map(|(place, section)| {
            let context = sink::Context {
                pipeline,
                topic_name,
                topic,
                document,
                source,
            };
            let read = sink::read(section, &place, &context, problems);
            if let Some((name, place)) = read.name {
                if names.contains_key(&name) {
                    let message = format!(
                        "two sinks are named {name:?}: give one of them another name = \"…\""
                    );
                    problems.add(place.clone(), message);
                }
                names.insert(name, place);
            }
            (read.spec, read.claim)
        })
        .collect()
}

fn sections_of<'t>(
    sections: &'t DeArray<'t>,
    source: &Source,
    problems: &mut Problems,
) -> impl Iterator<Item = (Place, &'t DeTable<'t>)> + use<'t> {
    let mut tables = Vec::new();
    for section in sections.iter() {
        let place = source.place(section.span().start);
        match section.get_ref() {
            DeValue::Table(table) => tables.push((place, table)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                problems.add(place, "a sink is written as [[sink]], with keys below it")
            }
        }
    }
    tables.into_iter()
}
