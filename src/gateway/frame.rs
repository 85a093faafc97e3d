//! What goes to viewers, encoded once: WebSocket messages one behind the other, and where each of them ends.

use std::sync::Arc;

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};

use super::tally::Class;

/// Messages for every viewer of a room, or for one. Clones share the bytes.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    bytes: Bytes,
    parts: Arc<[Part]>,
}

/// One message of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub class: Class,
    /// How many comments, recalls, totals or notifications it holds.
    pub units: u32,
    /// The sequence of its last entry; 0 where it holds none.
    pub last: u64,
    /// Where it ends in the batch.
    end: usize,
}

/// Encodes a batch.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: BytesMut,
    parts: Vec<Part>,
}

// === impl Batch ===

impl Batch {
    /// A batch of one message.
    pub(super) fn one(class: Class, units: u32, last: u64, json: &[u8]) -> Self {
        let mut writer = Writer::default();
        writer.text(class, units, last, json);
        writer.finish()
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The last sequence in it; 0 where it has none.
    pub(super) fn last(&self) -> u64 {
        self.parts.iter().map(|p| p.last).max().unwrap_or(0)
    }

    /// Each message by itself.
    pub(super) fn each(&self) -> impl Iterator<Item = (Part, Bytes)> {
        let mut from = 0;
        self.parts.iter().map(move |part| {
            let bytes = self.bytes.slice(from..part.end);
            from = part.end;
            (*part, bytes)
        })
    }
}

// === impl Writer ===

impl Writer {
    /// Adds a text message.
    pub(super) fn text(&mut self, class: Class, units: u32, last: u64, json: &[u8]) {
        self.message(OpCode::Text, class, units, last, json);
    }

    /// Adds any message.
    pub(super) fn message(
        &mut self,
        code: OpCode,
        class: Class,
        units: u32,
        last: u64,
        payload: &[u8],
    ) {
        Parser::write_message(&mut self.out, payload, code, true, false);
        self.parts.push(Part {
            class,
            units,
            last,
            end: self.out.len(),
        });
    }

    pub(super) fn finish(self) -> Batch {
        Batch {
            bytes: self.out.freeze(),
            parts: self.parts.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_codec::Decoder as _;
    use actix_http::ws::{Codec, Frame};

    use super::*;

    #[test]
    fn a_client_reads_each_message_of_a_batch() {
        let mut writer = Writer::default();
        writer.text(Class::Comment, 3, 9, b"one");
        writer.text(Class::Like, 1, 0, &[b'x'; 300]);
        let batch = writer.finish();
        assert_eq!(batch.last(), 9);
        let each: Vec<_> = batch.each().collect();
        assert_eq!(each.len(), 2);
        assert_eq!(each[0].1.len() + each[1].1.len(), batch.bytes().len());
        let mut codec = Codec::new().client_mode();
        let mut bytes = BytesMut::from(&batch.bytes()[..]);
        let Some(Frame::Text(one)) = codec.decode(&mut bytes).unwrap() else {
            panic!("no text");
        };
        assert_eq!(&one[..], b"one");
        let Some(Frame::Text(two)) = codec.decode(&mut bytes).unwrap() else {
            panic!("no text");
        };
        assert_eq!((two.len(), bytes.len()), (300, 0));
    }
}
