//! From writes to calls of a script, and from its answers to outcomes.
//!
//! One call takes many documents: setting up a script call costs Redis about as much as writing a small
//! document. While a call runs, Redis serves nobody else, so calls are kept short.

use std::fmt::Write as _;
use std::ops::Range;

use ::redis::{Cmd, RedisWrite, Script, Value};

use super::check::unexpected;
use super::scripts;
use super::trouble;
use crate::config::{Deletes, RedisShape, RedisSpec, SinkSpec};
use crate::event::{Batch, Body, Version, Write};
use crate::sink::{Failure, Outcome, SinkError};

/// The most documents in a call: measured here, Redis takes 10 µs for a document of ten fields, so a call is
/// done in under 1 ms; beyond 16 documents more of them gain nothing that can be measured.
const CALL_DOCUMENTS: usize = 64;
/// The most arguments in a call, for documents of many fields: at 0.5 µs each it is done in 2 ms.
const CALL_ARGUMENTS: usize = 4096;
/// The most bytes in a call of more than one document: a few hundred µs of copying.
const CALL_BYTES: usize = 256 * 1024;
/// What is appended to a row's key to name its sibling.
pub(super) const SIBLING: &str = ":_v";
/// Digits of a version.
const DIGITS: usize = 19;

/// How one sink's documents are written.
#[derive(Debug)]
pub(super) struct Encoder {
    hash: bool,
    inline: bool,
    /// The script's first arguments.
    head: Vec<String>,
}

// === impl Encoder ===

impl Encoder {
    /// For a sink of this kind.
    pub(super) fn new(spec: &RedisSpec, sink: &SinkSpec) -> Self {
        let hash = match spec.shape {
            RedisShape::Hash => true,
            RedisShape::String => false,
        };
        // PX takes whole milliseconds, from 1.
        let millis = |d: std::time::Duration| d.as_millis().max(1).to_string();
        let horizon = match sink.deletes {
            Deletes::Tombstone => millis(sink.horizon),
            Deletes::Hard => String::new(),
        };
        let inline = hash && spec.ttl.is_none();
        let head = if inline {
            vec![horizon]
        } else {
            vec![
                if hash { "hash" } else { "string" }.to_owned(),
                spec.ttl.map(millis).unwrap_or_default(),
                // The version outlives its row by the horizon: until then a late older write must not bring an
                // old state of the expired row back.
                spec.ttl
                    .map(|ttl| millis(ttl.saturating_add(sink.horizon)))
                    .unwrap_or_default(),
                horizon,
            ]
        };
        Self { hash, inline, head }
    }

