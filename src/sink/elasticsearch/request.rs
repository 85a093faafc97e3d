//! The body of a bulk request: an action line with the version and the document, copied from the batch.
//!
//! Promises: one item for each write that is encoded, in order; what Elasticsearch would refuse the whole
//! request for (an id of no or more than 512 bytes, a version past 2^63 − 1) is set aside as a rejection of
//! that write alone. It relies on documents being valid JSON objects and allocates nothing for a write.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::failure::failure;
use crate::config::Deletes;
use crate::event::{Batch, Body};
use crate::planted::{Bug, planted};
use crate::sink::Outcome;

/// The longest id that Elasticsearch takes, in bytes.
const MAX_ID: usize = 512;
/// Bytes of an action line beside the id, and of a tombstone: for reserving, not a limit.
const LINE: usize = 128;

/// What one bulk request says.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// Writes in the request.
    pub(super) items: usize,
    /// Writes that are not in it: the index in the selection, ascending, and what became of them.
    pub(super) aside: Vec<(usize, Outcome)>,
}

/// Body buffers that are used again, since a fresh megabyte for every request costs page faults.
#[derive(Debug)]
pub(super) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
    count: usize,
    bytes: usize,
}

// === impl Buffers ===

impl Buffers {
    /// Keeps at most `count` buffers (the requests in flight) of at most `bytes` each: one record of unusual
    /// size must not hold its memory for ever.
    pub(super) fn new(count: usize, bytes: usize) -> Self {
        Self {
            free: Mutex::new(Vec::new()),
            count,
            bytes,
        }
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    /// Takes a body back, if the client has let go of it.
    pub(super) fn give(&self, body: Bytes) {
        // A shared body would be copied.
        if !body.is_unique() {
            return;
        }
        let mut buffer = Vec::from(body);
        if buffer.capacity() > self.bytes {
            return;
        }
        buffer.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.count {
            free.push(buffer);
        }
    }
}

/// Appends the writes of `batch` that `select` names to `out`. Tombstones are dated `now_ms`, in
/// milliseconds since 1970.
pub(super) fn encode(
    batch: &Batch,
    select: &[u32],
    deletes: Deletes,
    now_ms: i64,
    out: &mut Vec<u8>,
) -> Encoded {
    let mut encoded = Encoded::default();
    let writes = batch.writes();
    let chosen = || select.iter().map(|at| writes.get(*at as usize));
    let size = |write| LINE + document_size(batch.body(write));
    out.reserve(chosen().flatten().map(size).sum());
    for (at, write) in chosen().enumerate() {
        let mut reject = |kind, detail: String| {
            let outcome = Outcome::Rejected(failure(kind, detail, false));
            encoded.aside.push((at, outcome));
        };
        let Some(write) = write else {
            reject("no_such_write", String::from("the batch has no such write"));
            continue;
        };
        let id = batch.id(write);
        if id.is_empty() || id.len() > MAX_ID {
            let len = id.len();
            reject(
                "invalid_id",
                format!("the document id has {len} bytes; Elasticsearch takes 1 to {MAX_ID}"),
            );
            continue;
        }
        let Ok(version) = i64::try_from(write.version.get()) else {
            let v = write.version;
            reject("invalid_version", format!("version {v} is beyond 2^63 - 1"));
            continue;
        };
        let deletes = if planted(Bug::ForgottenTombstone) {
            Deletes::Hard
        } else {
            deletes
        };
        match (batch.body(write), deletes) {
            (Body::Delete, _) if planted(Bug::UnversionedDelete) => {
                out.extend_from_slice(br#"{"delete":{"_id":"#);
                string(out, id);
                out.extend_from_slice(b"}}\n");
            }
            (Body::Json(span), _) => {
                action(out, b"index", id, version, b"external");
                document(out, batch.slice(*span));
            }
            (Body::Delete, Deletes::Tombstone) => {
                action(out, b"index", id, version, b"external");
                out.extend_from_slice(br#"{"_deleted":true,"_deleted_at":"#);
                out.extend_from_slice(itoa::Buffer::new().format(now_ms).as_bytes());
                out.extend_from_slice(b"}\n");
            }
            (Body::Delete, Deletes::Hard) => action(out, b"delete", id, version, b"external"),
            (Body::Fields(_), _) => {
                reject(
                    "not_json",
                    String::from("the document is not in JSON shape"),
                );
                continue;
            }
        }
        encoded.items += 1;
    }
    encoded
}

/// As a sink without hard deletes encodes a request, for who measures or counts it: appends the body, and gives the
/// number of its items.
pub fn bulk_body(batch: &Batch, select: &[u32], out: &mut Vec<u8>) -> usize {
    encode(batch, select, Deletes::Tombstone, 0, out).items
}

fn document_size(body: &Body) -> usize {
    match body {
        Body::Json(span) => span.len(),
        Body::Fields(_) | Body::Delete => 0,
    }
}

/// Appends one action line.
pub(super) fn action(out: &mut Vec<u8>, op: &[u8], id: &str, version: i64, version_type: &[u8]) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(op);
    out.extend_from_slice(br#"":{"_id":"#);
    string(out, id);
    out.extend_from_slice(br#","version":"#);
    out.extend_from_slice(itoa::Buffer::new().format(version).as_bytes());
    out.extend_from_slice(br#","version_type":""#);
    out.extend_from_slice(version_type);
    out.extend_from_slice(b"\"}}\n");
}

fn string(out: &mut Vec<u8>, text: &str) {
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string into memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, text);
    }
}

/// Lines end where the next action begins, so a document may hold no line feed. In valid JSON one stands
/// only between tokens, where a blank says the same.
fn document(out: &mut Vec<u8>, json: &[u8]) {
    let start = out.len();
    out.extend_from_slice(json);
    if memchr::memchr(b'\n', json).is_some() {
        for byte in &mut out[start..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Origin, Position, Shape, Version};

    fn origin(version: u64) -> Origin {
        Origin {
            position: Position {
                partition: 0,
                offset: 0,
            },
            version: Version::from_raw(version),
            record: 0,
            committed_ms: 0,
        }
    }

    fn put(batch: &mut Batch, id: &str, version: u64, json: Option<&str>) {
        let mut draft = batch.draft();
        let put_id = |out: &mut Vec<u8>| -> Result<(), ()> {
            out.extend_from_slice(id.as_bytes());
            Ok(())
        };
        draft.id(put_id).unwrap();
        match json {
            Some(json) => {
                let start = draft.arena().len();
                draft.arena().extend_from_slice(json.as_bytes());
                draft.commit_json(start, origin(version));
            }
            None => {
                draft.commit_delete(origin(version));
            }
        }
    }

    fn encoded(batch: &Batch, select: &[u32], deletes: Deletes) -> (String, Encoded) {
        let mut out = Vec::new();
        let encoded = encode(batch, select, deletes, 1_700_000_000_123, &mut out);
        (String::from_utf8(out).unwrap(), encoded)
    }

    #[test]
    fn each_write_is_its_action_with_its_version_and_its_document() {
        let mut batch = Batch::new(Shape::Json);
        put(&mut batch, "a", 9_007_199_254_740_993, Some(r#"{"x":1}"#));
        put(&mut batch, "skipped", 1, Some("{}"));
        put(&mut batch, "b", 2, None);
        let (body, said) = encoded(&batch, &[2, 0], Deletes::Tombstone);
        assert_eq!(
            body,
            concat!(
                r#"{"index":{"_id":"b","version":2,"version_type":"external"}}"#,
                "\n",
                r#"{"_deleted":true,"_deleted_at":1700000000123}"#,
                "\n",
                r#"{"index":{"_id":"a","version":9007199254740993,"version_type":"external"}}"#,
                "\n",
                r#"{"x":1}"#,
                "\n"
            )
        );
        assert_eq!((said.items, said.aside.len()), (2, 0));
        let (body, _) = encoded(&batch, &[2], Deletes::Hard);
        assert_eq!(
            body,
            "{\"delete\":{\"_id\":\"b\",\"version\":2,\"version_type\":\"external\"}}\n"
        );
    }

    #[test]
    fn no_id_and_no_document_breaks_the_framing() {
        let mut batch = Batch::new(Shape::Json);
        put(&mut batch, "a\"}\n{\\\u{1}é", 1, Some("{\n \"x\":\n1}"));
        let (body, _) = encoded(&batch, &[0], Deletes::Tombstone);
        assert_eq!(
            body,
            "{\"index\":{\"_id\":\"a\\\"}\\n{\\\\\\u0001é\",\"version\":1,\"version_type\":\"external\"}}\n{  \"x\": 1}\n"
        );
    }

    #[test]
    fn what_would_fail_the_whole_request_is_set_aside() {
        let mut batch = Batch::new(Shape::Json);
        put(&mut batch, "", 1, Some("{}"));
        put(&mut batch, &"x".repeat(512), 1, Some("{}"));
        put(&mut batch, &"x".repeat(513), 1, Some("{}"));
        put(&mut batch, "v", u64::MAX, Some("{}"));
        let (_, said) = encoded(&batch, &[0, 1, 2, 3, 9], Deletes::Tombstone);
        let aside: Vec<_> = said.aside.iter().map(|(at, _)| *at).collect();
        assert_eq!((said.items, aside), (1, vec![0, 2, 3, 4]));
        assert!(
            said.aside
                .iter()
                .all(|(_, o)| matches!(o, Outcome::Rejected(_)))
        );
    }

    #[test]
    fn buffers_come_back_unless_they_are_shared_or_too_large() {
        let buffers = Buffers::new(1, 1 << 16);
        let body = Bytes::from(Vec::with_capacity(4096));
        buffers.give(body);
        assert!(buffers.take().capacity() >= 4096);
        let shared = Bytes::from(vec![0_u8; 64]);
        let other = shared.clone();
        buffers.give(shared);
        assert_eq!(buffers.take().capacity(), 0);
        drop(other);
        buffers.give(Bytes::from(vec![0_u8; 1 << 17]));
        assert_eq!(buffers.take().capacity(), 0);
    }
}
