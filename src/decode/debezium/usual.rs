//! The usual envelope and the usual key, in one pass over their text.
//!
//! Promises: what it gives out is what the readers in `envelope` and `wrapper` give out for the same text, and the
//! text is JSON, but for a row that it was told not to look at: that one must be walked to know either. It gives up
//! (`None`) on whatever it does not know, be it unusual or wrong, and then those readers decide; so nothing depends on it
//! but time. Serde's layers took 37 % of a worker's time (perf, 750-byte updates).

mod ending;

use std::borrow::Cow;
use std::ops::Range;

use super::super::json::scan::{DEPTH, Scan};
use super::envelope::{Envelope, Seen, Source};
use ending::{Endings, Places};

/// How closely an envelope is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// All of it is checked.
    AtAll,
    /// The row need not be looked at; [`Envelope::unread_row`] tells whether it was.
    NotAtTheRow,
}

/// The reader of usual envelopes.
#[derive(Debug, Default)]
pub(super) struct Usual {
    endings: Endings,
}

// === impl Usual ===

impl Usual {
    /// The envelope in `text`, if it has only a change's own fields, each once and without escapes in its name.
    pub(super) fn envelope<'a>(&mut self, text: &'a str, how: Look) -> Option<Envelope<'a>> {
        let mut scan = Scan::new(text);
        let mut envelope = Envelope::default();
        let mut places = Places::default();
        // How far the row went, and what had been seen then.
        let (mut row, mut so_far, mut known) = (0, Seen::default(), false);
        let read = scan.members(|scan, name| {
            let first = match name {
                "after" if envelope.after.is_some() => return None,
                "after" => {
                    if how == Look::NotAtTheRow {
                        let rest = text.get(scan.at..)?;
                        known = self
                            .endings
                            .complete_with_row(&mut envelope, rest)
                            .is_some();
                    }
                    if !known {
                        envelope.after = Some(scan.slice(|scan| scan.value(DEPTH))?);
                        (row, so_far) = (scan.at, envelope.seen);
                        let rest = text.get(scan.at..)?;
                        known = self.endings.complete(&mut envelope, rest).is_some();
                    }
                    // What is known is not read.
                    !known
                }
                "source" => {
                    envelope.source = scan.source(&mut places)?;
                    !std::mem::replace(&mut envelope.seen.source, true)
                }
                "op" => {
                    scan.expect(b'"')?;
                    let (op, place) = scan.plain_at()?;
                    places.op = place;
                    envelope.op.replace(Cow::Borrowed(op)).is_none()
                }
                "before" => scan.passed(&mut envelope.seen.before)?,
                "transaction" => scan.passed(&mut envelope.seen.transaction)?,
                "ts_ms" => scan.passed(&mut envelope.seen.ts_ms)?,
                // Whether they are there tells nothing; that each is there once is not looked at either.
                "ts_us" | "ts_ns" => scan.value(DEPTH).map(|()| true)?,
                _ => return None,
            };
            first.then_some(())
        });
        if !known {
            read?;
            scan.end()?;
            if envelope.after.is_some() {
                self.endings
                    .remember(text, row, so_far, envelope.seen, &places);
            }
        }
        Some(envelope)
    }
}

/// Whether `text` is an object and nothing else, without a member of the name that a wrapper has.
pub(super) fn is_plain_key(text: &str) -> bool {
    let mut scan = Scan::new(text);
    let read = scan.members(|scan, name| {
        scan.value(DEPTH)?;
        (name != "payload").then_some(())
    });
    // Blanks around it are no part of a key's text.
    read.is_some() && scan.at == text.len() && text.starts_with('{')
}

// === impl Scan ===

impl<'a> Scan<'a> {
    /// Passes over a value, and notes that its member was there; `false` where it was before.
    #[inline]
    fn passed(&mut self, seen: &mut bool) -> Option<bool> {
        self.value(DEPTH)?;
        Some(!std::mem::replace(seen, true))
    }

