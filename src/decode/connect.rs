//! Kafka Connect's and Debezium's logical types, by the names that their schemas bear in JSON and in Avro.

use crate::event::{TimeUnit, WireType};

/// The logical type of this name; `None` where it is not known, and the type under it counts. `Err` names a
/// parameter that the type needs and has not.
pub(super) fn logical(
    name: &str,
    scale: Option<&str>,
    length: Option<&str>,
) -> Option<Result<WireType, &'static str>> {
    Some(Ok(match name {
        "org.apache.kafka.connect.data.Decimal" => match number(scale, 0..=65) {
            Some(scale) => WireType::Decimal { scale },
            None => return Some(Err("scale")),
        },
        "io.debezium.data.Bits" => match number(length, 1..=64) {
            Some(length) => WireType::Bits { length },
            None => return Some(Err("length")),
        },
        "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => WireType::Date,
        "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => {
            WireType::Time(TimeUnit::Millis)
        }
        "io.debezium.time.MicroTime" => WireType::Time(TimeUnit::Micros),
        "io.debezium.time.NanoTime" => WireType::Time(TimeUnit::Nanos),
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
            WireType::DateTime(TimeUnit::Millis)
        }
        "io.debezium.time.MicroTimestamp" => WireType::DateTime(TimeUnit::Micros),
        "io.debezium.time.NanoTimestamp" => WireType::DateTime(TimeUnit::Nanos),
        "io.debezium.time.ZonedTimestamp" => WireType::ZonedTimestamp,
        "io.debezium.time.Year" => WireType::Year,
        "io.debezium.data.Enum" => WireType::Enum,
        "io.debezium.data.EnumSet" => WireType::Set,
        "io.debezium.data.Json" => WireType::Json,
        _ => return None,
    }))
}

fn number(text: Option<&str>, range: std::ops::RangeInclusive<u8>) -> Option<u8> {
    text?.parse().ok().filter(|n| range.contains(n))
}
