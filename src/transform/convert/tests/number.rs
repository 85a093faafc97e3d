use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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
        both(&ColumnType::BigUnsigned, precise.clone(), max).as_deref(),
        Ok("18446744073709551615")
    );
    assert!(both(&ColumnType::BigUnsigned, precise.clone(), "\"/w==\"").is_err());
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
