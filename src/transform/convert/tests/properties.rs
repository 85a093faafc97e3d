use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil;
use proptest::prelude::*;

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
            let conversion = resolve(Some(&kind), None, &debezium()).unwrap();
            if let Ok(json) = run(&conversion, &text, Form::Json) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{:?} {} {}", kind, text, json);
                prop_assert!(run(&conversion, &text, Form::Text).is_ok());
            }
        }
    }
}
