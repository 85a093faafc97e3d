//! What a comment must look like before anybody asks who wrote it.

use unicode_normalization::UnicodeNormalization as _;

use crate::live::keywords::Normal;
use crate::live::wire::{Comment, Reason};

/// The sizes that a comment may have.
const SIZES: [u8; 3] = [18, 25, 36];
/// Colours end here.
const WHITE: u32 = 0xFF_FF_FF;
/// The longest reference of an author's own, in bytes.
const LONGEST_CID: usize = 64;
/// NFC makes one character of four at the most (ᾂ), so that a text of more than four times the limit need not be
/// composed to be known as too long.
const COMPOSED: usize = 4;

/// A comment's text as it is shown, and as the filter reads it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) shown: String,
    pub(super) normal: Normal,
}

/// Why it is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Reason,
    pub(super) detail: String,
}

/// Checks a comment's form. The text is shown in NFC, trimmed, with a blank for each control character (a line
/// break too) and without the controls that would turn the direction of what stands beside it.
pub(super) fn check(comment: &Comment, max_chars: u32) -> Result<Text, Fault> {
    let fault = |code, detail: String| Err(Fault { code, detail });
    if let Some(cid) = &comment.cid
        && cid.len() > LONGEST_CID
    {
        let detail = format!(
            "cid has {} bytes: it takes {LONGEST_CID} at the most",
            cid.len()
        );
        return fault(Reason::Malformed, detail);
    }
    if !SIZES.contains(&comment.fontsize) {
        let detail = format!("fontsize is 18, 25 or 36, not {}", comment.fontsize);
        return fault(Reason::BadStyle, detail);
    }
    if comment.color > WHITE {
        let detail = format!("color is 0 to {WHITE}, not {}", comment.color);
        return fault(Reason::BadStyle, detail);
    }
    let most = usize::try_from(max_chars).unwrap_or(usize::MAX);
    let too_long = |count: usize| Fault {
        code: Reason::TooLong,
        detail: format!("{count} characters are too many: the room takes {max_chars}"),
    };
    let raw = comment.content.chars().count();
    if raw > most.saturating_mul(COMPOSED) {
        return Err(too_long(raw));
    }
    let shown: String = comment
        .content
        .chars()
        .filter(|c| !turns(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .nfc()
        .collect();
    let shown = shown.trim();
    let count = shown.chars().count();
    if count > most {
        return Err(too_long(count));
    }
    let normal = Normal::of(shown);
    if normal.is_blank() {
        let detail = "there is nothing to see in it".to_owned();
        return fault(Reason::Empty, detail);
    }
    Ok(Text {
        shown: shown.to_owned(),
        normal,
    })
}

/// Embeddings, overrides and isolates of the bidirectional algorithm.
fn turns(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(content: &str) -> Comment {
        serde_json::from_value(serde_json::json!({ "content": content })).unwrap()
    }

    fn shown(content: &str) -> Result<String, Reason> {
        check(&comment(content), 10)
            .map(|text| text.shown)
            .map_err(|fault| fault.code)
    }

    #[test]
    fn length_is_counted_in_characters_as_they_are_shown() {
        assert_eq!(
            shown("加油加油加油加油加油").as_deref(),
            Ok("加油加油加油加油加油")
        );
        assert_eq!(shown("加油加油加油加油加油！"), Err(Reason::TooLong));
        // Ten letters, each written as two characters.
        assert_eq!(shown(&"e\u{301}".repeat(10)).unwrap().chars().count(), 10);
        assert_eq!(shown(&"e\u{301}".repeat(11)), Err(Reason::TooLong));
        assert_eq!(shown("  0123456789\n").as_deref(), Ok("0123456789"));
        assert_eq!(shown(&"x".repeat(1 << 20)), Err(Reason::TooLong));
    }

    #[test]
    fn what_nobody_can_see_is_empty() {
        for blank in ["", "  ", "\u{200B}\u{FEFF}", "\u{3164}", "\n\t", "\u{202E}"] {
            assert_eq!(shown(blank), Err(Reason::Empty), "{blank:?}");
        }
    }

    #[test]
    fn controls_do_not_reach_the_screen() {
        assert_eq!(shown("a\u{202E}b\nc\0d").as_deref(), Ok("ab c d"));
        // A joiner inside an emoji is part of what is seen.
        assert_eq!(shown("👩\u{200D}🚀").as_deref(), Ok("👩\u{200D}🚀"));
    }

    #[test]
    fn a_style_that_there_is_not_is_refused() {
        let mut bad = comment("x");
        bad.fontsize = 20;
        assert_eq!(check(&bad, 10).unwrap_err().code, Reason::BadStyle);
        let mut bad = comment("x");
        bad.color = 0x0100_0000;
        assert_eq!(check(&bad, 10).unwrap_err().code, Reason::BadStyle);
        let mut bad = comment("x");
        bad.cid = Some("c".repeat(65));
        assert_eq!(check(&bad, 10).unwrap_err().code, Reason::Malformed);
    }
}
