//! How envelopes end. Behind its row an envelope says where the change came from, in 300 bytes and more of which from
//! record to record nothing but digits differs: positions, times, numbers of transactions. An ending that is one of
//! those remembered but for digits is not read again; where its parts stand is known. Reading it took a fifth of what
//! decoding does (`cargo bench --bench decode`).

use std::borrow::Cow;
use std::ops::Range;

use super::super::envelope::{Envelope, Seen, Source};
use crate::decode::scan::{HIGH, ONES};

/// Endings remembered, the last new ones: a topic has one for each operation, with each count of digits that its numbers
/// have just now.
const KNOWN: usize = 16;
/// Bytes of an ending that is worth it. A longer one quotes the statement, which is another one each time.
const LONGEST: usize = 2048;

/// The endings that were new last.
#[derive(Debug, Default)]
pub(super) struct Endings {
    known: Vec<Ending>,
    /// The one to be forgotten next.
    oldest: usize,
}

/// Valid text from behind a row to the envelope's end.
#[derive(Debug, Default)]
struct Ending {
    text: String,
    /// What had been seen before it, and with it.
    seen_before: Seen,
    seen_with: Seen,
    places: Places,
}

/// Where the parts of an envelope stand in its text; an empty range for a part that is not there.
#[derive(Debug, Default, Clone)]
pub(super) struct Places {
    pub(super) op: Range<usize>,
    pub(super) file: Range<usize>,
    pub(super) pos: Range<usize>,
    pub(super) row: Range<usize>,
    pub(super) ts_ms: Range<usize>,
}

// === impl Endings ===

impl Endings {
    /// Completes an envelope of which everything up to its row's end has been read, and `rest` is not, if the rest
    /// is known.
    pub(super) fn complete<'a>(&self, envelope: &mut Envelope<'a>, rest: &'a str) -> Option<()> {
        let known = self.known.iter().find(|known| known.ends(envelope, rest))?;
        known.complete(envelope, rest)
    }

    /// The same where the row has not been read either, and `rest` begins with it: the row is what stands before a known
    /// ending, if it is an object. Whoever walks it to its end has then seen that there is no other way to read this.
    pub(super) fn complete_with_row<'a>(
        &self,
        envelope: &mut Envelope<'a>,
        rest: &'a str,
    ) -> Option<()> {
        let split =
            |known: &Ending| rest.split_at_checked(rest.len().checked_sub(known.text.len())?);
        let (known, row, rest) = self.known.iter().find_map(|known| {
            let (row, rest) = split(known)?;
            known.ends(envelope, rest).then_some((known, row, rest))
        })?;
        let op = rest.get(known.places.op.clone())?;
        if !matches!(op, "c" | "u" | "r") || !row.starts_with('{') {
            return None;
        }
        known.complete(envelope, rest)?;
        (envelope.after, envelope.unread_row) = (Some(row), true);
        Some(())
    }

    /// Remembers how an envelope ended. `before` is what had been seen when its row had been read, up to `at`;
    /// nothing is remembered where its operation or its source stood before that.
    pub(super) fn remember(
        &mut self,
        text: &str,
        at: usize,
        before: Seen,
        with: Seen,
        places: &Places,
    ) {
        let Some(rest) = text.get(at..).filter(|rest| rest.len() <= LONGEST) else {
            return;
        };
        if places.op.start < at || before.source || !with.source {
            return;
        }
        if self.known.len() < KNOWN {
            self.known.push(Ending::default());
            self.oldest = self.known.len() - 1;
        }
        if let Some(known) = self.known.get_mut(self.oldest) {
            known.text.clear();
            known.text.push_str(rest);
            (known.seen_before, known.seen_with) = (before, with);
            known.places = places.behind(at);
        }
        self.oldest = (self.oldest + 1) % KNOWN;
    }
}

// === impl Ending ===

impl Ending {
    /// Whether `rest` is this ending, behind what `envelope` has by now.
    fn ends(&self, envelope: &Envelope<'_>, rest: &str) -> bool {
        self.seen_before == envelope.seen
            && envelope.op.is_none()
            && differs_in_digits(&self.text, rest)
    }

    fn complete<'a>(&self, envelope: &mut Envelope<'a>, rest: &'a str) -> Option<()> {
        let op = rest.get(self.places.op.clone())?;
        envelope.source = self.places.source(rest)?;
        envelope.op = Some(Cow::Borrowed(op));
        envelope.seen = self.seen_with;
        Some(())
    }
}

// === impl Places ===

impl Places {
    /// The places in the text from `at` on.
    fn behind(&self, at: usize) -> Self {
        let behind =
            |place: &Range<usize>| place.start.saturating_sub(at)..place.end.saturating_sub(at);
        Self {
            op: behind(&self.op),
            file: behind(&self.file),
            pos: behind(&self.pos),
            row: behind(&self.row),
            ts_ms: behind(&self.ts_ms),
        }
    }

