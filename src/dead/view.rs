//! One letter in full, for machines and for the page.

use serde::Serialize;

use super::letter::Letter;
use super::redact::Redactor;
use super::summary::Summary;
use super::text;

/// The most characters of a key or a value that are shown in one piece: a page is no place for a megabyte.
const MOST: usize = 16 << 10;
/// The most bytes of what is no text.
const MOST_HEX: usize = 2 << 10;
/// The most characters of a header's value.
const MOST_HEADER: usize = 400;

/// A letter.
#[derive(Debug, Serialize)]
pub(crate) struct LetterView {
    /// The dead-letter topic.
    dead_topic: String,
    #[serde(flatten)]
    summary: Summary,
    /// The record's own time.
    record_time: String,
    epoch: Option<u16>,
    headers: Vec<HeaderView>,
    key: BodyView,
    value: BodyView,
}

#[derive(Debug, Serialize)]
struct HeaderView {
    name: String,
    /// `None` where the header has none.
    value: Option<String>,
}

/// A key or a value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BodyView {
    bytes: Option<usize>,
    /// `null`, `json`, `text`, `binary` (hexadecimal), `omitted` (it did not fit the topic) or `hidden`.
    kind: &'static str,
    text: String,
    /// Whether the text is all of it.
    whole: bool,
}

// === impl LetterView ===

impl LetterView {
    /// What of it may be shown; `short` also cuts what is long.
    pub(crate) fn new(letter: &Letter, topic: &str, redactor: &Redactor, short: bool) -> Self {
        let most = |limit| if short { limit } else { usize::MAX };
        let header = |(name, value): &(String, Option<Vec<u8>>)| {
            let shown = value.as_deref().map(|v| match redactor.hides(name) {
                true => "***".to_owned(),
                false => text::cut(&text::value(v), most(MOST_HEADER)),
            });
            HeaderView {
                name: text::line(name),
                value: shown,
            }
        };
        let value = match (letter.about.omitted, letter.value.as_deref()) {
            (Some(bytes), None) => BodyView {
                bytes: usize::try_from(bytes).ok(),
                kind: "omitted",
                text: String::new(),
                whole: false,
            },
            (_, value) => BodyView::new(value, redactor, short),
        };
        Self {
            dead_topic: topic.to_owned(),
            record_time: text::time(letter.about.record_time_ms),
            epoch: letter.about.version.map(|v| v.epoch_bits()),
            headers: letter.headers.iter().map(header).collect(),
            key: BodyView::new(letter.key.as_deref(), redactor, short),
            value,
            summary: letter.into(),
        }
    }
}

// === impl BodyView ===

impl BodyView {
    fn new(bytes: Option<&[u8]>, redactor: &Redactor, short: bool) -> Self {
        let Some(bytes) = bytes else {
            return Self {
                bytes: None,
                kind: "null",
                text: String::new(),
                whole: true,
            };
        };
        let utf8 = std::str::from_utf8(bytes).ok();
        let (kind, shown) = if redactor.hides_nothing() {
            let hex = if short {
                bytes.get(..MOST_HEX).unwrap_or(bytes)
            } else {
                bytes
            };
            match utf8.map(|text| (text, text::body(bytes))) {
                Some((_, ("JSON", pretty))) => ("json", pretty),
                Some((text, _)) => ("text", text.to_owned()),
                None => ("binary", text::body(hex).1),
            }
        } else {
            match utf8.and_then(|text| redactor.json(text)) {
                Some(json) => ("json", text::body(json.as_bytes()).1),
                None => ("hidden", String::new()),
            }
        };
        let cut = short && shown.chars().nth(MOST).is_some();
        let whole =
            kind != "hidden" && !cut && (kind != "binary" || !short || bytes.len() <= MOST_HEX);
        Self {
            bytes: Some(bytes.len()),
            kind,
            text: if cut { text::cut(&shown, MOST) } else { shown },
            whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PipelineSpec;

    fn hiding() -> Redactor {
        let folder = tempfile::tempdir().unwrap();
        for part in ["topics", "pipelines"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let topic = "name = \"t\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 1\nepoch = 1\n\
                     [columns]\nid = \"int\"\nphone = \"text\"\n";
        std::fs::write(folder.path().join("topics/t.toml"), topic).unwrap();
        let pipeline = "topic = \"t\"\n[document]\nmask = { phone = \"last4\" }\n[[sink]]\ntype = \"redis\"\nkey = \"t:{id}\"\n";
        std::fs::write(folder.path().join("pipelines/t.toml"), pipeline).unwrap();
        let config = crate::config::load(&crate::config::LoadOptions {
            directory: folder.path().to_owned(),
            ..Default::default()
        });
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        Redactor::of(config.pipelines.iter().collect::<Vec<&PipelineSpec>>())
    }

    #[test]
    fn what_a_pipeline_masks_is_not_shown_and_what_cannot_be_searched_neither() {
        let r = hiding();
        let shown = BodyView::new(Some(br#"{"id":1,"phone":"13800138000"}"#), &r, true);
        assert_eq!((shown.kind, shown.whole), ("json", true));
        assert!(shown.text.contains("***") && !shown.text.contains("8000"));
        for bytes in [&b"13800138000"[..], b"\xff8000", b"{\"phone\":\"8000"] {
            let shown = BodyView::new(Some(bytes), &r, true);
            assert_eq!((shown.kind, shown.text.as_str()), ("hidden", ""));
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let r = Redactor::default();
        let long = "x".repeat(MOST + 1);
        let shown = BodyView::new(Some(long.as_bytes()), &r, true);
        assert_eq!(
            (shown.kind, shown.whole, shown.bytes),
            ("text", false, Some(MOST + 1))
        );
        assert_eq!(shown.text.chars().count(), MOST);
        assert!(BodyView::new(Some(long.as_bytes()), &r, false).whole);
        let binary = BodyView::new(Some(&[0xff; 4096]), &r, true);
        assert_eq!((binary.kind, binary.whole), ("binary", false));
    }
}
