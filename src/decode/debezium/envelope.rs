//! The parts of the envelope that the lane reads, borrowed from the record's text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::usual::{Look, Usual};
use crate::event::SourcePosition;

/// A record's value: an envelope, perhaps with a schema beside it.
#[derive(Debug, Default)]
pub(super) struct Outer<'a> {
    /// The schema's text, where there is one and it is not null.
    pub(super) schema: Option<&'a RawValue>,
    /// The envelope; `None` for a JSON null.
    pub(super) envelope: Option<Envelope<'a>>,
    duplicate: Option<&'static str>,
}

/// An envelope's fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) op: Option<Cow<'a, str>>,
    /// As it is written; it may be a null.
    pub(super) after: Option<&'a str>,
    /// Whether `after` was found without a look at it; it begins as an object does.
    pub(super) unread_row: bool,
    pub(super) source: Source<'a>,
    pub(super) seen: Seen,
    duplicate: Option<&'static str>,
}

/// Which fields there are; they tell Debezium's other records apart.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) before: bool,
    pub(super) source: bool,
    pub(super) transaction: bool,
    pub(super) ts_ms: bool,
    pub(super) status: bool,
    pub(super) id: bool,
    pub(super) ddl: bool,
    pub(super) database_name: bool,
    pub(super) table_changes: bool,
    pub(super) other: bool,
}

/// `source`, as far as it is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) pos: u64,
    pub(super) row: u64,
    pub(super) ts_ms: i64,
    pub(super) duplicate: Option<&'static str>,
}

/// A field's name.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Schema,
    Payload,
    Before,
    After,
    Source,
    Op,
    Transaction,
    TsMs,
    TsOther,
    Status,
    Id,
    Ddl,
    Database,
    TableChanges,
    File,
    Pos,
    Row,
    Other,
}

// === impl Outer ===

impl<'a> Outer<'a> {
    /// Reads a whole value.
    pub(super) fn parse(
        text: &'a str,
        usual: &mut Usual,
        how: Look,
    ) -> Result<Self, serde_json::Error> {
        match usual.envelope(text, how) {
            Some(envelope) => Ok(envelope.into()),
            None => Self::parse_slowly(text),
        }
    }

    /// The same for any text.
    pub(super) fn parse_slowly(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut de = serde_json::Deserializer::from_str(text);
        let outer = OuterSeed.deserialize(&mut de)?;
        de.end()?;
        Ok(outer)
    }

    /// Reads the text of a wrapped payload.
    pub(super) fn of_payload(
        text: &'a str,
        usual: &mut Usual,
        how: Look,
    ) -> Result<Self, serde_json::Error> {
        if let Some(envelope) = usual.envelope(text, how) {
            return Ok(envelope.into());
        }
        let mut de = serde_json::Deserializer::from_str(text);
        let envelope = EnvelopeSeed.deserialize(&mut de)?;
        de.end()?;
        Ok(Self {
            envelope,
            ..Self::default()
        })
    }

    /// A field that is there twice, so that nobody can say which of them counts.
    pub(super) fn duplicate(&self) -> Option<&'static str> {
        let envelope = self.envelope.as_ref();
        self.duplicate
            .or(envelope.and_then(|e| e.duplicate))
            .or(envelope.and_then(|e| e.source.duplicate))
    }
}

impl<'a> From<Envelope<'a>> for Outer<'a> {
    fn from(envelope: Envelope<'a>) -> Self {
        Self {
            envelope: Some(envelope),
            ..Self::default()
        }
    }
}

// === impl Source ===

impl<'a> Source<'a> {
    pub(super) fn position(&self) -> SourcePosition<'a> {
        SourcePosition {
            file: self.file,
            pos: self.pos,
            row: u32::try_from(self.row).unwrap_or(u32::MAX),
            committed_ms: self.ts_ms,
        }
    }
}

// === reading ===

struct OuterSeed;
struct EnvelopeSeed;
struct SourceSeed;
pub(super) struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Name, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(match name {
            "schema" => Name::Schema,
            "payload" => Name::Payload,
            "before" => Name::Before,
            "after" => Name::After,
            "source" => Name::Source,
            "op" => Name::Op,
            "transaction" => Name::Transaction,
            "ts_ms" => Name::TsMs,
            "ts_us" | "ts_ns" => Name::TsOther,
            "status" => Name::Status,
            "id" => Name::Id,
            "ddl" => Name::Ddl,
            "databaseName" => Name::Database,
            "tableChanges" => Name::TableChanges,
            "file" => Name::File,
            "pos" => Name::Pos,
            "row" => Name::Row,
            _ => Name::Other,
        })
    }
}

