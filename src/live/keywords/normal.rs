//! The form in which texts and keywords meet: NFKC, case folded, without what nobody sees.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A text as the filter reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normal {
    plain: String,
    /// With its runs of one-character words read as one word, where there are any.
    joined: Option<String>,
}

// === impl Normal ===

impl Normal {
    /// Takes everything away that the filter does not look at.
    pub fn of(text: &str) -> Self {
        let plain = plain(text);
        let joined = joined(&plain);
        Self { plain, joined }
    }

    /// The forms in which it is to be looked at.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.plain.as_str()).chain(self.joined.as_deref())
    }

    /// Whether nothing is left.
    pub fn is_blank(&self) -> bool {
        self.plain.is_empty()
    }
}

/// NFKC over case folding over NFKC, blanks as one space each run, none at the ends.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() {
        text.chars().for_each(|c| push(&mut out, fold_ascii(c)));
    } else {
        let visible = text.chars().filter(|c| !invisible(*c));
        let folded = visible.nfkc().flat_map(fold);
        // Folding makes what NFKC takes apart or puts together again (İ), and NFKC what is invisible (U+3164).
        let mut stray = false;
        let composed: String = folded
            .nfkc()
            .filter(|c| !invisible(*c))
            .filter(|c| {
                let drop = stray_mark(*c);
                stray |= drop;
                !drop
            })
            .collect();
        // What a mark stood between may now compose.
        if stray {
            composed.nfkc().for_each(|c| push(&mut out, c));
        } else {
            composed.chars().for_each(|c| push(&mut out, c));
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

fn fold_ascii(c: char) -> char {
    c.to_ascii_lowercase()
}

fn push(out: &mut String, c: char) {
    if blank(c) {
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    } else if !c.is_control() {
        out.push(c);
    }
}

fn blank(c: char) -> bool {
    // U+2800 is Braille's empty pattern: it looks like a blank and is none to Unicode.
    c.is_whitespace() || c == '\u{2800}'
}

/// Full case folding by the standard library's tables: down (ẞ → ß), up (ß → SS), down again. It differs from
/// Unicode's `CaseFolding.txt` in that the dotless ı is an i, and in Cherokee; both sides are folded alike.
fn fold(c: char) -> impl Iterator<Item = char> {
    let cased =
        !matches!(c, '\u{2E80}'..='\u{A63F}' | '\u{AC00}'..='\u{D7FF}' | '\u{20000}'..='\u{3FFFF}');
    let (same, folded) = if cased && !c.is_ascii() {
        (None, Some(c))
    } else {
        (Some(c.to_ascii_lowercase()), None)
    };
    let folded = folded
        .into_iter()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase);
    same.into_iter().chain(folded)
}

/// Whether a character has no appearance of its own: Unicode's `Default_Ignorable_Code_Point` and the other
/// format characters (zero-width spaces and joiners, soft hyphens, bidi controls, variation selectors, fillers,
/// tags). From DerivedCoreProperties.txt and the general category Cf, Unicode 16.
pub fn invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{0600}'..='\u{0605}' | '\u{061C}' | '\u{06DD}' | '\u{070F}'
        | '\u{0890}'..='\u{0891}' | '\u{08E2}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// A mark of the blocks made for any letter (strokes through, dots and rings above) that NFKC left standing: it
/// belongs to no letter of an alphabet, since with those it composes. The marks of scripts that write their
/// vowels with them are not among these.
fn stray_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
        && is_combining_mark(c)
}

/// The text with every run of two or more one-character words as one word; `None` where there is no such run.
fn joined(plain: &str) -> Option<String> {
    let mut out = String::new();
    // The word before, if it is of one character, and whether it has been joined with the one before it.
    let mut single_before = false;
    let mut any = false;
    // Up to where `plain` has been copied.
    let mut copied = 0;
    for (at, word) in words(plain) {
        let single = word.chars().nth(1).is_none();
        let end = at + word.len();
        if single && single_before {
            any = true;
        } else {
            out.push_str(plain.get(copied..at).unwrap_or_default());
        }
        out.push_str(word);
        copied = end;
        single_before = single;
    }
    any.then(|| {
        out.push_str(plain.get(copied..).unwrap_or_default());
        out
    })
}

/// The maximal runs of letters and digits, with where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let left = text.get(rest..)?;
        let begin = rest + left.find(in_word)?;
        let word = text.get(begin..)?;
        let length = word.find(|c| !in_word(c)).unwrap_or(word.len());
        rest = begin + length;
        Some((begin, text.get(begin..rest)?))
    })
}

fn in_word(c: char) -> bool {
    // A mark belongs to the letter before it (vowels of Thai and of the Indic scripts).
    c.is_alphanumeric() || is_combining_mark(c)
}
