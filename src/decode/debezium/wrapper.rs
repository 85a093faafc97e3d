//! Kafka Connect's `{schema, payload}` around a key.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::envelope::{Name, NameSeed, not_null};

/// A key's text: the schema and the payload where it is wrapped, else the key itself. A wrapper has exactly
/// the members `schema` (an object or null) and `payload` (an object); the key of a table whose columns bear
/// these names has scalars there.
pub(super) fn wrapped_key(text: &str) -> Result<(Option<&RawValue>, &RawValue), serde_json::Error> {
    let whole: &RawValue = serde_json::from_str(text)?;
    // Most keys are a few bytes without a wrapper, and need not be read twice.
    if !whole.get().starts_with('{') || !text.contains("\"payload\"") {
        return Ok((None, whole));
    }
    let mut de = serde_json::Deserializer::from_str(text);
    let Wrapper {
        schema,
        payload,
        other,
    } = WrapperSeed.deserialize(&mut de)?;
    Ok(match (schema, payload) {
        (Some(schema), Some(payload)) if !other && payload.get().starts_with('{') => {
            (not_null(schema), payload)
        }
        _ => (None, whole),
    })
}

#[derive(Default)]
struct Wrapper<'a> {
    schema: Option<&'a RawValue>,
    payload: Option<&'a RawValue>,
    other: bool,
}

struct WrapperSeed;

impl<'de> DeserializeSeed<'de> for WrapperSeed {
    type Value = Wrapper<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for WrapperSeed {
    type Value = Wrapper<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut wrapper = Wrapper::default();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name {
                Name::Schema if wrapper.schema.is_none() => {
                    wrapper.schema = Some(map.next_value()?);
                }
                Name::Payload if wrapper.payload.is_none() => {
                    wrapper.payload = Some(map.next_value()?);
                }
                _ => {
                    wrapper.other = true;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(wrapper)
    }
}
