//! A topic that takes events: from an event's JSON to its record's key and value.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Refused, key};
use crate::config::{Format, TopicSpec};
use crate::decode::AvroSchema;
use crate::transform::scan;

/// What the broker's own framing adds to a record: a batch's header and a record's lengths, and a little.
const FRAMING: usize = 512;
/// The most bytes of a record's batch that a broker takes where the topic does not say.
const DEFAULT_LARGEST: usize = 1_048_588;
/// Levels of nesting that the lane's decoders read.
const MAX_DEPTH: usize = 64;

/// One topic's events.
#[derive(Debug)]
pub struct EventTopic {
    spec: Arc<TopicSpec>,
    schema: AvroSchema,
    /// The schema's file, as it is named to whoever writes events.
    file: String,
    payload: Payload,
    largest: usize,
}

/// What a value is made of.
#[derive(Debug)]
enum Payload {
    /// The event's text.
    Json,
    /// These bytes, which name the schema, and the event's Avro.
    Avro(Vec<u8>),
}

/// Which schema an Avro record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The registry's number: Confluent's wire format.
    ById(u32),
    /// Its fingerprint: Avro's single-object encoding, for those without a registry.
    ByFingerprint,
}

// === impl EventTopic ===

impl EventTopic {
    /// Whether the topic takes events at all. Others hold changes, which capture tools write.
    pub fn takes_events(spec: &TopicSpec) -> bool {
        match spec.format {
            Format::Avro | Format::Json => true,
            Format::DebeziumJson
            | Format::DebeziumAvro
            | Format::CanalJson
            | Format::MaxwellJson => false,
        }
    }

