//! One `[[sink]]` of a pipeline.

use toml::de::{DeTable, DeValue};

use super::mapping;
use super::pipeline::{Claim, Claimed, check_name};
use super::pipeline_fields::{ELASTICSEARCH, REDIS, SINK};
use crate::config::read::{Field, Heading, Source, Values};
use crate::config::{
    Deletes, DocumentSpec, ElasticsearchSpec, Place, Problems, RedisShape, RedisSpec, SinkKind,
    SinkSpec, TopicSpec,
};
use crate::transform::IdTemplate;

/// What a sink is read in.
pub(super) struct Context<'c> {
    /// The pipeline's name.
    pub pipeline: &'c str,
    /// The topic's name, also where it has no spec.
    pub topic_name: &'c str,
    /// The topic, where its spec is there and right.
    pub topic: Option<&'c TopicSpec>,
    /// How its rows become documents.
    pub document: &'c DocumentSpec,
    /// The pipeline's file.
    pub source: &'c Source,
}

/// A sink as far as it could be read.
pub(super) struct ReadSink {
    /// The branch's name, and where it is written.
    pub name: Option<(String, Place)>,
    /// The spec, where nothing is wrong with it.
    pub spec: Option<SinkSpec>,
    /// What it claims for itself.
    pub claim: Option<Claim>,
}

/// Reads one section. What is wrong goes to `problems`.
pub(super) fn read(
    section: &DeTable<'_>,
    place: &Place,
    context: &Context<'_>,
    problems: &mut Problems,
) -> ReadSink {
    let kind = match section.get("type").map(|kind| kind.get_ref()) {
        Some(DeValue::String(kind)) => Some(kind.as_ref()),
        _ => None,
    };
    let (own, other): (&[Field], &[Field]) = match kind {
        Some("elasticsearch") => (&ELASTICSEARCH, &REDIS),
        Some("redis") => (&REDIS, &ELASTICSEARCH),
        // The keys of both are let pass, so that the wrong type is the only thing said.
        Some(_) | None => {
            let mut values = Values::new(
                SINK.iter().chain(&ELASTICSEARCH).chain(&REDIS),
                place.clone(),
            );
            values.read_table(section, context.source, &heading(&|_| None), problems);
            let type_alone = Values::new(
                SINK.iter().filter(|field| field.path == "type"),
                place.clone(),
            );
            if section.get("type").is_none() {
                type_alone.require(problems);
            }
            return ReadSink {
                name: None,
                spec: None,
                claim: None,
            };
        }
    };
    let hint = |key: &str| {
        let elsewhere = other.iter().any(|field| field.path == key);
        elsewhere.then(|| {
            format!(
                "it is not one of a sink of type {:?}",
                kind.unwrap_or_default()
            )
        })
    };
    let mut values = Values::new(SINK.iter().chain(own), place.clone());
    values.read_table(section, context.source, &heading(&hint), problems);
    values.require(problems);
    build(&values, context, problems)
}

fn heading<'h>(hint: &'h dyn Fn(&str) -> Option<String>) -> Heading<'h> {
    Heading {
        name: "[[sink]]",
        hint,
    }
}

