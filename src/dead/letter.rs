//! One dead letter as it stands in its topic.
//!
//! Headers are taken as they come: what is missing or no number is `None`, and whoever needs it says so.

use std::fmt;
use std::str::FromStr;

use rdkafka::message::{Headers as _, Message};

use crate::event::{Headers, Position, Record, Version};
use crate::sink::dead_letter::header;

/// A letter's own place in the dead-letter topic: `OFFSET`, or `PARTITION:OFFSET` where it is not in partition
/// 0, in which the lane puts them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// A letter.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) at: At,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// The record's own headers.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) about: About,
}

/// What the lane's headers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Why, as one fixed word; empty where the headers do not say.
    pub(crate) reason: String,
    /// Why, in words.
    pub(crate) detail: String,
    pub(crate) pipeline: String,
    pub(crate) sink: String,
    /// Where the record came from.
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) offset: Option<i64>,
    pub(crate) version: Option<Version>,
    /// When it was rejected, in milliseconds since 1970.
    pub(crate) time_ms: Option<i64>,
    /// The record's own time, in milliseconds since 1970.
    pub(crate) record_time_ms: Option<i64>,
    /// The size of a value that was too large to be kept, in bytes.
    pub(crate) omitted: Option<u64>,
}

// === impl At ===

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (partition, offset) = text.split_once(':').unwrap_or(("0", text));
        match (partition.parse(), offset.parse()) {
            (Ok(partition @ 0..), Ok(offset @ 0..)) => Ok(Self { partition, offset }),
            _ => Err(String::from(
                "a letter is named by its offset in the dead-letter topic, as `twolane dead list` prints it",
            )),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            0 => write!(f, "{}", self.offset),
            partition => write!(f, "{partition}:{}", self.offset),
        }
    }
}

// === impl Letter ===

impl Letter {
    /// Copies a letter out of the client's memory.
    pub(crate) fn of(message: &impl Message) -> Self {
        let mut headers = Vec::new();
        let mut about = About::default();
        for h in message.headers().into_iter().flat_map(|h| h.iter()) {
            if h.key.starts_with(header::PREFIX) {
                about.take(h.key, h.value);
            } else {
                headers.push((h.key.to_owned(), h.value.map(<[u8]>::to_vec)));
            }
        }
        Self {
            at: At {
                partition: message.partition(),
                offset: message.offset(),
            },
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
            about,
        }
    }

    /// The record as the lane met it. `packed` takes its headers.
    pub(crate) fn record<'a>(
        &'a self,
        position: Position,
        timestamp_ms: i64,
        packed: &'a mut Vec<u8>,
    ) -> Record<'a> {
        packed.clear();
        for (name, value) in &self.headers {
            Headers::push(packed, name, value.as_deref());
        }
        Record {
            position,
            timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::packed(packed),
        }
    }
}

// === impl About ===

impl About {
    fn take(&mut self, name: &str, value: Option<&[u8]>) {
        let text = String::from_utf8_lossy(value.unwrap_or_default());
        match name {
            header::REASON => self.reason = text.into_owned(),
            header::DETAIL => self.detail = text.into_owned(),
            header::PIPELINE => self.pipeline = text.into_owned(),
            header::SINK => self.sink = text.into_owned(),
            header::TOPIC => self.topic = text.into_owned(),
            header::PARTITION => self.partition = text.parse().ok(),
            header::OFFSET => self.offset = text.parse().ok(),
            header::VERSION => self.version = text.parse().ok().map(Version::from_raw),
            header::TIME => self.time_ms = text.parse().ok(),
            header::RECORD_TIME => self.record_time_ms = text.parse().ok(),
            header::VALUE_OMITTED => self.omitted = text.parse().ok().or(Some(0)),
            // One that a later release adds.
            _ => {}
        }
    }

    /// `<pipeline>.<sink>`.
    pub(crate) fn branch(&self) -> String {
        format!("{}.{}", self.pipeline, self.sink)
    }

    /// `topic/partition/offset` of the record.
    pub(crate) fn source(&self) -> String {
        let number = |n: Option<i64>| n.map_or_else(|| String::from("?"), |n| n.to_string());
        format!(
            "{}/{}/{}",
            self.topic,
            number(self.partition.map(i64::from)),
            number(self.offset)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Epoch;
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
    use rdkafka::{Timestamp, message};

    fn message(headers: &[(&str, &str)]) -> OwnedMessage {
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (k, v)| {
            all.insert(Header {
                key: k,
                value: Some(v.as_bytes()),
            })
        });
        let key = Some(b"k".to_vec());
        message::OwnedMessage::new(
            None,
            key,
            String::from("t.dead"),
            Timestamp::NotAvailable,
            0,
            7,
            Some(headers),
        )
    }

    #[test]
    fn a_letter_is_named_by_its_offset_and_by_its_partition_where_that_is_not_0() {
        for (text, partition, offset) in [("17", 0, 17), ("2:17", 2, 17)] {
            let at: At = text.parse().unwrap();
            assert_eq!(at, At { partition, offset });
            assert_eq!(at.to_string(), text);
        }
        for bad in ["", "x", "-1", "1:", ":1", "-1:1", "1:2:3"] {
            assert!(bad.parse::<At>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_lanes_headers_are_apart_from_the_records_own() {
        let version = Version::new(Epoch::new(3).unwrap(), 41).unwrap();
        let letter = Letter::of(&message(&[
            ("mine", "1"),
            (header::REASON, "malformed"),
            (header::TOPIC, "t"),
            (header::PARTITION, "5"),
            (header::OFFSET, "41"),
            (header::VERSION, &version.to_string()),
            (header::VALUE_OMITTED, "9"),
            ("twolane.of-tomorrow", "x"),
        ]));
        assert_eq!(letter.at.to_string(), "7");
        assert_eq!(
            letter.headers,
            [(String::from("mine"), Some(b"1".to_vec()))]
        );
        let about = &letter.about;
        assert_eq!(
            (about.reason.as_str(), about.source().as_str()),
            ("malformed", "t/5/41")
        );
        assert_eq!((about.version, about.omitted), (Some(version), Some(9)));
        let position = Position {
            partition: 5,
            offset: 41,
        };
        let mut packed = Vec::new();
        let record = letter.record(position, 0, &mut packed);
        let own: Vec<_> = record.headers.iter().collect();
        assert_eq!(own, [("mine", Some(&b"1"[..]))]);
        assert_eq!((record.key, record.value), (Some(&b"k"[..]), None));
    }

    #[test]
    fn headers_that_are_missing_or_no_numbers_are_unknown() {
        let letter = Letter::of(&message(&[(header::OFFSET, "x"), (header::VERSION, "-1")]));
        assert_eq!(letter.about, About::default());
        assert_eq!(letter.about.source(), "/?/?");
    }
}
