//! What holds for every format: a record's size, and what becomes of a TRUNCATE.

use super::{DecodeError, Decoder, Reason};
use crate::config::OnTruncate;
use crate::event::{Changes, Pass, Record};

/// The most bytes of a record's key and value. Kafka's own default for a record is 1 MiB; a row of MySQL has
/// at most 64 KiB beside its large objects. A record of this size already holds a branch's whole buffer.
const MAX_BYTES: usize = 24 << 20;

/// A decoder behind the checks that all of them share.
pub(super) struct Checked<D> {
    decoder: D,
    truncates: OnTruncate,
}

// === impl Checked ===

impl<D> Checked<D> {
    pub(super) fn new(decoder: D, truncates: OnTruncate) -> Self {
        Self { decoder, truncates }
    }

    fn check<'a>(
        &mut self,
        record: &Record<'a>,
        decode: impl FnOnce(&mut D, &Record<'a>) -> Result<Changes<'a>, DecodeError>,
    ) -> Result<Changes<'a>, DecodeError> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if bytes > MAX_BYTES {
            return Err(DecodeError::new(
                Reason::Limit,
                format!("the record has {bytes} bytes, more than the {MAX_BYTES} allowed"),
            ));
        }
        let changes = decode(&mut self.decoder, record)?;
        match (&changes, self.truncates) {
            (Changes::Pass(Pass::Truncate), OnTruncate::DeadLetter) => Err(DecodeError::new(
                Reason::Truncate,
                "the table was truncated: no document was deleted for it; backfill the table, which removes what it no longer has",
            )),
            (
                Changes::Pass(_) | Changes::One(_) | Changes::Many(_) | Changes::Partly { .. },
                OnTruncate::Ignore | OnTruncate::DeadLetter,
            ) => Ok(changes),
        }
    }
}

impl<D: Decoder> Decoder for Checked<D> {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        self.check(record, D::decode)
    }

    fn glance<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        self.check(record, D::glance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Headers, Position};

    struct Truncates;

    impl Decoder for Truncates {
        fn decode<'a>(&mut self, _: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
            Ok(Changes::Pass(Pass::Truncate))
        }
    }

    fn decode(truncates: OnTruncate, value: &[u8]) -> Result<Changes<'_>, DecodeError> {
        Checked::new(Truncates, truncates).decode(&Record {
            position: Position {
                partition: 0,
                offset: 0,
            },
            timestamp_ms: 0,
            key: None,
            value: Some(value),
            headers: Headers::default(),
        })
    }

    #[test]
    fn a_truncate_goes_by_the_spec() {
        assert!(matches!(
            decode(OnTruncate::Ignore, b""),
            Ok(Changes::Pass(Pass::Truncate))
        ));
        let refused = decode(OnTruncate::DeadLetter, b"").unwrap_err();
        assert_eq!(refused.reason, Reason::Truncate);
    }

    #[test]
    fn a_record_beyond_the_limit_is_not_looked_at() {
        let value = vec![0; MAX_BYTES];
        assert!(decode(OnTruncate::Ignore, &value).is_ok());
        let value = vec![0; MAX_BYTES + 1];
        let refused = decode(OnTruncate::Ignore, &value).unwrap_err();
        assert_eq!(refused.reason, Reason::Limit);
    }
}
