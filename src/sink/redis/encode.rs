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
/// The most arguments, names and values in a call, for documents of many fields: at 0.5 µs each it is done in 2 ms.
const CALL_ARGUMENTS: usize = 4096;
/// Arguments of a document: two keys, the number of its fields, its version and its body.
const ARGUMENTS: usize = 5;
/// The most bytes in a call of more than one document: a few hundred µs of copying.
const CALL_BYTES: usize = 256 * 1024;
/// What is appended to a row's key to name its sibling.
pub(super) const SIBLING: &str = ":_v";
/// Digits of a version.
const DIGITS: usize = 19;

/// Writes of a selection that go in one call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Their places in the selection.
    pub(super) writes: Range<usize>,
    /// Bytes, at the most and roughly.
    bytes: usize,
}

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
    pub(super) fn calls(&self, batch: &Batch, select: &[u32]) -> Vec<Call> {
        let mut calls = Vec::with_capacity(select.len() / CALL_DOCUMENTS + 1);
        let (mut start, mut arguments, mut bytes) = (0, 0, 0);
        for (at, write) in select.iter().map(|&i| write(batch, i)).enumerate() {
            let (more_arguments, more_bytes) = write.map_or((0, 0), |w| weight(batch, w));
            let full = at - start >= CALL_DOCUMENTS
                || arguments + more_arguments > CALL_ARGUMENTS
                || bytes + more_bytes > CALL_BYTES;
            if full && at > start {
                let writes = start..at;
                calls.push(Call { writes, bytes });
                (start, arguments, bytes) = (at, 0, 0);
            }
            arguments += more_arguments;
            bytes += more_bytes;
        }
        if start < select.len() {
            calls.push(Call {
                writes: start..select.len(),
                bytes,
            });
        }
        calls
    }

    /// The command that makes a call.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where the batch is not of this sink's shape, which is a fault in the program.
    pub(super) fn command(
        &self,
        batch: &Batch,
        select: &[u32],
        call: &Call,
    ) -> Result<Cmd, SinkError> {
        let select = select.get(call.writes.clone()).unwrap_or_default();
        let writes = || select.iter().filter_map(|&i| write(batch, i));
        if writes().count() != call.writes.len() {
            return Err(SinkError::Refused(
                "a write was asked for that the batch does not hold; this is a fault in twolane"
                    .into(),
            ));
        }
        let mut cmd = Cmd::with_capacity(
            call.writes.len() * ARGUMENTS + 4 + self.head.len(),
            call.bytes + 128,
        );
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
            let (fields, body) = match batch.body(write) {
                Body::Delete => {
                    cmd.write_arg(b"-");
                    cmd.write_arg(&version);
                    continue;
                }
                Body::Fields(fields) if self.hash => (fields.len(), fields.packed()),
                Body::Json(span) if !self.hash => (1, *span),
                Body::Fields(_) | Body::Json(_) => {
                    return Err(SinkError::Refused(format!(
                        "the document of {} came in a shape that this Redis sink did not ask for; this is a fault in twolane",
                        write.position
                    )));
                }
            };
            cmd.write_arg(number.format(fields).as_bytes());
            cmd.write_arg(&version);
            cmd.write_arg(batch.slice(body));
        }
        Ok(cmd)
    }
}

// === impl Call ===

impl Call {
    /// How many writes it has.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }
}

/// The bytes of the pipeline that a sink with hashes makes of these writes, for who measures it.
///
/// # Errors
/// Where the batch is of another shape.
pub fn packed(batch: &Batch, select: &[u32]) -> Result<usize, SinkError> {
    let encoder = Encoder {
        hash: true,
        inline: true,
        head: vec!["604800000".to_owned()],
    };
    let mut pipeline = ::redis::Pipeline::new();
    for call in encoder.calls(batch, select) {
        pipeline.add_command(encoder.command(batch, select, &call)?);
    }
    Ok(pipeline.get_packed_pipeline().len())
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

/// What a write counts against a call's arguments and bytes, roughly.
fn weight(batch: &Batch, write: &Write) -> (usize, usize) {
    let key = 2 * batch.id(write).len() + SIBLING.len() + DIGITS + 8;
    match batch.body(write) {
        Body::Delete => (4, key),
        Body::Json(span) => (5, key + span.len()),
        Body::Fields(fields) => (5 + 2 * fields.len(), key + fields.packed().len()),
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
mod tests;
