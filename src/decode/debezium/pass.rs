//! What Debezium's two encodings have in common: its records that are no rows, and what is refused.

use super::envelope::Seen;
use crate::decode::{DecodeError, Reason};
use crate::event::Pass;

/// An envelope without `op` is one of Debezium's other records, or none of Debezium's.
pub(super) fn without_op(seen: &Seen, has_after: bool) -> Result<Pass, DecodeError> {
    if seen.ddl && (seen.database_name || seen.table_changes) {
        Ok(Pass::SchemaChange)
    } else if seen.status && seen.id {
        Ok(Pass::Transaction)
    } else if seen.ts_ms && !seen.other && !has_after && !seen.source {
        Ok(Pass::Heartbeat)
    } else {
        Err(DecodeError::new(
            Reason::Envelope,
            "the value has no `op`: it is not Debezium's envelope (is an unwrapping transform configured?)",
        ))
    }
}

pub(super) fn unknown_op() -> DecodeError {
    DecodeError::new(
        Reason::Envelope,
        "`op` is none of c, u, r, d, t and m: the value is not Debezium's envelope, or a newer one's",
    )
}

pub(super) fn no_key() -> DecodeError {
    DecodeError::new(
        Reason::Key,
        "the record has no key: give the table a primary key, or the connector message.key.columns",
    )
}