    /// The script that writes.
    fn script(&self) -> &'static Script {
        if self.inline {
            &scripts::INLINE
        } else {
            &scripts::BESIDE
        }
    }

    /// Cuts a selection into calls.
    pub(super) fn calls(&self, batch: &Batch, select: &[u32]) -> Vec<Range<usize>> {
        let mut calls = Vec::new();
        let (mut start, mut arguments, mut bytes) = (0, 0, 0);
        for (at, write) in select.iter().map(|&i| write(batch, i)).enumerate() {
            let (more_arguments, more_bytes) = write.map_or((0, 0), |w| weight(batch, w));
            let full = at - start >= CALL_DOCUMENTS
                || arguments + more_arguments > CALL_ARGUMENTS
                || bytes + more_bytes > CALL_BYTES;
            if full && at > start {
                calls.push(start..at);
                (start, arguments, bytes) = (at, 0, 0);
            }
            arguments += more_arguments;
            bytes += more_bytes;
        }
        if start < select.len() {
            calls.push(start..select.len());
        }
        calls
    }

    /// The call that writes these writes.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where the batch is not of this sink's shape, which is a fault in the program.
    pub(super) fn call(&self, batch: &Batch, select: &[u32]) -> Result<Cmd, SinkError> {
        let writes = || select.iter().filter_map(|&i| write(batch, i));
        if writes().count() != select.len() {
            return Err(SinkError::Refused(
                "a write was asked for that the batch does not hold; this is a fault in twolane"
                    .into(),
            ));
        }
        let (arguments, bytes) = writes()
            .map(|w| weight(batch, w))
            .fold((3 + self.head.len(), 128), |(a, b), (more_a, more_b)| {
                (a + more_a, b + more_b)
            });
        let mut cmd = Cmd::with_capacity(arguments, bytes);
        let mut number = itoa::Buffer::new();
        cmd.arg("EVALSHA").arg(self.script().get_hash());
        cmd.write_arg(number.format(select.len() * 2).as_bytes());
        let mut sibling = Vec::new();
        for write in writes() {
            let key = batch.id(write).as_bytes();
            sibling.clear();
            sibling.extend_from_slice(key);
            sibling.extend_from_slice(SIBLING.as_bytes());
            cmd.write_arg(key);
            cmd.write_arg(&sibling);
        }
        for argument in &self.head {
            cmd.write_arg(argument.as_bytes());
        }
        for write in writes() {
            let version = digits(write.version);
            match batch.body(write) {
                Body::Delete => {
                    cmd.write_arg(b"-");
                    cmd.write_arg(&version);
                }
                Body::Fields(range) if self.hash => {
                    let fields = batch.fields(range);
                    let own = if self.inline { 2 } else { 0 };
                    cmd.write_arg(number.format(fields.len() * 2 + own).as_bytes());
                    if self.inline {
                        cmd.write_arg(b"_v");
                    }
                    cmd.write_arg(&version);
                    for (name, value) in fields {
                        cmd.write_arg(name);
                        cmd.write_arg(value);
                    }
                }
                Body::Json(span) if !self.hash => {
                    cmd.write_arg(b"1");
                    cmd.write_arg(&version);
                    cmd.write_arg(batch.slice(*span));
                }
                Body::Fields(_) | Body::Json(_) => {
                    return Err(SinkError::Refused(format!(
                        "the document of {} came in a shape that this Redis sink did not ask for; this is a fault in twolane",
                        write.position
                    )));
                }
            }
        }
        Ok(cmd)
    }
}

/// Appends what became of a call's writes.
///
/// # Errors
/// [`SinkError::Unavailable`] where the answer is none of the script's.
pub(super) fn outcomes(
    answer: &Value,
    writes: usize,
    into: &mut Vec<Outcome>,
) -> Result<(), SinkError> {
    match answer {
        Value::Int(n) if usize::try_from(*n) == Ok(writes) => {
            into.extend(std::iter::repeat_n(Outcome::Applied, writes));
            Ok(())
        }
        Value::Array(items) if items.len() == writes => {
            for item in items {
                let Value::BulkString(text) = item else {
                    return Err(unexpected("writing", item));
                };
                into.push(outcome(text));
            }
            Ok(())
        }
        other => Err(unexpected("writing", other)),
    }
}

/// What a full server makes of a call's writes.
pub(super) fn out_of_memory(detail: &str, writes: usize, into: &mut Vec<Outcome>) {
    let failure = Failure {
        kind: "oom".into(),
        detail: trouble::cut(detail).into(),
        alone: false,
        alarm: true,
    };
    into.extend(std::iter::repeat_n(Outcome::Retry(failure), writes));
}

fn outcome(text: &[u8]) -> Outcome {
    match text.split_first() {
        None => Outcome::Applied,
        Some((b'!', error)) => {
            let error = String::from_utf8_lossy(error);
            let (code, _) = error.split_once(' ').unwrap_or((&error, ""));
            Outcome::Rejected(Failure {
                kind: code.to_ascii_lowercase().into(),
                detail: trouble::cut(&error).into(),
                alone: true,
                alarm: false,
            })
        }
        Some(_) => Outcome::Superseded {
            by: std::str::from_utf8(text)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .map(Version::from_raw),
        },
    }
}

fn write(batch: &Batch, index: u32) -> Option<&Write> {
    batch.writes().get(index as usize)
}

/// Arguments and bytes of a write, roughly.
fn weight(batch: &Batch, write: &Write) -> (usize, usize) {
    let key = 2 * batch.id(write).len() + SIBLING.len() + DIGITS + 8;
    match batch.body(write) {
        Body::Delete => (4, key),
        Body::Json(span) => (5, key + span.len()),
        Body::Fields(range) => {
            let fields = batch.fields(range);
            (
                5 + 2 * fields.len(),
                key + fields.map(|(n, v)| n.len() + v.len()).sum::<usize>(),
            )
        }
    }
}

fn digits(version: Version) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    let mut rest = version.get();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    digits
}