    /// A topic's events; `named` says which schema its Avro records name, and means nothing for JSON.
    ///
    /// # Errors
    /// One sentence where the topic takes no events, or its schema is none.
    pub fn new(spec: &Arc<TopicSpec>, named: Named) -> Result<Self, String> {
        if !Self::takes_events(spec) {
            return Err(format!(
                "the topic {} holds changes of a table ({}), which its capture writes and nobody else: events go to topics of format \"avro\" or \"json\"",
                spec.name,
                spec.format.name()
            ));
        }
        // The spec is not read without it.
        let file = spec.reading.schemas.first();
        let file = file.ok_or_else(|| format!("the topic {} has no schema", spec.name))?;
        let schema = AvroSchema::parse(&file.text)
            .map_err(|why| format!("{} is no Avro schema: {why}", file.file.display()))?;
        let payload = match (spec.format, named) {
            (Format::Avro, Named::ById(id)) => {
                let mut frame = vec![0];
                frame.extend_from_slice(&id.to_be_bytes());
                Payload::Avro(frame)
            }
            (Format::Avro, Named::ByFingerprint) => {
                let fingerprint = crate::decode::fingerprint(&file.text)
                    .ok_or_else(|| format!("{} is no Avro schema", file.file.display()))?;
                let mut frame = vec![0xc3, 0x01];
                frame.extend_from_slice(&fingerprint.to_le_bytes());
                Payload::Avro(frame)
            }
            (
                Format::Json
                | Format::DebeziumJson
                | Format::DebeziumAvro
                | Format::CanalJson
                | Format::MaxwellJson,
                _,
            ) => Payload::Json,
        };
        let largest = spec.config.get("max.message.bytes");
        let largest = largest.and_then(|text| text.parse().ok());
        Ok(Self {
            schema,
            file: file.file.file_name().map_or_else(
                || file.file.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
            payload,
            largest: largest.unwrap_or(DEFAULT_LARGEST).saturating_sub(FRAMING),
            spec: Arc::clone(spec),
        })
    }

    /// The topic.
    pub fn spec(&self) -> &Arc<TopicSpec> {
        &self.spec
    }

    /// Replaces `key` and `value` by those of an event's record.
    ///
    /// # Errors
    /// What is wrong with the event; then the two hold nothing of use.
    pub fn encode(
        &self,
        event: &[u8],
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<(), Refused> {
        key.clear();
        value.clear();
        let text = std::str::from_utf8(event)
            .map_err(|e| Refused::json(format!("is not UTF-8 at byte {}", e.valid_up_to() + 1)))?;
        // serde's own words quote what they met.
        let raw: &RawValue = serde_json::from_str(text).map_err(|e| {
            Refused::json(format!(
                "is not JSON, from line {} column {} of it on",
                e.line(),
                e.column()
            ))
        })?;
        let text = raw.get();
        if !text.starts_with('{') {
            return Err(Refused::json("is JSON, but no object"));
        }
        match scan::nesting(text) {
            Ok(nesting) if nesting.depth > MAX_DEPTH => {
                return Err(Refused::json(format!(
                    "nests deeper than {MAX_DEPTH} levels"
                )));
            }
            Ok(nesting) if nesting.lone_surrogate => {
                return Err(Refused::json(
                    "holds an escape that is no character (a lone surrogate)",
                ));
            }
            Ok(_) => {}
            Err(_) => return Err(Refused::json("is not JSON")),
        }
        match &self.payload {
            Payload::Json => {
                let checked = self.schema.check_json(text);
                checked.map_err(|unfit| Refused::schema(unfit, &self.file))?;
                value.extend_from_slice(text.as_bytes());
            }
            Payload::Avro(frame) => {
                value.extend_from_slice(frame);
                let written = self.schema.write_json(text, value);
                written.map_err(|unfit| Refused::schema(unfit, &self.file))?;
            }
        }
        key::write(&self.spec.key, text, key)?;
        let bytes = key.len() + value.len();
        if bytes > self.largest {
            return Err(Refused::size(bytes, self.largest));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;
    use crate::config::{AvroFile, Reading};
    use crate::decode::{AvroEvents, Decoder, Schemas};
    use crate::event::{Change, Changes, Epoch, Headers, Position, Record};

    const SCHEMA: &str = r#"{"type":"record","name":"Seen","fields":[
        {"name":"id","type":"string"},
        {"name":"item","type":"long"},
        {"name":"from","type":["null","string"],"default":null}
    ]}"#;

    fn spec(format: Format) -> Arc<TopicSpec> {
        Arc::new(TopicSpec {
            name: "seen".into(),
            format,
            key: vec!["id".into()],
            partitions: 1,
            epoch: Epoch::new(1).unwrap(),
            replication: None,
            partitioner: None,
            config: [("max.message.bytes".to_owned(), "1024".to_owned())].into(),
            columns: Default::default(),
            reading: Reading {
                schemas: vec![AvroFile {
                    file: "topics/seen.avsc".into(),
                    text: SCHEMA.into(),
                }],
                ..Reading::default()
            },
            file: "topics/seen.toml".into(),
        })
    }

    fn encode(topic: &EventTopic, event: &[u8]) -> Result<(String, Vec<u8>), Refused> {
        let (mut key, mut value) = (b"old".to_vec(), b"old".to_vec());
        topic.encode(event, &mut key, &mut value)?;
        Ok((String::from_utf8(key).unwrap(), value))
    }

    #[test]
    fn json_goes_as_it_stands_and_its_key_is_the_topics() {
        let topic = EventTopic::new(&spec(Format::Json), Named::ByFingerprint).unwrap();
        let event = br#" {"item":7,"id":"a","from":"b"} "#;
        let (key, value) = encode(&topic, event).unwrap();
        assert_eq!(key, r#"{"id":"a"}"#);
        assert_eq!(value, event.trim_ascii());
    }

    #[test]
    fn avro_is_read_back_by_the_lanes_decoder() {
        let spec = spec(Format::Avro);
        let topic = EventTopic::new(&spec, Named::ByFingerprint).unwrap();
        let (_, value) = encode(&topic, br#"{"item":7,"id":"a"}"#).unwrap();
        let schemas = Arc::new(Schemas::default());
        let mut decoder = AvroEvents::new(&spec, &schemas);
        let position = Position {
            partition: 0,
            offset: 0,
        };
        let mut read = |value: &[u8]| {
            let record = Record {
                position,
                timestamp_ms: 0,
                key: None,
                value: Some(value),
                headers: Headers::default(),
            };
            match decoder.decode(&record).unwrap() {
                Changes::One(Change { after, .. }) => after.unwrap().object.into_owned(),
                other => panic!("{other:?}"),
            }
        };
        let same = r#"{"id":"a","item":7,"from":null}"#;
        assert_eq!(read(&value), same);
        // And with a registry's number before it.
        let topic = EventTopic::new(&spec, Named::ById(258)).unwrap();
        schemas.insert(crate::decode::SchemaId::Number(258), SCHEMA);
        let (_, value) = encode(&topic, br#"{"item":7,"id":"a"}"#).unwrap();
        assert_eq!(value[..5], [0, 0, 0, 1, 2]);
        assert_eq!(read(&value), same);
    }

    #[test]
    fn what_is_refused_says_why_and_where() {
        let long = format!(r#"{{"id":"{}","item":1}}"#, "x".repeat(600));
        let deep = format!(r#"{{"id":{}1{}}}"#, "[".repeat(80), "]".repeat(80));
        for format in [Format::Json, Format::Avro] {
            let topic = EventTopic::new(&spec(format), Named::ByFingerprint).unwrap();
            for (event, reason, field) in [
                (&b"{\"id\":\xff}"[..], Reason::Json, ""),
                (b"{\"id\":", Reason::Json, ""),
                (b"7", Reason::Json, ""),
                (b"[{}]", Reason::Json, ""),
                (deep.as_bytes(), Reason::Json, ""),
                (br#"{"id":"\ud800","item":1}"#, Reason::Json, ""),
                (br#"{"item":1}"#, Reason::Schema, "id"),
                (br#"{"id":"secret","item":"x"}"#, Reason::Schema, "item"),
                (br#"{"id":"a","item":1,"extra":1}"#, Reason::Schema, "extra"),
                (long.as_bytes(), Reason::Size, ""),
            ] {
                let refused = encode(&topic, event).unwrap_err();
                assert_eq!((refused.reason, refused.field.as_str()), (reason, field));
                let text = refused.to_string();
                assert!(!text.contains("secret"), "{text}");
                assert!(text.contains(field) && text.contains(": "), "{text}");
            }
        }
    }

    #[test]
    fn a_captures_topic_takes_no_events() {
        for format in [
            Format::DebeziumJson,
            Format::DebeziumAvro,
            Format::CanalJson,
            Format::MaxwellJson,
        ] {
            let why = EventTopic::new(&spec(format), Named::ByFingerprint).unwrap_err();
            assert!(why.contains(format.name()), "{why}");
        }
    }
}
