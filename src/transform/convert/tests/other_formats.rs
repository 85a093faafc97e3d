//! Canal's and Maxwell's spelling, Debezium's other settings, and plain events.

use super::*;
use crate::config::{BinaryMode, DecimalMode, TimeMode, Zone};

fn how(format: Format, reading: &Reading) -> Representation {
    Representation::new(format, reading, Decimals::String)
}

fn shanghai() -> Reading {
    Reading {
        zone: Some("Asia/Shanghai".parse().unwrap()),
        ..Reading::default()
    }
}

fn canal(kind: &ColumnType, json: &str) -> Result<String, Fault> {
    let wire = WireType::Mysql(kind.clone());
    let how = how(Format::CanalJson, &shanghai());
    run(&resolve(None, Some(&wire), &how).unwrap(), json, Form::Json)
}

fn maxwell(kind: &ColumnType, json: &str) -> Result<String, Fault> {
    let how = how(Format::MaxwellJson, &Reading::default());
    run(&resolve(Some(kind), None, &how).unwrap(), json, Form::Json)
}

#[test]
fn canals_strings_are_what_their_types_say() {
    let (abc, bits) = (members(&["a", "b,c"]), members(&["x", "y", "z"]));
    for (kind, json, expected) in [
        (ColumnType::Integer, r#""-128""#, "-128"),
        (ColumnType::Integer, r#""007""#, "7"),
        (ColumnType::Unsigned, r#""4294967295""#, "4294967295"),
        (
            ColumnType::BigUnsigned,
            r#""18446744073709551615""#,
            "18446744073709551615",
        ),
        (ColumnType::BigUnsigned, r#""-1""#, "18446744073709551615"),
        (ColumnType::Boolean, r#""1""#, "true"),
        (ColumnType::Boolean, r#""0""#, "false"),
        (decimal(8, 3), r#""12345.110""#, "\"12345.110\""),
        (decimal(8, 3), r#""1""#, "\"1.000\""),
        (ColumnType::Float, r#""-2.25E300""#, "-2.25E300"),
        (ColumnType::Bit(1), r#""1""#, "true"),
        (ColumnType::Bit(13), r#""4097""#, "4097"),
        (ColumnType::Bit(64), r#""-1""#, "18446744073709551615"),
        (ColumnType::Binary, r#""\u0000ÿ""#, "\"AP8=\""),
        (
            ColumnType::FixedBinary(4),
            r#""\u0000ÿ\u0010""#,
            "\"AP8QAA==\"",
        ),
        (ColumnType::Date, r#""2026-02-28""#, "\"2026-02-28\""),
        (
            ColumnType::Time(6),
            r#""-838:59:58.999999""#,
            "\"-838:59:58.999999\"",
        ),
        (ColumnType::Time(0), r#""1:02:03""#, "\"01:02:03\""),
        (
            ColumnType::DateTime(3),
            r#""1000-01-01 00:00:00""#,
            "\"1000-01-01T00:00:00.000\"",
        ),
        (
            ColumnType::Timestamp(6),
            r#""2026-03-04 13:06:07.123456""#,
            "\"2026-03-04T05:06:07.123456Z\"",
        ),
        (ColumnType::Year, r#""2026""#, "2026"),
        (ColumnType::Enum(abc.clone()), r#""2""#, "\"b,c\""),
        (ColumnType::Enum(abc), r#""0""#, "\"\""),
        (ColumnType::Set(bits.clone()), r#""5""#, r#"["x","z"]"#),
        (ColumnType::Set(bits), r#""0""#, "[]"),
        (ColumnType::Json, r#""{\"a\": [1]}""#, r#"{"a": [1]}"#),
    ] {
        assert_eq!(
            canal(&kind, json).as_deref(),
            Ok(expected),
            "{kind:?} {json}"
        );
    }
}

#[test]
fn what_canal_cannot_mean_is_refused() {
    let two = members(&["a", "b"]);
    for (kind, json) in [
        (ColumnType::Integer, r#""1.5""#),
        (ColumnType::Unsigned, r#""-1""#),
        (ColumnType::Unsigned, r#""4294967296""#),
        (ColumnType::BigUnsigned, r#""18446744073709551616""#),
        (ColumnType::Float, r#""NaN""#),
        (ColumnType::Float, r#""""#),
        (ColumnType::Bit(3), r#""8""#),
        (ColumnType::Binary, r#""Ā""#),
        (ColumnType::Date, r#""2026-02-30""#),
        (ColumnType::Date, r#""2026-2-3""#),
        (ColumnType::Time(0), r#""12:60:00""#),
        (ColumnType::Time(0), r#""12:00""#),
        (ColumnType::Time(0), r#""839:00:00""#),
        (ColumnType::Time(0), r#""12:00:00.5""#),
        (ColumnType::DateTime(0), r#""2026-02-28T00:00:00""#),
        (ColumnType::DateTime(0), r#""2026-02-28 24:00:00""#),
        (ColumnType::Enum(two.clone()), r#""3""#),
        (ColumnType::Enum(two.clone()), r#""a""#),
        (ColumnType::Set(two), r#""4""#),
        (ColumnType::Geometry, r#""\u0000""#),
    ] {
        let converted = canal(&kind, json);
        assert!(
            matches!(converted, Err(Fault::Mismatch(_))),
            "{kind:?} {json}: {converted:?}"
        );
    }
}

#[test]
fn dates_of_zeros_are_null() {
    for json in [r#""0000-00-00""#, r#""2026-00-01""#, r#""2026-01-00""#] {
        assert_eq!(canal(&ColumnType::Date, json), Err(Fault::Null), "{json}");
    }
    let zeros = r#""0000-00-00 00:00:00""#;
    for kind in [ColumnType::DateTime(0), ColumnType::Timestamp(0)] {
        assert_eq!(canal(&kind, zeros), Err(Fault::Null));
        assert_eq!(maxwell(&kind, zeros), Err(Fault::Null));
    }
    // Year 0 is a year.
    let year_0 = canal(&ColumnType::Date, r#""0000-01-01""#);
    assert_eq!(year_0.as_deref(), Ok("\"0000-01-01\""));
}

#[test]
fn a_timestamp_needs_to_know_its_zone() {
    let plain = how(Format::CanalJson, &Reading::default());
    assert_eq!(
        resolve(Some(&ColumnType::Timestamp(0)), None, &plain),
        Err(Unresolved::NoZone)
    );
    // 01:30 is there twice on the day when New York's clocks go back.
    let new_york = Reading {
        zone: Some("America/New_York".parse().unwrap()),
        ..Reading::default()
    };
    let conversion = resolve(
        Some(&ColumnType::Timestamp(0)),
        None,
        &how(Format::CanalJson, &new_york),
    );
    let twice = run(&conversion.unwrap(), r#""2026-11-01 01:30:00""#, Form::Json);
    assert!(matches!(twice, Err(Fault::Mismatch(_))));
    assert_eq!(
        maxwell(&ColumnType::Timestamp(4), r#""2012-01-01 22:32:34.1234""#).as_deref(),
        Ok("\"2012-01-01T22:32:34.1234Z\"")
    );
    assert_eq!("UTC".parse(), Ok(Zone::UTC));
}

#[test]
fn canals_own_types_say_how_to_read_and_the_declared_ones_what_to_show() {
    let how = how(Format::CanalJson, &shanghai());
    let both = |declared: &ColumnType, own: ColumnType, json: &str| {
        let wire = WireType::Mysql(own);
        let conversion = resolve(Some(declared), Some(&wire), &how)?;
        Ok::<_, Unresolved>(run(&conversion, json, Form::Json).unwrap())
    };
    let (old, new) = (members(&["b"]), members(&["a", "b"]));
    let enumeration = both(&ColumnType::Enum(old), ColumnType::Enum(new), r#""2""#);
    assert_eq!(enumeration.as_deref(), Ok("\"b\""));
    let number = both(&ColumnType::Integer, ColumnType::Boolean, r#""1""#);
    assert_eq!(number.as_deref(), Ok("1"));
    let json = both(&ColumnType::Json, ColumnType::Text, r#""[]""#);
    assert_eq!(json.as_deref(), Ok("[]"));
    for (declared, own) in [
        (ColumnType::Date, ColumnType::DateTime(0)),
        (decimal(8, 2), decimal(8, 3)),
        (ColumnType::Text, ColumnType::Integer),
    ] {
        let contradiction = both(&declared, own.clone(), "\"\"");
        assert_eq!(
            contradiction,
            Err(Unresolved::Contradiction(own.to_string()))
        );
    }
}

#[test]
fn maxwells_values_are_what_is_declared() {
    let members = members(&["foo", "b\\,c"]);
    for (kind, json, expected) in [
        (
            ColumnType::BigUnsigned,
            "18446744073709551615",
            "18446744073709551615",
        ),
        (ColumnType::Boolean, "1", "true"),
        (decimal(10, 3), "3.14", "\"3.140\""),
        (decimal(10, 3), "1E+3", "\"1000.000\""),
        (ColumnType::Bit(1), "1", "true"),
        (ColumnType::Bit(1), "false", "false"),
        (
            ColumnType::Bit(64),
            "18446744073709551615",
            "18446744073709551615",
        ),
        (ColumnType::FixedBinary(4), r#""AP8Q""#, "\"AP8QAA==\""),
        (ColumnType::Binary, r#""AAECAw==""#, "\"AAECAw==\""),
        (ColumnType::Year, "2026", "2026"),
        (
            ColumnType::Enum(members.clone()),
            r#""b\\,c""#,
            r#""b\\,c""#,
        ),
        (ColumnType::Set(members.clone()), r#"["foo"]"#, r#"["foo"]"#),
        (ColumnType::Set(members), "[]", "[]"),
        (ColumnType::Json, r#"{"a": [1]}"#, r#"{"a": [1]}"#),
        (ColumnType::Json, r#""text""#, r#""text""#),
        (ColumnType::Geometry, r#""POINT (1 2)""#, "\"POINT (1 2)\""),
    ] {
        assert_eq!(
            maxwell(&kind, json).as_deref(),
            Ok(expected),
            "{kind:?} {json}"
        );
    }
    for (kind, json) in [
        (ColumnType::Set(vec!["a".into()]), r#"["b"]"#),
        (ColumnType::Set(vec!["a".into()]), r#""a""#),
        (ColumnType::Enum(vec!["a".into()]), r#""b""#),
        (ColumnType::Geometry, r#""POINT (1 2);""#),
        (ColumnType::Geometry, r#""NOWHERE""#),
    ] {
        assert!(maxwell(&kind, json).is_err(), "{kind:?} {json}");
    }
}

#[test]
fn debeziums_settings_say_how_a_value_is_written() {
    let with = |reading: &Reading, kind: &ColumnType, json: &str| {
        let how = how(Format::DebeziumJson, reading);
        run(&resolve(Some(kind), None, &how).unwrap(), json, Form::Json)
    };
    let decimals = |mode| Reading {
        decimals: Some(mode),
        ..Reading::default()
    };
    let ten = decimal(4, 0);
    // "1234" is base64 of three bytes, and a number.
    let precise = with(&decimals(DecimalMode::Precise), &decimal(8, 0), "\"1234\"");
    assert_eq!(precise.as_deref(), Ok("\"-2658824\""));
    let digits = with(&decimals(DecimalMode::String), &ten, "\"1234\"");
    assert_eq!(digits.as_deref(), Ok("\"1234\""));
    let double = with(&decimals(DecimalMode::Double), &decimal(4, 1), "12.5");
    assert_eq!(double.as_deref(), Ok("\"12.5\""));
    assert!(with(&decimals(DecimalMode::Double), &ten, "\"1234\"").is_err());
    let binaries = |mode| Reading {
        binaries: mode,
        ..Reading::default()
    };
    for (mode, json) in [
        (BinaryMode::Base64, r#""3q2+7/8=""#),
        (BinaryMode::Base64UrlSafe, r#""3q2-7_8=""#),
        (BinaryMode::Hex, r#""deadbeefFF""#),
    ] {
        let written = with(&binaries(mode), &ColumnType::Binary, json);
        assert_eq!(written.as_deref(), Ok("\"3q2+7/8=\""), "{mode:?}");
        let fixed = with(&binaries(mode), &ColumnType::FixedBinary(6), json);
        assert_eq!(fixed.as_deref(), Ok("\"3q2+7/8A\""), "{mode:?}");
        assert!(with(&binaries(mode), &ColumnType::Binary, r#""ab.""#).is_err());
    }
    let times = |mode| Reading {
        times: mode,
        ..Reading::default()
    };
    let (time0, time6) = (ColumnType::Time(0), ColumnType::Time(6));
    for (mode, kind, json, expected) in [
        (
            TimeMode::AdaptiveTimeMicroseconds,
            &time0,
            "3723000000",
            "\"01:02:03\"",
        ),
        (TimeMode::Adaptive, &time0, "3723000", "\"01:02:03\""),
        (
            TimeMode::Adaptive,
            &time6,
            "3723000001",
            "\"01:02:03.000001\"",
        ),
        (TimeMode::Connect, &time0, "3723000", "\"01:02:03\""),
        (TimeMode::Connect, &time6, "3723001", "\"01:02:03.001000\""),
    ] {
        let written = with(&times(mode), kind, json);
        assert_eq!(written.as_deref(), Ok(expected), "{mode:?} {kind:?}");
    }
    let date_time = ColumnType::DateTime(6);
    let (micros, millis) = ("1772600767123456", "1772600767123");
    let adaptive = with(&times(TimeMode::Adaptive), &date_time, micros);
    assert_eq!(adaptive.as_deref(), Ok("\"2026-03-04T05:06:07.123456\""));
    let connect = with(&times(TimeMode::Connect), &date_time, millis);
    assert_eq!(connect.as_deref(), Ok("\"2026-03-04T05:06:07.123000\""));
}

#[test]
fn decimals_are_numbers_where_the_pipeline_wants_them() {
    let number = Representation::new(Format::MaxwellJson, &Reading::default(), Decimals::Number);
    let conversion = resolve(Some(&decimal(65, 2)), None, &number).unwrap();
    let long = "-12345678901234567890123456789012345678901234567890.5";
    let written = run(&conversion, long, Form::Json);
    assert_eq!(written, Ok(format!("{long}0")));
    assert_eq!(run(&conversion, long, Form::Text), Ok(format!("{long}0")));
}

#[test]
fn plain_events_have_instants_and_decimals_in_digits() {
    let json = how(Format::Json, &Reading::default());
    let instant = resolve(None, Some(&WireType::Instant(TimeUnit::Millis)), &json).unwrap();
    let written = run(&instant, "1772600767123", Form::Json);
    assert_eq!(written.as_deref(), Ok("\"2026-03-04T05:06:07.123Z\""));
    let decimal = resolve(None, Some(&WireType::Decimal { scale: 2 }), &json).unwrap();
    let written = run(&decimal, "\"12.5\"", Form::Json);
    assert_eq!(written.as_deref(), Ok("\"12.50\""));
}

/// A geometry of Canal's: four bytes of the reference system, then what is given.
fn geometry(wkb: &[u8]) -> Result<String, Fault> {
    let text: String = [0; 4].iter().chain(wkb).map(|b| char::from(*b)).collect();
    canal(
        &ColumnType::Geometry,
        &serde_json::to_string(&text).unwrap(),
    )
}

#[test]
fn geometries_are_well_known_text() {
    fn head(kind: u8) -> Vec<u8> {
        vec![1, kind, 0, 0, 0]
    }
    fn point(x: f64, y: f64) -> Vec<u8> {
        [x.to_le_bytes(), y.to_le_bytes()].concat()
    }
    let count = |n: u8| vec![n, 0, 0, 0];
    let pair = [count(2), point(1.0, 1.0), point(2.5, -2.0)].concat();
    let ring = [count(1), pair.clone()].concat();
    for (wkb, expected) in [
        (
            [head(1), point(1.0, 1e21)].concat(),
            "POINT (1 1000000000000000000000)",
        ),
        ([head(2), pair.clone()].concat(), "LINESTRING (1 1, 2.5 -2)"),
        ([head(3), ring.clone()].concat(), "POLYGON ((1 1, 2.5 -2))"),
        (
            [head(4), count(1), head(1), point(1.0, 2.0)].concat(),
            "MULTIPOINT ((1 2))",
        ),
        (
            [head(6), count(1), head(3), ring].concat(),
            "MULTIPOLYGON (((1 1, 2.5 -2)))",
        ),
        (
            [head(7), count(2), head(1), point(0.0, 0.0), head(2), pair].concat(),
            "GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (1 1, 2.5 -2))",
        ),
        ([head(7), count(0)].concat(), "GEOMETRYCOLLECTION EMPTY"),
        (
            [
                vec![0, 0, 0, 0, 1],
                [1_f64.to_be_bytes(), 2_f64.to_be_bytes()].concat(),
            ]
            .concat(),
            "POINT (1 2)",
        ),
    ] {
        assert_eq!(geometry(&wkb), Ok(format!("\"{expected}\"")));
        let mut longer = wkb.clone();
        longer.push(0);
        assert!(geometry(&longer).is_err());
        assert!(geometry(&wkb[..wkb.len() - 1]).is_err());
    }
    let structure = r#"{"x":1.0,"y":1.0,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAPA/","srid":null}"#;
    assert_eq!(
        declared(&ColumnType::Geometry, structure).as_deref(),
        Ok("\"POINT (1 1)\"")
    );
    let not_finite = [head(1), point(f64::NAN, 0.0)].concat();
    assert!(geometry(&not_finite).is_err());
    let nested: Vec<u8> = (0..100)
        .flat_map(|_| [head(7), count(1)].concat())
        .collect();
    assert_eq!(geometry(&nested), Err(Fault::Depth));
}
