//! The version that every write to a sink carries.
//!
//! `version = epoch (15 bits) << 48 | (offset + 1)`. Within one topic epoch a key lives in one partition,
//! so the versions of one document only grow, and a sink that refuses a lower version can be written in any
//! order, in parallel and twice. The sum fits a signed 64-bit integer, which is what Elasticsearch's
//! external versions are.

use std::fmt;

use crate::planted::{Bug, planted};

/// Bits of a version that hold the offset.
const OFFSET_BITS: u32 = 48;
/// The largest offset that a version can hold: 2^48 − 2.
const MAX_OFFSET: i64 = (1 << OFFSET_BITS) - 2;

/// A topic's incarnation, from 1 to 32,767. It is raised by hand when a topic is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u16);

/// A document's version; greater means later in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

/// Why a number is not an epoch, an offset or a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The epoch is outside 1 to 32,767.
    #[error("epoch {0} is outside 1 to 32767")]
    Epoch(u32),
    /// The offset is negative or beyond 2^48 − 2.
    #[error("offset {0} is outside 0 to {MAX_OFFSET}")]
    Offset(i64),
}

// === impl Epoch ===

impl Epoch {
    /// # Errors
    /// [`VersionError::Epoch`] outside 1 to 32,767.
    pub fn new(epoch: u32) -> Result<Self, VersionError> {
        match u16::try_from(epoch) {
            Ok(e) if (1..=0x7fff).contains(&e) => Ok(Self(e)),
            _ => Err(VersionError::Epoch(epoch)),
        }
    }

    /// The number, 1 to 32,767.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Version ===

impl Version {
    /// The version of the record at `offset` of a topic in `epoch`.
    ///
    /// # Errors
    /// [`VersionError::Offset`] where the offset is negative or beyond 2^48 − 2.
    pub fn new(epoch: Epoch, offset: i64) -> Result<Self, VersionError> {
        if !(0..=MAX_OFFSET).contains(&offset) {
            return Err(VersionError::Offset(offset));
        }
        let epoch = if planted(Bug::IgnoredEpoch) {
            Epoch(1)
        } else {
            epoch
        };
        Ok(Self(
            (u64::from(epoch.0) << OFFSET_BITS) | (offset.unsigned_abs() + 1),
        ))
    }

    /// A version as a sink returned it.
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number that is sent to the sink.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The epoch's bits, which a sink's content may hold any value of.
    pub fn epoch_bits(self) -> u16 {
        u16::try_from(self.0 >> OFFSET_BITS).unwrap_or(u16::MAX)
    }

    /// The offset of the record that made this version, or −1 for a version that no record makes.
    pub fn offset(self) -> i64 {
        i64::try_from(self.0 & ((1 << OFFSET_BITS) - 1)).unwrap_or(i64::MAX) - 1
    }

    /// 19 digits with leading zeros: byte order is numeric order. Lua's numbers are doubles and lose
    /// precision past 2^53, so Redis compares versions as text.
    pub fn padded(self) -> impl fmt::Display {
        struct Padded(u64);
        impl fmt::Display for Padded {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:019}", self.0)
            }
        }
        Padded(self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_version_fits_a_signed_64_bit_integer_and_19_digits() {
        let v = Version::new(Epoch::new(0x7fff).unwrap(), MAX_OFFSET).unwrap();
        assert!(i64::try_from(v.get()).is_ok());
        assert_eq!(v.padded().to_string().len(), 19);
    }

    #[test]
    fn epochs_and_offsets_out_of_range_are_refused() {
        assert_eq!(Epoch::new(0), Err(VersionError::Epoch(0)));
        assert_eq!(Epoch::new(0x8000), Err(VersionError::Epoch(0x8000)));
        let e = Epoch::new(1).unwrap();
        assert_eq!(Version::new(e, -1), Err(VersionError::Offset(-1)));
        assert!(Version::new(e, MAX_OFFSET + 1).is_err());
    }

    proptest! {
        #[test]
        fn versions_order_as_epoch_then_offset_as_numbers_and_as_padded_text(
            a in (1u32..0x8000, 0..=MAX_OFFSET), b in (1u32..0x8000, 0..=MAX_OFFSET)
        ) {
            let v = |(e, o): (u32, i64)| Version::new(Epoch::new(e).unwrap(), o).unwrap();
            prop_assert_eq!(v(a).cmp(&v(b)), a.cmp(&b));
            prop_assert_eq!(v(a).padded().to_string().cmp(&v(b).padded().to_string()), a.cmp(&b));
            prop_assert_eq!(v(a).offset(), a.1);
            prop_assert_eq!(u32::from(v(a).epoch_bits()), a.0);
        }
    }
}
