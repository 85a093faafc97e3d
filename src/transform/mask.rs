//! What stands in a document for a value that it must not show.

use sha2::{Digest as _, Sha256};

use crate::config::Mask;

use super::scan;

const REDACTED: &[u8] = b"***";
/// A value of fewer characters would be shown by half or more.
const LAST4_ABOVE: usize = 8;

/// Appends the mask of a converted value's text. What it appends is plain text; for JSON the caller quotes it.
pub(super) fn write(mask: Mask, text: &str, json: bool, out: &mut Vec<u8>) {
    match mask {
        Mask::Redact => out.extend_from_slice(REDACTED),
        Mask::Last4 => {
            out.extend_from_slice(REDACTED);
            if text.chars().nth(LAST4_ABOVE).is_none() {
                return;
            }
            let last = text.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
            let last = text.get(last..).unwrap_or_default();
            if json {
                scan::escape(last, out);
            } else {
                out.extend_from_slice(last.as_bytes());
            }
        }
        Mask::Sha256 => sha256_hex(text.as_bytes(), out),
    }
}

/// Appends the SHA-256 in lower-case hex.
pub(super) fn sha256_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in Sha256::digest(bytes) {
        for half in [byte >> 4, byte & 15] {
            out.push(if half < 10 {
                b'0' + half
            } else {
                b'a' + half - 10
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(mask: Mask, text: &str) -> String {
        let mut out = Vec::new();
        write(mask, text, true, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_four_characters_show_only_of_more_than_eight() {
        assert_eq!(masked(Mask::Last4, "13800138000"), "***8000");
        assert_eq!(masked(Mask::Last4, "123456789"), "***6789");
        assert_eq!(masked(Mask::Last4, "12345678"), "***");
        assert_eq!(masked(Mask::Last4, "一二三四五六七八九"), "***六七八九");
        assert_eq!(masked(Mask::Last4, "一二三四五六七八"), "***");
        assert_eq!(masked(Mask::Last4, "123456\"\\\n"), r#"***6\"\\\n"#);
    }

    #[test]
    fn a_hash_is_the_sha256_of_the_text_and_a_redaction_says_nothing() {
        assert_eq!(
            masked(Mask::Sha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(masked(Mask::Redact, "abc"), masked(Mask::Redact, ""));
    }
}
