//! Where to: an offset, a time, or the log's start.

use std::fmt;
use std::str::FromStr;

/// What `--to` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The log's start.
    Earliest,
    /// An offset of one partition.
    Offset(i64),
    /// The first record of that moment or later.
    Time(jiff::Timestamp),
}

// === impl Target ===

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "earliest" {
            return Ok(Self::Earliest);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            let offset = text.parse();
            return offset
                .map(Self::Offset)
                .map_err(|_| format!("{text} is no offset: the highest is {}", i64::MAX));
        }
        text.parse().map(Self::Time).map_err(|_| {
            "give an offset (1200), a time with its zone (2026-11-27T10:00:00Z), or `earliest`"
                .to_owned()
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Offset(offset) => write!(f, "{offset}"),
            Self::Time(time) => write!(f, "{time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_a_time_with_its_zone_and_earliest_are_targets_and_nothing_else_is() {
        let of = str::parse::<Target>;
        assert_eq!(of("earliest"), Ok(Target::Earliest));
        assert_eq!(of("1200"), Ok(Target::Offset(1_200)));
        let time = of("2026-11-27T10:00:00Z").unwrap();
        assert_eq!(of("2026-11-27T18:00:00+08:00"), Ok(time));
        for wrong in [
            "",
            "-1",
            "latest",
            "2026-11-27T10:00:00",
            "99999999999999999999",
        ] {
            of(wrong).unwrap_err();
        }
    }
}