fn build(values: &Values, context: &Context<'_>, problems: &mut Problems) -> ReadSink {
    let is_redis = values.text("type").as_deref() == Some("redis");
    let name = values.text("name").or_else(|| values.text("type"));
    if let Some(Err(wrong)) = name.as_deref().map(check_name) {
        let message = format!("name {:?} {wrong}", name.as_deref().unwrap_or_default());
        problems.add(values.place("name"), message);
    }
    let buffer_bytes = values.size("buffer_bytes");
    let batch_bytes = values.size("batch_bytes");
    if values.given("batch_bytes") && batch_bytes > buffer_bytes {
        let message = "batch_bytes is above buffer_bytes, so no batch could ever fill: lower it, or raise the other";
        problems.add(values.place("batch_bytes"), message);
    }
    let (kind, claimed, claim_field) = if is_redis {
        let (spec, claimed) = redis(values, context, problems);
        (spec.map(SinkKind::Redis), claimed, "key")
    } else {
        let (spec, claimed) = elasticsearch(values, context, problems);
        (spec.map(SinkKind::Elasticsearch), claimed, "index")
    };
    let claim = (|| {
        Some(Claim {
            branch: format!("{}.{}", context.pipeline, name.as_ref()?),
            topic: context.topic_name.to_owned(),
            of: claimed,
            place: values.place(claim_field),
            horizon: values.duration("horizon")?,
        })
    })();
    let deletes = match values.text("deletes").as_deref() {
        Some("hard") => Deletes::Hard,
        Some(_) | None => Deletes::Tombstone,
    };
    let spec = (|| {
        Some(SinkSpec {
            name: name.clone()?,
            kind: kind?,
            deletes,
            horizon: values.duration("horizon")?,
            workers: usize::try_from(values.integer("workers")).ok()?,
            in_flight: usize::try_from(values.integer("in_flight")).ok()?,
            batch_documents: usize::try_from(values.integer("batch_documents")).ok()?,
            batch_bytes: batch_bytes.min(buffer_bytes),
            linger: values.duration("linger")?,
            buffer_bytes,
            alone_deadline: values.duration("alone_deadline")?,
        })
    })();
    ReadSink {
        name: name.map(|name| (name, values.place("name"))),
        spec,
        claim,
    }
}

fn elasticsearch(
    values: &Values,
    context: &Context<'_>,
    problems: &mut Problems,
) -> (Option<ElasticsearchSpec>, Claimed) {
    let index = values.text("index");
    let legal = index.as_deref().map(check_index);
    if let (Some(index), Some(Err(wrong))) = (&index, &legal) {
        problems.add(values.place("index"), format!("index {index:?} {wrong}"));
    }
    let claimed = match (&index, legal) {
        (Some(index), Some(Ok(()))) => Claimed::Index(index.clone()),
        _ => Claimed::Nothing,
    };
    let mapping = match values.path("mapping") {
        Some(file) => {
            mapping::read(&file, &values.place("mapping"), context.document, problems).map(Some)
        }
        None => Some(None),
    };
    let spec = (|| {
        Some(ElasticsearchSpec {
            index: index?,
            mapping: mapping?,
        })
    })();
    (spec, claimed)
}

/// Elasticsearch's own rules for names, with room for the `-v1` of the index behind the alias.
fn check_index(index: &str) -> Result<(), &'static str> {
    const LONGEST: usize = 255 - "-v1".len();
    if index.chars().any(char::is_uppercase) {
        Err("must be in lower case, which Elasticsearch demands")
    } else if index
        .chars()
        .any(|c| c.is_whitespace() || "\\/*?\"<>|,#:".contains(c))
    {
        Err("may hold no spaces and none of \\ / * ? \" < > | , # :")
    } else if index.starts_with(['-', '_', '+', '.']) {
        Err("may not begin with '-', '_', '+' or '.'")
    } else if index.len() > LONGEST {
        Err(
            "is longer than the 252 bytes that Elasticsearch takes, with the \"-v1\" of the index behind it",
        )
    } else {
        Ok(())
    }
}

/// Keys of this program's own begin so: markers and tallies.
const OWN_KEYS: &str = "twolane:";

fn redis(
    values: &Values,
    context: &Context<'_>,
    problems: &mut Problems,
) -> (Option<RedisSpec>, Claimed) {
    let key = values.text("key");
    let mut claimed = Claimed::Nothing;
    if let (Some(key), Some(topic)) = (&key, context.topic) {
        match IdTemplate::parse(key, &topic.key) {
            Ok(template) => {
                let prefix = template.literal_prefix();
                if prefix.starts_with(OWN_KEYS) || OWN_KEYS.starts_with(prefix) {
                    let message = format!(
                        "key `{key}` may not begin with {OWN_KEYS:?} or with a beginning of it, where this program keeps its own keys: choose another prefix"
                    );
                    problems.add(values.place("key"), message);
                } else {
                    claimed = Claimed::Prefix(prefix.to_owned());
                }
            }
            Err(wrong) => problems.add(values.place("key"), format!("key {wrong}")),
        }
    }
    let shape = match values.text("shape").as_deref() {
        Some("string") => RedisShape::String,
        Some(_) | None => RedisShape::Hash,
    };
    let ttl = values.duration("ttl");
    (key.map(|key| RedisSpec { key, shape, ttl }), claimed)
}
