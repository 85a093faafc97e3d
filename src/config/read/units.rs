//! Durations and sizes as people write them.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A whole number and a unit of `ms`, `s`, `m`, `h` or `d`: `500ms`, `60s`, `7d`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor).map(Duration::from_millis)
}

/// A whole number, alone or with `B`, `KiB`, `MiB` or `GiB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// A duration in the largest unit that holds it exactly.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let unit = DURATION_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| ms > 0 && ms.is_multiple_of(u128::from(*factor)));
    match unit {
        Some((name, factor)) => format!("{}{name}", ms / u128::from(*factor)),
        None => format!("{ms}ms"),
    }
}

/// A size in the largest unit that holds it exactly.
pub(crate) fn show_size(bytes: u64) -> String {
    let unit = SIZE_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_fit() {
        let ms = |text| parse_duration(text).map(|d| d.as_millis());
        for (text, expected) in [
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("10m", Some(600_000)),
            ("2h", Some(7_200_000)),
            ("7d", Some(604_800_000)),
            ("7 d", Some(604_800_000)),
            ("60", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1w", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(ms(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, expected) in [
            ("24MiB", Some(24 << 20)),
            ("1GiB", Some(1 << 30)),
            ("64KiB", Some(65_536)),
            ("8B", Some(8)),
            ("4096", Some(4096)),
            ("24MB", None),
            ("24mib", None),
            ("", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for ms in [0, 1, 500, 1_000, 1_500, 60_000, 86_400_000, 604_800_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        for bytes in [0, 1, 1023, 1024, 24 << 20, (24 << 20) + 1] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
    }
}
