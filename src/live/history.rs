//! What a viewer missed, or what a newcomer has to see: entries of LIVE_OUT on request.
//!
//! A request on `live.<room>.history.<user>` is `{"after": seq, "limit": n}` for what follows an entry that was
//! seen, or `{"last": n}`. Promises: the entries of an answer are a run of the room's without a hole, in the one
//! order that every viewer sees; where entries that followed the one asked for may have been removed, the
//! answer says between which sequences. An answer has at most [`MOST`] entries and [`MOST_BYTES`] bytes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::connect::Conn;
use super::names::RoomId;
use super::read::{self, From, Kept, ReadError};
use super::streams::LIVE_OUT;

/// The most entries of one answer: a screen holds some thirty at a time, and whoever needs more asks again.
pub const MOST: usize = 200;
/// The most bytes of the entries of one answer, but for the last of them: half of what the server takes in one
/// message by default.
pub const MOST_BYTES: usize = 512 * 1024;
/// Requests that find out where the last entries begin. Each one at least halves the range.
const PROBES: usize = 64;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// What follows this sequence of LIVE_OUT, at most so many.
    After(u64, usize),
    /// The last so many.
    Last(usize),
}

#[derive(Deserialize)]
struct Fields {
    after: Option<u64>,
    last: Option<usize>,
    limit: Option<usize>,
}

/// An answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// The room.
    pub room: String,
    /// In the order of LIVE_OUT.
    pub entries: Vec<Numbered>,
    /// How many follow the last of them by now.
    pub more: u64,
    /// Where entries may be missing for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// An entry and its place.
#[derive(Debug, Serialize)]
pub(super) struct Numbered {
    /// Its sequence in LIVE_OUT: the `Nats-Sequence` of the feed.
    pub seq: u64,
    /// As in the feed.
    pub entry: Box<RawValue>,
}

/// Entries between two sequences of LIVE_OUT may have been removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    /// What was asked for.
    pub after: u64,
    /// The first entry that is still there; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

// === impl Request ===

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// One sentence for the client's author.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, String> {
        let help = r#"a request for history is {"after": SEQUENCE, "limit": N} or {"last": N}"#;
        let fields: Fields = serde_json::from_slice(payload).map_err(|e| format!("{help}: {e}"))?;
        let number = |name: &str, n: usize| match n {
            1..=MOST => Ok(n),
            _ => Err(format!("{name} is 1 to {MOST}, not {n}")),
        };
        match (fields.after, fields.last, fields.limit) {
            (Some(after), None, limit) => {
                let limit = limit.map_or(Ok(MOST), |n| number("limit", n))?;
                Ok(Self::After(after, limit))
            }
            (None, Some(last), None) => Ok(Self::Last(number("last", last)?)),
            (None, Some(_), Some(_)) => Err(format!("`limit` goes with `after` alone: {help}")),
            (Some(_), Some(_), _) => Err(format!("`after` or `last`, not both: {help}")),
            (None, None, _) => Err(help.to_owned()),
        }
    }

    /// Answers it.
    ///
    /// # Errors
    /// Where LIVE_OUT cannot be read.
    pub(super) async fn answer(
        self,
        conn: &Conn,
        room: &RoomId,
        timeout: Duration,
    ) -> Result<Answer, ReadError> {
        let reader = Reader {
            conn,
            room,
            timeout,
        };
        match self {
            Self::After(0, limit) => reader.run(1, limit).await,
            Self::After(after, limit) => reader.after(after, limit).await,
            Self::Last(n) => reader.last(n).await,
        }
    }
}

/// Reads one room.
struct Reader<'a> {
    conn: &'a Conn,
    room: &'a RoomId,
    timeout: Duration,
}

// === impl Reader ===

