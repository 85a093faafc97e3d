use super::super::scan;
use super::*;
use crate::config::ColumnType;
use crate::event::WireType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil;
use proptest::prelude::*;

fn run(conversion: &Conversion, json: &str, form: Form) -> Result<String, Fault> {
    let (mut scratch, mut members, mut out) = (Vec::new(), 0, b"before".to_vec());
    let value = scan::value(json).unwrap();
    conversion.write(value, form, &mut scratch, &mut members, &mut out)?;
    Ok(String::from_utf8(out.split_off(6)).unwrap())
}

fn declared(kind: &ColumnType, json: &str) -> Result<String, Fault> {
    run(&resolve(Some(kind), None).unwrap(), json, Form::Json)
}

fn wire(wire: WireType, json: &str) -> Result<String, Fault> {
    run(&resolve(None, Some(wire)).unwrap(), json, Form::Json)
}

fn both(kind: &ColumnType, wire: WireType, json: &str) -> Result<String, Fault> {
    run(&resolve(Some(kind), Some(wire)).unwrap(), json, Form::Json)
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
fn integers_are_within_their_type() {
    gives(
        &ColumnType::Integer,
        &[("0", "0"), ("-9223372036854775808", "-9223372036854775808")],
    );
    refuses(
        &ColumnType::Integer,
        &[
            "9223372036854775808",
            "1.5",
            "1e3",
            "-0",
            "\"1\"",
            "true",
            "{}",
            "[1]",
        ],
    );
    gives(&ColumnType::Unsigned, &[("4294967295", "4294967295")]);
    refuses(&ColumnType::Unsigned, &["-1", "4294967296", "1.0"]);
    gives(&ColumnType::Year, &[("2026", "2026"), ("0", "0")]);
    refuses(&ColumnType::Year, &["-1", "10000", "\"2026\""]);
}

#[test]
fn unsigned_bigints_come_back_from_negative() {
    gives(
        &ColumnType::BigUnsigned,
        &[
            ("-1", "18446744073709551615"),
            ("-9223372036854775808", "9223372036854775808"),
            ("9223372036854775807", "9223372036854775807"),
            ("18446744073709551615", "18446744073709551615"),
            ("0", "0"),
        ],
    );
    refuses(
        &ColumnType::BigUnsigned,
        &[
            "18446744073709551616",
            "-9223372036854775809",
            "1.5",
            "\"AQ==\"",
            "-0",
        ],
    );
    let precise = WireType::Decimal { scale: 0 };
    let max = "\"AP//////////\"";
    assert_eq!(
        both(&ColumnType::BigUnsigned, precise, max).as_deref(),
        Ok("18446744073709551615")
    );
    assert!(both(&ColumnType::BigUnsigned, precise, "\"/w==\"").is_err());
    assert_eq!(
        wire(precise, max).as_deref(),
        Ok("\"18446744073709551615\"")
    );
}

#[test]
fn booleans_and_bits() {
    gives(
        &ColumnType::Boolean,
        &[
            ("true", "true"),
            ("0", "false"),
            ("1", "true"),
            ("-128", "true"),
        ],
    );
    refuses(&ColumnType::Boolean, &["1.5", "\"true\"", "[]"]);
    gives(&ColumnType::Bit(1), &[("true", "true"), ("false", "false")]);
    refuses(&ColumnType::Bit(1), &["1", "\"AQ==\""]);
    gives(
        &ColumnType::Bit(13),
        &[
            ("\"ARA=\"", "4097"),
            ("\"AQAAAA==\"", "1"),
            ("\"AR8=\"", "7937"),
        ],
    );
    refuses(
        &ColumnType::Bit(13),
        &["\"ASA=\"", "\"\"", "\"x\"", "true", "4097"],
    );
    gives(
        &ColumnType::Bit(64),
        &[("\"//////////8=\"", "18446744073709551615")],
    );
    refuses(
        &ColumnType::Bit(64),
        &["\"////////////\"", "\"AAAAAAAAAAAAAAAA\""],
    );
}

#[test]
fn decimals_in_every_representation_are_exact_text() {
    gives(
        &decimal(20, 4),
        &[
            ("\"/1SrVnMU4PUt\"", "\"-1234567890123456.7891\""),
            ("\"AQ==\"", "\"0.0001\""),
            ("\"AA==\"", "\"0.0000\""),
            ("\"12.34\"", "\"12.3400\""),
            ("\"-0.0001\"", "\"-0.0001\""),
            ("\"-0.0\"", "\"0.0000\""),
            ("0.5", "\"0.5000\""),
            ("12", "\"12.0000\""),
            ("1.5E3", "\"1500.0000\""),
            ("1e-4", "\"0.0001\""),
            ("12.34000", "\"12.3400\""),
            ("0e999999999", "\"0.0000\""),
        ],
    );
    gives(
        &decimal(10, 0),
        &[("\"AlQL4/8=\"", "\"9999999999\""), ("5", "\"5\"")],
    );
    gives(
        &decimal(65, 3),
        &[(
            "1.2345678987654322e+32",
            "\"123456789876543220000000000000000.000\"",
        )],
    );
    refuses(
        &decimal(4, 2),
        &[
            "\"x\"",
            "\"\"",
            "\"1.\"",
            "\".5\"",
            "\"1.2.3\"",
            "\"+1.5\"",
            "\"1.5e\"",
            "\" 1.5\"",
            "\"NaN.\"",
            "123.45",
            "0.001",
            "1e99",
            "1e-99",
            "1e999999999999",
            "true",
            "{}",
            "\"f////////\"",
        ],
    );
    let long = format!("\"{}\"", STANDARD.encode([0x7f; 40]));
    refuses(
        &decimal(65, 0),
        &[&long, &format!("1{}", "0".repeat(65)), &"9".repeat(500)],
    );
}

#[test]
fn a_decimal_in_a_string_is_never_read_in_two_ways() {
    // Base64 that looks like digits: the default representation is base64.
    gives(&decimal(10, 0), &[("\"1234\"", "\"-2658824\"")]);
    // Digits without a point that are no base64 are another representation, and are not guessed at.
    refuses(&decimal(10, 0), &["\"12345\"", "\"-1\""]);
    // With the schema both are plain.
    let precise = WireType::Decimal { scale: 0 };
    assert_eq!(
        both(&decimal(10, 0), precise, "\"1234\"").as_deref(),
        Ok("\"-2658824\"")
    );
    let digits = both(&decimal(10, 0), WireType::Text, "\"1234\"");
    assert_eq!(digits.as_deref(), Ok("\"1234\""));
    assert!(both(&decimal(10, 0), WireType::Float, "\"1234\"").is_err());
    assert_eq!(
        both(&decimal(10, 1), WireType::Float, "12.5").as_deref(),
        Ok("\"12.5\"")
    );
}

#[test]
fn dates_and_times() {
    gives(
        &ColumnType::Date,
        &[
            ("20512", "\"2026-02-28\""),
            ("0", "\"1970-01-01\""),
            ("-719528", "\"0000-01-01\""),
            ("2932896", "\"9999-12-31\""),
            ("19782", "\"2024-02-29\""),
        ],
    );
    refuses(
        &ColumnType::Date,
        &[
            "-719529",
            "2932897",
            "9223372036854775807",
            "-9223372036854775808",
            "1.5",
            "\"2026-02-28\"",
        ],
    );
    gives(
        &ColumnType::Time(6),
        &[
            ("-3020398999999", "\"-838:59:58.999999\""),
            ("3723000001", "\"01:02:03.000001\""),
            ("-1", "\"-00:00:00.000001\""),
        ],
    );
    gives(
        &ColumnType::Time(0),
        &[("3723000000", "\"01:02:03\""), ("0", "\"00:00:00\"")],
    );
    gives(&ColumnType::Time(3), &[("1500000", "\"00:00:01.500\"")]);
    refuses(
        &ColumnType::Time(0),
        &[
            "1",
            "3020400000000",
            "-9223372036854775808",
            "9223372036854775807",
            "\"01:02:03\"",
        ],
    );
    gives(
        &ColumnType::DateTime(0),
        &[
            ("-30610224000000", "\"1000-01-01T00:00:00\""),
            ("1772600767000", "\"2026-03-04T05:06:07\""),
        ],
    );
    gives(
        &ColumnType::DateTime(3),
        &[
            ("1772600767123", "\"2026-03-04T05:06:07.123\""),
            ("-1", "\"1969-12-31T23:59:59.999\""),
        ],
    );
    gives(
        &ColumnType::DateTime(1),
        &[("1772600767100", "\"2026-03-04T05:06:07.1\"")],
    );
    gives(
        &ColumnType::DateTime(6),
        &[("1772600767123456", "\"2026-03-04T05:06:07.123456\"")],
    );
    gives(
        &ColumnType::DateTime(4),
        &[("1772600767123400", "\"2026-03-04T05:06:07.1234\"")],
    );
    refuses(
        &ColumnType::DateTime(0),
        &[
            "1772600767123",
            "9223372036854775807",
            "-9223372036854775808",
            "253402300800000",
            "true",
            "\"2026-03-04T05:06:07\"",
        ],
    );
}

#[test]
fn timestamps_have_their_declared_digits_and_utc() {
    gives(
        &ColumnType::Timestamp(0),
        &[
            ("\"2026-03-04T05:06:07Z\"", "\"2026-03-04T05:06:07Z\""),
            ("\"2026-03-04T05:06:07.000Z\"", "\"2026-03-04T05:06:07Z\""),
            ("\"2026-03-04T05:06:07+08:00\"", "\"2026-03-03T21:06:07Z\""),
            ("\"2024-02-29T23:30:00-01:00\"", "\"2024-03-01T00:30:00Z\""),
            (r#""2026-03-04T05:06:07\u005a""#, "\"2026-03-04T05:06:07Z\""),
        ],
    );
    gives(
        &ColumnType::Timestamp(6),
        &[
            (
                "\"2026-03-04T05:06:07.1Z\"",
                "\"2026-03-04T05:06:07.100000Z\"",
            ),
            (
                "\"2026-03-04T05:06:07.123456000Z\"",
                "\"2026-03-04T05:06:07.123456Z\"",
            ),
            (
                "\"2026-03-04T05:06:07Z\"",
                "\"2026-03-04T05:06:07.000000Z\"",
            ),
        ],
    );
    refuses(
        &ColumnType::Timestamp(0),
        &[
            "\"2026-03-04T05:06:07.5Z\"",
            "\"2026-03-04 05:06:07Z\"",
            "\"2026-03-04T05:06:07\"",
            "\"2026-02-29T05:06:07Z\"",
            "\"2026-13-04T05:06:07Z\"",
            "\"2026-03-04T24:06:07Z\"",
            "\"2026-03-04T05:06:07.Z\"",
            "\"2026-03-04T05:06:07+99:00\"",
            "\"0000-01-01T00:00:00+01:00\"",
            "\"9999-12-31T23:59:59-01:00\"",
            "\"\"",
            "\"é026-03-04T05:06:07Z\"",
            "5",
            "\"2026-03-04T05:06:07.1234567890Z\"",
        ],
    );
    assert_eq!(
        wire(WireType::ZonedTimestamp, "\"2026-03-04T05:06:07.12Z\"").as_deref(),
        Ok("\"2026-03-04T05:06:07.12Z\"")
    );
}

#[test]
fn members_of_enums_and_sets() {
    let kind = ColumnType::Enum(members(&["a", "b,c", "q\"\n"]));
    gives(
        &kind,
        &[
            ("\"a\"", "\"a\""),
            (r#""b\\,c""#, "\"b,c\""),
            ("\"\"", "\"\""),
            (r#""q\"\n""#, r#""q\"\n""#),
        ],
    );
    refuses(&kind, &["\"x\"", "1", r#""b\\""#, "\"A\""]);
    assert_eq!(wire(WireType::Enum, r#""b\\,c""#).as_deref(), Ok("\"b,c\""));
    let kind = ColumnType::Set(members(&["x", "y,z", r"e\", "小"]));
    gives(
        &kind,
        &[
            ("\"x,小\"", "[\"x\",\"小\"]"),
            ("\"\"", "[]"),
            (r#""x,y\\,z""#, "[\"x\",\"y,z\"]"),
            (r#""e\\,x""#, r#"["e\\","x"]"#),
        ],
    );
    refuses(&kind, &["\"q\"", "\"x,q\"", "[\"x\"]"]);
    let plain = run(&Conversion::Set(None), "\"x,z\"", Form::Text);
    assert_eq!(plain.as_deref(), Ok("[\"x\",\"z\"]"));
}

#[test]
fn json_columns_are_inline_and_one_line() {
    gives(
        &ColumnType::Json,
        &[
            (
                r#""{\"a\":[1,2,{\"b\":null}]}""#,
                r#"{"a":[1,2,{"b":null}]}"#,
            ),
            (r#"" {\n\"a\": \"x\\ny\"\r\n} ""#, r#"{ "a": "x\ny"  }"#),
            (r#""\"text\"""#, "\"text\""),
            ("\"null\"", "null"),
            ("\"1.50\"", "1.50"),
        ],
    );
    refuses(
        &ColumnType::Json,
        &[
            "\"\"",
            "\"{\"",
            "\"{} x\"",
            "\"nul\"",
            "{}",
            "1",
            r#""{\"a\":\"\n\"}""#,
        ],
    );
    let deep = |n: usize| format!("\"{}{}\"", "[".repeat(n), "]".repeat(n));
    assert!(declared(&ColumnType::Json, &deep(63)).is_ok());
    assert_eq!(declared(&ColumnType::Json, &deep(64)), Err(Fault::Depth));
    assert_eq!(
        declared(&ColumnType::Json, &deep(100_000)),
        Err(Fault::Depth)
    );
    assert_eq!(
        declared(&ColumnType::Json, r#""{\"a\":\"\\ud83c\"}""#),
        Err(Fault::Broken)
    );
}

#[test]
fn text_and_bytes_are_copied_once_they_are_what_they_should_be() {
    gives(
        &ColumnType::Text,
        &[
            ("\"\"", "\"\""),
            (r#""é\uD83C\uDF7C\n""#, r#""é\uD83C\uDF7C\n""#),
        ],
    );
    refuses(&ColumnType::Text, &["1", "true", "{}"]);
    assert_eq!(
        declared(&ColumnType::Text, r#""\ud83c""#),
        Err(Fault::Broken)
    );
    let text = run(&Conversion::Text, r#""é\uD83C\uDF7C\n""#, Form::Text);
    assert_eq!(text.as_deref(), Ok("é🍼\n"));
    gives(
        &ColumnType::Binary,
        &[
            ("\"AP8QAA==\"", "\"AP8QAA==\""),
            ("\"\"", "\"\""),
            (r#""3q2\/7w==""#, "\"3q2/7w==\""),
        ],
    );
    refuses(
        &ColumnType::Binary,
        &["\"AP8\"", "\"A=8A\"", "\"====\"", "\"AP_-\"", "1"],
    );
    gives(
        &ColumnType::Float,
        &[("-2.25E300", "-2.25E300"), ("1", "1")],
    );
    refuses(&ColumnType::Float, &["\"1.5\"", "true"]);
}

#[test]
fn a_value_that_the_log_lacks_is_told_from_text() {
    for json in [
        "\"__debezium_unavailable_value\"",
        "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    ] {
        assert_eq!(declared(&ColumnType::Text, json), Err(Fault::Unavailable));
        assert_eq!(
            run(&Conversion::AsIs, json, Form::Json),
            Err(Fault::Unavailable)
        );
    }
}

#[test]
fn undeclared_values_stand_as_they_are() {
    for json in [
        "1",
        "1.50",
        "true",
        "\"a\\n\"",
        "{\"wkb\":\"AQ==\",\"srid\":null}",
        "[1, 2]",
    ] {
        assert_eq!(
            run(&Conversion::AsIs, json, Form::Json).as_deref(),
            Ok(json)
        );
    }
    let lines = run(&Conversion::AsIs, "{\n\"a\":\r1}", Form::Json);
    assert_eq!(lines.as_deref(), Ok("{ \"a\": 1}"));
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
        assert_eq!(wire(kind, json).as_deref(), Ok(expected), "{kind:?}");
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
            resolve(Some(&kind), Some(wire)),
            Err(wire),
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

/// By schoolbook: the bytes of a decimal's two's complement, shortest form.
fn twos_complement(digits: &str, negative: bool) -> Vec<u8> {
    let mut magnitude = vec![0_u8];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in magnitude.iter_mut().rev() {
            let n = u32::from(*byte) * 10 + carry;
            *byte = (n & 0xff) as u8;
            carry = n >> 8;
        }
        if carry > 0 {
            magnitude.insert(0, carry as u8);
        }
    }
    if magnitude[0] & 0x80 != 0 {
        magnitude.insert(0, 0);
    }
    if negative {
        let mut carry = 1;
        for byte in magnitude.iter_mut().rev() {
            let n = u32::from(!*byte) + carry;
            *byte = (n & 0xff) as u8;
            carry = n >> 8;
        }
    }
    magnitude
}

fn plain(digits: &str, negative: bool, scale: usize) -> String {
    let digits = digits.trim_start_matches('0');
    let sign = if negative && !digits.is_empty() {
        "-"
    } else {
        ""
    };
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

proptest! {
    #[test]
    fn decimals_are_those_of_schoolbook(digits in "[0-9]{1,65}", negative: bool, scale in 0_u8..=30) {
        let bytes = twos_complement(&digits, negative);
        let json = format!("\"{}\"", STANDARD.encode(&bytes));
        let expected = plain(&digits, negative, usize::from(scale));
        let kind = decimal(65, scale);
        prop_assert_eq!(both(&kind, WireType::Decimal { scale }, &json), Ok(format!("\"{expected}\"")));
        let text = format!("\"{expected}\"");
        prop_assert_eq!(both(&kind, WireType::Text, &text), Ok(text));
        prop_assert_eq!(both(&kind, WireType::Float, &expected), Ok(format!("\"{expected}\"")));
    }

    #[test]
    fn small_decimals_are_those_of_i128(n: i128, cut in 0_usize..=15) {
        let n = n >> (cut * 8);
        let json = format!("\"{}\"", STANDARD.encode(n.to_be_bytes()));
        prop_assert_eq!(wire(WireType::Decimal { scale: 0 }, &json), Ok(format!("\"{n}\"")));
    }

    #[test]
    fn exponents_move_the_point(digits in "[1-9][0-9]{0,20}", exponent in -20_i32..=20) {
        let json = format!("{digits}e{exponent}");
        let expected = if exponent >= 0 {
            let zeros = "0".repeat(exponent as usize);
            plain(&format!("{digits}{zeros}{}", "0".repeat(30)), false, 30)
        } else {
            let zeros = "0".repeat((30 + exponent) as usize);
            plain(&format!("{digits}{zeros}"), false, 30)
        };
        let converted = declared(&decimal(65, 30), &json);
        if expected.trim_start_matches(['0', '.']).len() > 66 {
            prop_assert!(converted.is_err());
        } else {
            prop_assert_eq!(converted, Ok(format!("\"{expected}\"")));
        }
    }

    #[test]
    fn bits_are_little_endian(n: u64, width in 1_usize..=8) {
        let n = if width == 8 { n } else { n & ((1 << (8 * width)) - 1) };
        let json = format!("\"{}\"", STANDARD.encode(&n.to_le_bytes()[..width]));
        prop_assert_eq!(declared(&ColumnType::Bit(64), &json), Ok(n.to_string()));
    }

    #[test]
    fn dates_are_those_of_another_calendar(days in -719_528_i64..=2_932_896) {
        let epoch = civil::date(1970, 1, 1);
        let date = epoch.checked_add(jiff::Span::new().days(days)).unwrap();
        prop_assert_eq!(declared(&ColumnType::Date, &days.to_string()), Ok(format!("\"{date}\"")));
    }

    #[test]
    fn date_times_are_those_of_another_calendar(micros in -62_167_219_200_000_000_i64..=253_402_300_799_999_999) {
        let at = jiff::Timestamp::from_microsecond(micros.max(-62_135_596_800_000_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let zoned = at.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let micros = at.as_microsecond();
        let text = format!("{}T{:02}:{:02}:{:02}.{:06}", zoned.date(), zoned.hour(), zoned.minute(), zoned.second(),
            zoned.subsec_nanosecond() / 1000);
        prop_assert_eq!(declared(&ColumnType::DateTime(6), &micros.to_string()), Ok(format!("\"{text}\"")));
        let stamp = format!("\"{text}Z\"");
        prop_assert_eq!(declared(&ColumnType::Timestamp(6), &stamp), Ok(stamp.clone()));
    }

    #[test]
    fn zones_are_taken_off(seconds in -60_000_000_000_i64..=250_000_000_000, minutes in -1080_i64..=1080) {
        let at = |s: i64| jiff::Timestamp::from_second(s).unwrap().to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let (local, utc) = (at(seconds + minutes * 60), at(seconds));
        let sign = if minutes < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        prop_assert_eq!(
            declared(&ColumnType::Timestamp(0), &format!("\"{local}{zone}\"")),
            Ok(format!("\"{utc}Z\""))
        );
    }

    #[test]
    fn no_value_of_any_kind_panics(
        text in r#"-?(0|[1-9][0-9]{0,19})|"[0-9A-Za-z+/=:.,TZ\-]{0,40}"|"(\\\\|\\"|[a,{}\[\]:])*"|true|\[1\]"#,
        digits in 0_u8..=6, precision in 1_u8..=65
    ) {
        let kinds = [
            ColumnType::Integer, ColumnType::Unsigned, ColumnType::BigUnsigned, ColumnType::Boolean,
            decimal(precision, digits.min(precision)), ColumnType::Float, ColumnType::Bit(1), ColumnType::Bit(precision.min(64)),
            ColumnType::Text, ColumnType::Binary, ColumnType::Date, ColumnType::Time(digits), ColumnType::DateTime(digits),
            ColumnType::Timestamp(digits), ColumnType::Year, ColumnType::Enum(members(&["a"])), ColumnType::Set(members(&["a"])),
            ColumnType::Json,
        ];
        for kind in kinds {
            let conversion = resolve(Some(&kind), None).unwrap();
            if let Ok(json) = run(&conversion, &text, Form::Json) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{:?} {} {}", kind, text, json);
                prop_assert!(run(&conversion, &text, Form::Text).is_ok());
            }
        }
    }
}