    fn source<'a>(&self, text: &'a str) -> Option<Source<'a>> {
        let number = |place: &Range<usize>| match text.get(place.clone())? {
            "" => Some(0),
            digits => digits.parse::<u64>().ok(),
        };
        Some(Source {
            file: text.get(self.file.clone())?,
            pos: number(&self.pos)?,
            row: number(&self.row)?,
            ts_ms: number(&self.ts_ms)?.try_into().ok()?,
            duplicate: None,
        })
    }
}

/// Whether valid text is `known` with other digits at most, so that it is valid too and its parts stand where they
/// stand there. A zero that begins a number where another digit did is taken for a difference, since no other
/// digit may follow it. In names and escapes a digit does no harm: no name that is looked for has one, and `\u` takes
/// any.
fn differs_in_digits(known: &str, text: &str) -> bool {
    let (known, text) = (known.as_bytes(), text.as_bytes());
    if known.len() != text.len() {
        return false;
    }
    // Eight bytes at a time, and the last eight once more for those that are left over.
    let alike = |at: usize| {
        let eight = |bytes: &[u8]| {
            bytes
                .get(at..)?
                .first_chunk()
                .copied()
                .map(u64::from_le_bytes)
        };
        let (Some(known), Some(own)) = (eight(known), eight(text)) else {
            return false;
        };
        let before = || at.checked_sub(1).and_then(|at| text.get(at)).copied();
        known == own || eight_differ_in_digits(known, own, before().unwrap_or_default())
    };
    let Some(last) = text.len().checked_sub(8) else {
        return known == text;
    };
    (0..last).step_by(8).all(alike) && alike(last)
}

/// The same of eight bytes behind `before`, by the high bit of each.
fn eight_differ_in_digits(known: u64, own: u64, before: u8) -> bool {
    let not_zero = |x: u64| (((x & !HIGH) + !HIGH) | x) & HIGH;
    // From `0` on, and not from behind `9` on; nothing is carried from a byte to the next.
    let from = |x: u64, byte: u8| ((x & !HIGH) + ONES * u64::from(0x80 - byte)) & HIGH;
    let digits = |x: u64| from(x, b'0') & !from(x, b'9' + 1) & !x;
    let differs = not_zero(known ^ own);
    let zeros = !not_zero(own ^ (ONES * u64::from(b'0')));
    let behind_digit = digits(own) << 8 | u64::from(before.is_ascii_digit()) << 7;
    differs & !(digits(known) & digits(own)) == 0 && differs & zeros & !behind_digit == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::differs_in_digits;

    #[test]
    fn digits_may_differ_but_not_where_a_zero_would_begin_a_number() {
        let known = r#","pos":8895,"row":0,"gtid":"0-1-15"}"#;
        for (text, same) in [
            (r#","pos":8895,"row":0,"gtid":"0-1-15"}"#, true),
            (r#","pos":1000,"row":9,"gtid":"7-1-99"}"#, true),
            (r#","pos":0895,"row":0,"gtid":"0-1-15"}"#, false),
            (r#","pos":88.5,"row":0,"gtid":"0-1-15"}"#, false),
            (r#","pos":8895,"raw":0,"gtid":"0-1-15"}"#, false),
            (r#","pos":8895,"row":0,"gtid":"0-1-16"]"#, false),
            (r#","pos":8895,"row":0,"gtid":"0-1-1"}"#, false),
        ] {
            assert_eq!(differs_in_digits(known, text), same, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_differs_in_digits_is_found_as_by_looking_at_each_byte(
            known in "[0-9a:.é]{0,30}", changes in prop::collection::vec((any::<prop::sample::Index>(), "[0-2a:é]"), 0..6)
        ) {
            let mut text: Vec<char> = known.chars().collect();
            for (at, with) in &changes {
                if let (false, Some(with)) = (text.is_empty(), with.chars().next()) {
                    let at = at.index(text.len());
                    text[at] = with;
                }
            }
            let text: String = text.into_iter().collect();
            let alike = known.len() == text.len() && known.bytes().zip(text.bytes()).enumerate().all(|(at, (k, o))| {
                let begins = || at == 0 || !text.as_bytes()[at - 1].is_ascii_digit();
                k == o || k.is_ascii_digit() && o.is_ascii_digit() && !(o == b'0' && begins())
            });
            // Short ones are not worth it.
            let expected = if text.len() < 8 { known == text } else { alike };
            prop_assert_eq!(differs_in_digits(&known, &text), expected, "{} {}", known, text);
        }
    }
}