impl Reader<'_> {
    async fn page(&self, from: u64, batch: usize) -> Result<read::Page, ReadError> {
        let from = From::Sequence(from);
        read::page(self.conn, self.room, from, batch, MOST_BYTES, self.timeout).await
    }

    /// A run from a sequence on.
    async fn run(&self, from: u64, limit: usize) -> Result<Answer, ReadError> {
        let page = self.page(from, limit).await?;
        self.make(page.entries, page.pending, None)
    }

    /// The entry that was seen is read as well: where it is still there, nothing after it was removed, since
    /// the oldest go first.
    async fn after(&self, after: u64, limit: usize) -> Result<Answer, ReadError> {
        let mut page = self.page(after, limit + 1).await?;
        let first = page.entries.first().map(|e| e.sequence);
        if first == Some(after) {
            page.entries.remove(0);
            return self.make(page.entries, page.pending, None);
        }
        if page.entries.len() > limit {
            page.entries.truncate(limit);
            page.pending += 1;
        }
        let gap = Gap {
            after,
            before: first,
        };
        self.make(page.entries, page.pending, Some(gap))
    }

    async fn last(&self, n: usize) -> Result<Answer, ReadError> {
        let Some(from) = self.start_of_last(n).await? else {
            return self.make(Vec::new(), 0, None);
        };
        let mut last: VecDeque<Kept> = VecDeque::with_capacity(n);
        let mut next = from;
        loop {
            let page = self.page(next, 2 * MOST).await?;
            let Some(end) = page.entries.last().map(|e| e.sequence) else {
                break;
            };
            for entry in page.entries {
                if last.len() == n {
                    last.pop_front();
                }
                last.push_back(entry);
            }
            if page.pending == 0 {
                break;
            }
            next = end + 1;
        }
        // The newest that fit: what is older is asked for by sequence, which also pages.
        let mut bytes: usize = last.iter().map(|e| e.payload.len()).sum();
        while bytes > MOST_BYTES
            && let Some(oldest) = last.pop_front()
        {
            bytes -= oldest.payload.len();
        }
        self.make(last.into(), 0, None)
    }

    /// A sequence from which on the room has at least `n` entries and not many more, or all that it has.
    /// `None` where it has none. The server says how many follow an entry, so the range is found by widening
    /// and halving it.
    async fn start_of_last(&self, n: usize) -> Result<Option<u64>, ReadError> {
        let n = n as u64;
        let (first, all) = match self.count(1).await? {
            Some(found) => found,
            None => return Ok(None),
        };
        if all <= 2 * n {
            return Ok(Some(first));
        }
        let stream_last = self.conn.js.get_stream(LIVE_OUT).await;
        let stream_last = stream_last.map_err(|e| ReadError::new(&e))?;
        // Enough from `low` on; too few from `high` on.
        let mut low = first;
        let mut high = stream_last.cached_info().state.last_sequence + 1;
        let mut enough = all;
        // Rooms that are as busy as each other lie evenly in the stream: the first guess is often good.
        let share = (high - low) * n * 3 / 2 / all.max(1);
        let mut guess = high.saturating_sub(share.max(n));
        for _ in 0..PROBES {
            if enough <= 2 * n || low + 1 >= high {
                break;
            }
            if guess <= low || guess >= high {
                guess = low + (high - low) / 2;
            }
            match self.count(guess).await? {
                Some((at, count)) if count >= n => (low, enough) = (at.max(guess), count),
                Some(_) | None => high = guess,
            }
            guess = low + (high - low) / 2;
        }
        Ok(Some(low))
    }

    /// The first entry from a sequence on, and how many there are from it on.
    async fn count(&self, from: u64) -> Result<Option<(u64, u64)>, ReadError> {
        let page = self.page(from, 1).await?;
        let first = page.entries.first();
        Ok(first.map(|e| (e.sequence, 1 + page.pending)))
    }

    fn make(&self, kept: Vec<Kept>, more: u64, gap: Option<Gap>) -> Result<Answer, ReadError> {
        let number = |e: Kept| {
            let entry = serde_json::from_slice(&e.payload);
            let entry = entry.map_err(|why| {
                ReadError::new(&format!("entry {} is not JSON: {why}", e.sequence))
            })?;
            Ok(Numbered {
                seq: e.sequence,
                entry,
            })
        };
        Ok(Answer {
            room: self.room.to_string(),
            entries: kept.into_iter().map(number).collect::<Result<_, _>>()?,
            more,
            gap,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_of_two_and_bounded() {
        let parse = |text: &str| Request::parse(text.as_bytes());
        assert_eq!(parse(r#"{"after":7,"limit":5}"#), Ok(Request::After(7, 5)));
        assert_eq!(parse(r#"{"after":0}"#), Ok(Request::After(0, MOST)));
        assert_eq!(parse(r#"{"last":200}"#), Ok(Request::Last(200)));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"last":0}"#,
            r#"{"last":201}"#,
            r#"{"last":-1}"#,
            r#"{"after":1,"limit":0}"#,
            r#"{"after":1,"last":1}"#,
            r#"{"last":1,"limit":1}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
