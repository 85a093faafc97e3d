//! The zone that a capture tool prints TIMESTAMP columns in.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A zone: `UTC`, an offset such as `+08:00`, or a name of the IANA database such as `Asia/Shanghai`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Seconds east of UTC.
    Fixed(i64),
    Named(TimeZone),
}

/// MySQL's own bound for an offset.
const MOST_HOURS: i64 = 14;

// === impl Zone ===

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(Kind::Fixed(0));

    /// The seconds since 1970 of a local time, which is given as if it were UTC's. `None` where the zone has
    /// it twice or never, as when its clocks are put back or forward.
    pub fn instant(&self, local: i64) -> Option<i64> {
        match &self.0 {
            Kind::Fixed(east) => local.checked_sub(*east),
            Kind::Named(zone) => {
                let local = Timestamp::from_second(local).ok()?;
                let local = TimeZone::UTC.to_datetime(local);
                let instant = zone.to_ambiguous_timestamp(local).unambiguous().ok()?;
                Some(instant.as_second())
            }
        }
    }
}

impl FromStr for Zone {
    type Err = String;

    /// # Errors
    /// One sentence that says what would have been right.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(east) = offset(text) {
            return Ok(Self(Kind::Fixed(east)));
        }
        match TimeZone::get(text) {
            Ok(zone) => Ok(Self(Kind::Named(zone))),
            Err(_) => Err(format!(
                "{text:?} is no zone: write \"UTC\", an offset such as \"+08:00\", or a name such as \"Asia/Shanghai\""
            )),
        }
    }
}

/// Seconds east of UTC of `UTC`, `Z` or `±HH:MM`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        b"UTC" | b"Z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let [h0, h1, b':', m0, m1] = *digits else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let hours = digit(h0)? * 10 + digit(h1)?;
    let minutes = digit(m0)? * 10 + digit(m1)?;
    let seconds = hours * 3600 + minutes * 60;
    (minutes < 60 && seconds <= MOST_HOURS * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_becomes_the_instant() {
        let instant = |zone: &str, local| zone.parse::<Zone>().unwrap().instant(local);
        assert_eq!(instant("UTC", 1_000_000), Some(1_000_000));
        assert_eq!(instant("+08:00", 28_800), Some(0));
        assert_eq!(instant("-03:30", -12_600), Some(0));
        // 2023-03-23 15:00:10 in Shanghai is 07:00:10 in UTC.
        assert_eq!(instant("Asia/Shanghai", 1_679_583_610), Some(1_679_554_810));
        // 2026-07-01 12:00 in New York is 16:00 in UTC, and 2026-01-01 12:00 is 17:00.
        assert_eq!(
            instant("America/New_York", 1_782_907_200),
            Some(1_782_921_600)
        );
        assert_eq!(
            instant("America/New_York", 1_767_268_800),
            Some(1_767_286_800)
        );
    }

    #[test]
    fn a_local_time_that_is_there_twice_or_never_is_none() {
        let new_york: Zone = "America/New_York".parse().unwrap();
        // 2026-11-01 01:30, before and after the clocks go back; 2026-03-08 02:30, which they leap over.
        assert_eq!(new_york.instant(1_793_496_600), None);
        assert_eq!(new_york.instant(1_772_937_000), None);
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for text in ["", "UT", "+8", "+15:00", "+08:60", "Asia/Shang", "08:00"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }
}