impl<'de> DeserializeSeed<'de> for OuterSeed {
    type Value = Outer<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Outer<'de>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OuterSeed {
    type Value = Outer<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope or null")
    }

    fn visit_unit<E>(self) -> Result<Outer<'de>, E> {
        Ok(Outer::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outer<'de>, A::Error> {
        let mut outer = Outer::default();
        let mut bare = Envelope::default();
        let mut wrapped = false;
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name {
                Name::Schema => {
                    note(&mut outer.duplicate, "schema", outer.schema.is_some());
                    outer.schema = map.next_value::<&RawValue>().map(not_null)?;
                }
                // A wrapper has nothing else; an envelope has no field of this name.
                Name::Payload if bare.is_empty() => {
                    note(&mut outer.duplicate, "payload", wrapped);
                    wrapped = true;
                    outer.envelope = map.next_value_seed(EnvelopeSeed)?;
                }
                name => bare.take(name, &mut map)?,
            }
        }
        if !wrapped {
            outer.schema = None;
            outer.envelope = Some(bare);
        }
        Ok(outer)
    }
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Option<Envelope<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Option<Envelope<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            envelope.take(name, &mut map)?;
        }
        Ok(Some(envelope))
    }
}

impl<'de> Envelope<'de> {
    fn is_empty(&self) -> bool {
        self.op.is_none() && self.after.is_none() && !self.seen.source && !self.seen.other
    }

    fn take<A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
        let seen = &mut self.seen;
        match name {
            Name::Op => {
                note(&mut self.duplicate, "op", self.op.is_some());
                self.op = Some(map.next_value_seed(Borrowed)?);
                return Ok(());
            }
            Name::After => {
                note(&mut self.duplicate, "after", self.after.is_some());
                self.after = Some(map.next_value::<&RawValue>()?.get());
                return Ok(());
            }
            Name::Source => {
                note(&mut self.duplicate, "source", seen.source);
                seen.source = true;
                self.source = map.next_value_seed(SourceSeed)?;
                return Ok(());
            }
            Name::Before => {
                note(&mut self.duplicate, "before", seen.before);
                seen.before = true;
            }
            Name::Transaction => {
                note(&mut self.duplicate, "transaction", seen.transaction);
                seen.transaction = true;
            }
            Name::TsMs => {
                note(&mut self.duplicate, "ts_ms", seen.ts_ms);
                seen.ts_ms = true;
            }
            Name::Status => seen.status = true,
            Name::Id => seen.id = true,
            Name::Ddl => seen.ddl = true,
            Name::Database => seen.database_name = true,
            Name::TableChanges => seen.table_changes = true,
            Name::TsOther => {}
            Name::Schema | Name::Payload | Name::File | Name::Pos | Name::Row | Name::Other => {
                seen.other = true
            }
        }
        map.next_value::<IgnoredAny>()?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for SourceSeed {
    type Value = Source<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Source<'de>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SourceSeed {
    type Value = Source<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a source or null")
    }

    fn visit_unit<E>(self) -> Result<Source<'de>, E> {
        Ok(Source::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Source<'de>, A::Error> {
        let mut source = Source::default();
        let (mut file, mut pos, mut row, mut ts_ms) = (false, false, false, false);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name {
                Name::File => {
                    note(&mut source.duplicate, "source.file", file);
                    file = true;
                    // As written: an escape in a file's name stays one, and equal names stay equal.
                    source.file = not_null(map.next_value::<&RawValue>()?)
                        .map_or("", |raw| raw.get().trim_matches('"'));
                }
                Name::Pos => {
                    note(&mut source.duplicate, "source.pos", pos);
                    pos = true;
                    source.pos = map.next_value::<Option<u64>>()?.unwrap_or_default();
                }
                Name::Row => {
                    note(&mut source.duplicate, "source.row", row);
                    row = true;
                    source.row = map.next_value::<Option<u64>>()?.unwrap_or_default();
                }
                Name::TsMs => {
                    note(&mut source.duplicate, "source.ts_ms", ts_ms);
                    ts_ms = true;
                    source.ts_ms = map.next_value::<Option<i64>>()?.unwrap_or_default();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(source)
    }
}

/// A string, borrowed unless it is written with escapes.
struct Borrowed;

impl<'de> DeserializeSeed<'de> for Borrowed {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Borrowed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(s))
    }

    fn visit_str<E>(self, s: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(s.to_owned()))
    }
}

fn note(duplicate: &mut Option<&'static str>, name: &'static str, again: bool) {
    if again {
        *duplicate = Some(name);
    }
}

pub(super) fn not_null(raw: &RawValue) -> Option<&RawValue> {
    (raw.get() != "null").then_some(raw)
}