    /// Calls `each` for every member of an object, at its value and with its name, which has no escapes.
    #[inline]
    fn members(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.space();
        self.expect(b'{')?;
        self.space();
        if self.expect(b'}').is_some() {
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let name = self.plain()?;
            self.colon()?;
            each(self, name)?;
            if !self.more(b'}')? {
                return Some(());
            }
        }
    }

    fn source(&mut self, places: &mut Places) -> Option<Source<'a>> {
        let mut source = Source::default();
        let mut seen = [false; 4];
        self.members(|scan, name| {
            let which = match name {
                "file" => {
                    scan.expect(b'"')?;
                    (source.file, places.file) = scan.plain_at()?;
                    0
                }
                "pos" => {
                    (source.pos, places.pos) = scan.whole_at()?;
                    1
                }
                "row" => {
                    (source.row, places.row) = scan.whole_at()?;
                    2
                }
                "ts_ms" => {
                    let (ts_ms, place) = scan.whole_at()?;
                    (source.ts_ms, places.ts_ms) = (ts_ms.try_into().ok()?, place);
                    3
                }
                _ => return scan.value(DEPTH),
            };
            let again = std::mem::replace(seen.get_mut(which)?, true);
            (!again).then_some(())
        })?;
        Some(source)
    }

    /// The rest of a string whose opening quote is behind, if there is no escape in it, and where it stands.
    fn plain_at(&mut self) -> Option<(&'a str, Range<usize>)> {
        let start = self.at;
        let text = self.plain()?;
        Some((text, start..start + text.len()))
    }

    /// A whole number without sign that fits, and where it stands.
    fn whole_at(&mut self) -> Option<(u64, Range<usize>)> {
        let start = self.at;
        let text = self.slice(Self::number)?;
        Some((text.parse().ok()?, start..self.at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::envelope::Outer;
    use super::super::wrapper::wrapped_key;
    use super::*;
    use crate::transform::scan::Members;

    const USUAL: &str = r#"{"before":null,"after":{"id":1,"t":"a\"é\u00e9","n":[1,-2.5e-3,{}]},"source":{"version":"3","ts_ms":1795393440000,"db":"app","file":"binlog.000001","pos":8895,"row":3,"thread":null},"transaction":null,"op":"u","ts_ms":1795393440248,"ts_us":1,"ts_ns":2}"#;

    /// Where it gives an answer, the slow reader gives the same; by itself, and where it has read `USUAL` before.
    fn agrees(text: &str) -> bool {
        let mut experienced = Usual::default();
        assert!(experienced.envelope(USUAL, Look::AtAll).is_some());
        let usual = experienced.envelope(text, Look::AtAll);
        assert_eq!(
            usual,
            Usual::default().envelope(text, Look::AtAll),
            "{text}"
        );
        agrees_at_a_glance(text, usual.as_ref());
        let Some(usual) = usual else {
            return false;
        };
        let outer = Outer::parse_slowly(text).unwrap();
        assert_eq!(outer.duplicate(), None, "{text}");
        assert!(outer.schema.is_none(), "{text}");
        assert_eq!(Some(usual), outer.envelope, "{text}");
        true
    }

    /// Where the row is one object, an envelope of which the row was not read is the one that `whole` is.
    fn agrees_at_a_glance(text: &str, whole: Option<&Envelope<'_>>) {
        let mut experienced = Usual::default();
        assert!(experienced.envelope(USUAL, Look::AtAll).is_some());
        let glance = experienced.envelope(text, Look::NotAtTheRow);
        let Some(mut glance) = glance.filter(|glance| glance.unread_row) else {
            return;
        };
        let row = glance.after.unwrap_or_default();
        let walked = Members::unchecked(row).and_then(|mut walk| {
            while walk.next()?.is_some() {}
            Ok(())
        });
        if walked.is_ok() {
            glance.unread_row = false;
            glance.after = Some(row.trim_ascii_end());
            assert_eq!(Some(&glance), whole, "{text}");
        }
    }

    #[test]
    fn what_differs_in_digits_alone_needs_no_second_look() {
        let mut usual = Usual::default();
        let first = usual.envelope(USUAL, Look::NotAtTheRow).unwrap();
        assert!(!first.unread_row);
        let text = USUAL
            .replace("8895", "9000")
            .replace("\"id\":1", "\"no\":\"\"");
        let second = usual.envelope(&text, Look::NotAtTheRow).unwrap();
        assert!(second.unread_row);
        assert_eq!(
            (second.source.pos, second.source.file),
            (9000, "binlog.000001")
        );
        // A delete has no row that anyone would walk.
        for text in [
            USUAL.replace(r#""op":"u""#, r#""op":"d""#),
            USUAL.replace(r#"{"id":1"#, r#"["id",1"#),
        ] {
            for _ in 0..2 {
                let read = usual.envelope(&text, Look::NotAtTheRow);
                assert!(read.is_none_or(|read| !read.unread_row), "{text}");
            }
        }
    }

    #[test]
    fn the_usual_envelope_is_read_as_by_serde() {
        assert!(agrees(USUAL));
        assert!(agrees(&format!(" {} \n", USUAL.replace(':', " : "))));
        assert!(agrees(r#"{"op":"d","after":null}"#));
        assert!(agrees("{}"));
    }

    #[test]
    fn what_is_unusual_is_left_to_serde() {
        for text in [
            "null",
            "",
            r#"{"op":"u","op":"c"}"#,
            r#"{"after":{},"after":{}}"#,
            r#"{"schema":{},"payload":{"op":"u"}}"#,
            r#"{"op":null}"#,
            r#"{"op":"\u0075"}"#,
            r#"{"source":null,"op":"u"}"#,
            r#"{"source":{"pos":1,"pos":2}}"#,
            r#"{"source":{"pos":-1}}"#,
            r#"{"source":{"pos":18446744073709551616}}"#,
            r#"{"op":"u"}x"#,
            r#"{"op":"u",}"#,
            r#"{"after":{"a":01}}"#,
            r#"{"after":{"a":1.}}"#,
            r#"{"after":{"a":"\x"}}"#,
            "{\"after\":{\"a\":\"\n\"}}",
            r#"{"after":[1}"#,
        ] {
            assert!(!agrees(text), "{text}");
        }
        let deep = format!("{{\"after\":{}{}}}", "[".repeat(100), "]".repeat(100));
        assert!(!agrees(&deep));
    }

    #[test]
    fn a_plain_key_is_one_that_no_wrapper_is_around() {
        assert!(is_plain_key(r#"{"id":7}"#));
        for text in [
            r#"{"payload":{"id":7}}"#,
            r#" {"id":7}"#,
            r#"{"id":7} "#,
            "7",
            "",
        ] {
            assert!(!is_plain_key(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_text_is_read_as_by_serde_or_not_at_all(
            at in 0..USUAL.len(), with in proptest::option::of(any::<char>()), cut in 0..3_usize
        ) {
            let end = (at + cut).min(USUAL.len());
            if let (Some(head), Some(tail)) = (USUAL.get(..at), USUAL.get(end..)) {
                let text = format!("{head}{}{tail}", with.map(String::from).unwrap_or_default());
                agrees(&text);
            }
        }

        #[test]
        fn any_json_is_read_as_by_serde_or_not_at_all(
            text in r#"\{"(op|after|source|before|ts_us)":("[a-z\\"u]{0,3}"|[-+.0-9eE]{1,5}|\{"(file|pos)":[0-9"a-]{0,4}\}|null|true)(,"after":[\[\]\{\},:0-9"]{0,6})?\}"#
        ) {
            agrees(&text);
        }

        #[test]
        fn a_key_is_plain_only_where_serde_finds_no_wrapper(text in r#"\{"(id|payload|schema)":("[a-z\\"]{0,3}"|[-.0-9e]{1,4}|\{\}|\{"id":1\}|null)(,"payload":\{\})?\}"#) {
            if is_plain_key(&text) {
                let (schema, key) = wrapped_key(&text).unwrap();
                prop_assert!(schema.is_none());
                prop_assert_eq!(key.get(), &*text);
            }
        }
    }
}