/// The name of a partition's field among the markers.
pub(super) fn field(partition: i32) -> String {
    let mut name = String::with_capacity(12);
    // Writing to a String cannot fail.
    let _ = write!(name, "p{partition}");
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Epoch, Origin, Position, Shape};

    fn batch(documents: usize, fields: usize, value: &[u8]) -> (Batch, Vec<u32>) {
        let mut batch = Batch::new(Shape::Fields);
        let select = (0..documents)
            .map(|i| {
                let position = Position {
                    partition: 0,
                    offset: i64::try_from(i).unwrap(),
                };
                let mut draft = batch.draft();
                draft
                    .id(|out| {
                        out.extend_from_slice(format!("k:{i}").as_bytes());
                        Ok::<_, ()>(())
                    })
                    .unwrap();
                for f in 0..fields {
                    let start = draft.arena().len();
                    draft.arena().extend_from_slice(format!("f{f}").as_bytes());
                    let middle = draft.arena().len();
                    draft.arena().extend_from_slice(value);
                    let end = draft.arena().len();
                    draft.field(start..middle, middle..end);
                }
                let version = Version::new(Epoch::new(1).unwrap(), position.offset).unwrap();
                draft.commit_fields(Origin {
                    position,
                    version,
                    record: 0,
                    committed_ms: 0,
                })
            })
            .collect();
        (batch, select)
    }

    fn encoder(inline: bool) -> Encoder {
        Encoder {
            hash: true,
            inline,
            head: vec!["9".into()],
        }
    }

    #[test]
    fn calls_cover_the_selection_in_order_and_stay_within_every_limit() {
        for (documents, fields, size) in [(1, 3, 4), (200, 10, 20), (50, 500, 1), (5, 1, 200_000)] {
            let (batch, select) = batch(documents, fields, &vec![b'x'; size]);
            let calls = encoder(true).calls(&batch, &select);
            assert_eq!(calls.first().unwrap().start, 0);
            assert_eq!(calls.last().unwrap().end, documents);
            for pair in calls.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
            }
            for call in calls {
                let command = encoder(true).call(&batch, &select[call.clone()]).unwrap();
                assert!(
                    call.len() == 1
                        || (call.len() <= CALL_DOCUMENTS
                            && command.args_iter().len() <= CALL_ARGUMENTS + 8
                            && command.get_packed_command().len() < 2 * CALL_BYTES)
                );
            }
        }
    }

    #[test]
    fn a_call_names_row_and_sibling_as_keys_and_gives_the_version_in_19_digits() {
        let (batch, select) = batch(1, 1, b"v");
        let command = encoder(true).call(&batch, &select).unwrap();
        let text = String::from_utf8(command.get_packed_command()).unwrap();
        assert!(text.contains("\r\n2\r\n$3\r\nk:0\r\n$6\r\nk:0:_v\r\n$1\r\n9\r\n$1\r\n4\r\n$2\r\n_v\r\n$19\r\n0000281474976710657\r\n$2\r\nf0\r\n$1\r\nv\r\n"), "{text}");
    }

    #[test]
    fn digits_are_the_padded_version() {
        for raw in [0, 7, (1 << 53) + 1, u64::MAX >> 1] {
            let version = Version::from_raw(raw);
            assert_eq!(digits(version), version.padded().to_string().as_bytes());
        }
    }

    #[test]
    fn answers_become_outcomes_one_for_each_write() {
        let mut got = Vec::new();
        outcomes(&Value::Int(2), 2, &mut got).unwrap();
        let bulk = |t: &str| Value::BulkString(t.as_bytes().to_vec());
        let mixed = Value::Array(vec![
            bulk(""),
            bulk("0000281474976710657"),
            bulk("!WRONGTYPE Operation against"),
        ]);
        outcomes(&mixed, 3, &mut got).unwrap();
        assert_eq!(
            got[..3],
            [Outcome::Applied, Outcome::Applied, Outcome::Applied]
        );
        assert_eq!(
            got[3],
            Outcome::Superseded {
                by: Some(Version::from_raw(281_474_976_710_657))
            }
        );
        assert!(matches!(&got[4], Outcome::Rejected(f) if &*f.kind == "wrongtype" && f.alone));
        assert!(outcomes(&Value::Int(1), 2, &mut got).is_err());
        assert!(outcomes(&Value::Array(vec![]), 1, &mut got).is_err());
    }
}
