use super::super::scan;
use super::*;
use crate::config::{ColumnType, Decimals, Format, Reading};
use crate::event::WireType;

mod number;
mod other_formats;
mod properties;
mod text;
mod time;

fn run(conversion: &Conversion, json: &str, form: Form) -> Result<String, Fault> {
    let (mut scratch, mut members, mut out) = (Vec::new(), 0, b"before".to_vec());
    let value = scan::value(json).unwrap();
    conversion.write(value, form, &mut scratch, &mut members, &mut out)?;
    Ok(String::from_utf8(out.split_off(6)).unwrap())
}

/// Debezium's JSON with its default settings.
fn debezium() -> Representation {
    Representation::new(Format::DebeziumJson, &Reading::default(), Decimals::String)
}

fn declared(kind: &ColumnType, json: &str) -> Result<String, Fault> {
    run(
        &resolve(Some(kind), None, &debezium()).unwrap(),
        json,
        Form::Json,
    )
}

fn wire(wire: WireType, json: &str) -> Result<String, Fault> {
    run(
        &resolve(None, Some(&wire), &debezium()).unwrap(),
        json,
        Form::Json,
    )
}

fn both(kind: &ColumnType, wire: WireType, json: &str) -> Result<String, Fault> {
    run(
        &resolve(Some(kind), Some(&wire), &debezium()).unwrap(),
        json,
        Form::Json,
    )
}

#[track_caller]
fn gives(kind: &ColumnType, cases: &[(&str, &str)]) {
    for (json, expected) in cases {
        assert_eq!(
            declared(kind, json).as_deref(),
            Ok(*expected),
            "{kind:?} {json}"
        );
    }
}

#[track_caller]
fn refuses(kind: &ColumnType, cases: &[&str]) {
    for json in cases {
        let converted = declared(kind, json);
        assert!(
            matches!(converted, Err(Fault::Mismatch(_))),
            "{kind:?} {json}: {converted:?}"
        );
    }
}

fn decimal(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

fn members(all: &[&str]) -> Vec<String> {
    all.iter().map(|m| (*m).to_owned()).collect()
}

#[test]
fn the_records_schema_rules_where_nothing_is_declared() {
    for (kind, json, expected) in [
        (WireType::Date, "20512", "\"2026-02-28\""),
        (
            WireType::Time(TimeUnit::Millis),
            "3723000",
            "\"01:02:03.000\"",
        ),
        (
            WireType::DateTime(TimeUnit::Millis),
            "1772600767123",
            "\"2026-03-04T05:06:07.123\"",
        ),
        (
            WireType::DateTime(TimeUnit::Nanos),
            "1772600767123456000",
            "\"2026-03-04T05:06:07.123456\"",
        ),
        (WireType::Bits { length: 13 }, "\"ARA=\"", "4097"),
        (WireType::Decimal { scale: 1 }, "\"Cw==\"", "\"1.1\""),
        (WireType::Decimal { scale: 1 }, "1.1", "\"1.1\""),
        (WireType::Nested, "{\"x\":1.0}", "{\"x\":1.0}"),
        (WireType::Json, "\"{}\"", "{}"),
        (WireType::Year, "2023", "2023"),
        (WireType::Set, "\"a,b\"", "[\"a\",\"b\"]"),
        (WireType::Boolean, "true", "true"),
        (WireType::Bytes, "\"AQ==\"", "\"AQ==\""),
        (WireType::Integer, "7", "7"),
    ] {
        assert_eq!(
            wire(kind.clone(), json).as_deref(),
            Ok(expected),
            "{kind:?}"
        );
    }
}

#[test]
fn a_declaration_that_the_schema_contradicts_is_refused() {
    let unit = TimeUnit::Millis;
    for (kind, wire) in [
        (ColumnType::Integer, WireType::Text),
        (decimal(12, 2), WireType::Decimal { scale: 3 }),
        (ColumnType::Date, WireType::DateTime(unit)),
        (ColumnType::DateTime(0), WireType::ZonedTimestamp),
        (ColumnType::Bit(3), WireType::Bits { length: 4 }),
        (ColumnType::Bit(3), WireType::Boolean),
        (ColumnType::BigUnsigned, WireType::Decimal { scale: 1 }),
        (ColumnType::Text, WireType::Bytes),
        (ColumnType::Enum(Vec::new()), WireType::Text),
        (ColumnType::Json, WireType::Nested),
    ] {
        assert_eq!(
            resolve(Some(&kind), Some(&wire), &debezium()),
            Err(Unresolved::Contradiction(wire.name())),
            "{kind:?} {wire:?}"
        );
    }
    let agreed = both(
        &ColumnType::DateTime(0),
        WireType::DateTime(TimeUnit::Micros),
        "1772600767000000",
    );
    assert_eq!(agreed.as_deref(), Ok("\"2026-03-04T05:06:07\""));
}
