//! The last entries of a room, for newcomers and for those who were away for a moment.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::{Batch, Writer};
use super::tally::Class;

/// Entries that are kept: what one answer of the history has.
const MOST: usize = 200;
/// Bytes that are kept, and the most that one client is given at once: less than any queue holds.
const MOST_BYTES: usize = 40 << 10;
/// Bytes of one message: a phone draws what it has while more comes.
const MESSAGE: usize = 16 << 10;

/// An entry of LIVE_OUT.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub seq: u64,
    pub json: Bytes,
    pub recall: bool,
}

/// The last entries.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<Seen>,
    bytes: usize,
    /// Everything after this sequence is here.
    floor: u64,
}

/// Adds entries to a batch, as few messages as may be, in order. Recalls have messages of their own, since they are
/// never shed.
pub(super) fn write<'e>(writer: &mut Writer, entries: impl IntoIterator<Item = &'e Seen>) {
    let mut text: Vec<u8> = Vec::new();
    let (mut class, mut units, mut last) = (Class::Comment, 0, 0);
    let mut close = |text: &mut Vec<u8>, class, units: &mut u32, last| {
        if *units > 0 {
            text.extend_from_slice(b"]}");
            writer.text(class, *units, last, text);
            text.clear();
            *units = 0;
        }
    };
    for entry in entries {
        let of = if entry.recall {
            Class::Recall
        } else {
            Class::Comment
        };
        if of != class || text.len() + entry.json.len() > MESSAGE {
            close(&mut text, class, &mut units, last);
        }
        class = of;
        let head: &[u8] = if units == 0 {
            br#"{"type":"entries","entries":["#
        } else {
            b","
        };
        text.extend_from_slice(head);
        text.extend_from_slice(br#"{"seq":"#);
        text.extend_from_slice(itoa::Buffer::new().format(entry.seq).as_bytes());
        text.extend_from_slice(br#","entry":"#);
        text.extend_from_slice(&entry.json);
        text.push(b'}');
        units += 1;
        last = entry.seq;
    }
    close(&mut text, class, &mut units, last);
}

// === impl Seen ===

impl Seen {
    /// An entry, where it is JSON.
    pub(super) fn new(seq: u64, json: Bytes) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Kind<'a> {
            #[serde(rename = "type", borrow)]
            kind: std::borrow::Cow<'a, str>,
        }
        let kind: Kind = serde_json::from_slice(&json).ok()?;
        let recall = kind.kind == "recall";
        Some(Self { seq, json, recall })
    }
}

// === impl Recent ===

impl Recent {
    /// Adds the next entry.
    pub(super) fn push(&mut self, entry: Seen) {
        self.bytes += entry.json.len();
        self.entries.push_back(entry);
        while self.entries.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.json.len();
            self.floor = oldest.seq;
        }
    }

    /// Forgets all; what comes next is the first that is known, after `floor`.
    pub(super) fn begin(&mut self, floor: u64) {
        *self = Self {
            floor,
            ..Self::default()
        };
    }

    /// The last `n`.
    pub(super) fn last(&self, n: usize) -> Batch {
        let from = self.entries.len().saturating_sub(n);
        let mut writer = Writer::default();
        write(&mut writer, self.entries.range(from..));
        writer.finish()
    }

    /// What follows a sequence; `None` where some of that is not here.
    pub(super) fn after(&self, seq: u64) -> Option<Batch> {
        if seq < self.floor {
            return None;
        }
        let from = self.entries.partition_point(|e| e.seq <= seq);
        let mut writer = Writer::default();
        write(&mut writer, self.entries.range(from..));
        Some(writer.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(seq: u64, kind: &str) -> Seen {
        let json = format!(r#"{{"type":"{kind}","id":"{seq}"}}"#);
        Seen::new(seq, json.into()).unwrap()
    }

    fn units(batch: &Batch) -> u32 {
        batch.parts().iter().map(|p| p.units).sum()
    }

    #[test]
    fn what_is_kept_is_given_from_any_sequence_on_and_from_none_before() {
        let mut recent = Recent::default();
        recent.begin(10);
        for n in 0..300 {
            recent.push(seen(11 + 2 * n, "comment"));
        }
        assert_eq!(units(&recent.last(50)), 50);
        let last = 11 + 2 * 299;
        assert_eq!(recent.last(50).last(), last);
        assert!(recent.after(10).is_none());
        assert_eq!(units(&recent.after(last - 2).unwrap()), 1);
        // A sequence of another room lies between two of this one.
        assert_eq!(units(&recent.after(last - 3).unwrap()), 2);
        assert_eq!(units(&recent.after(last).unwrap()), 0);
        assert_eq!(units(&recent.after(last - 2 * 200).unwrap()), 200);
        assert!(recent.after(last - 2 * 201).is_none());
    }

    #[test]
    fn recalls_have_messages_of_their_own_in_their_place() {
        let entries = [
            seen(1, "comment"),
            seen(2, "comment"),
            seen(3, "recall"),
            seen(4, "comment"),
        ];
        let mut writer = Writer::default();
        write(&mut writer, &entries);
        let batch = writer.finish();
        let parts: Vec<_> = batch
            .parts()
            .iter()
            .map(|p| (p.class, p.units, p.last))
            .collect();
        let wanted = [
            (Class::Comment, 2, 2),
            (Class::Recall, 1, 3),
            (Class::Comment, 1, 4),
        ];
        assert_eq!(parts, wanted);
        assert!(Seen::new(1, Bytes::from_static(b"{\"stream\":\"LIVE_IN\"}")).is_none());
    }
}
