//! The keyword filter: one Aho-Corasick automaton over what is left of a text when case, width and invisible
//! characters are taken away.
//!
//! Promises: a keyword is found wherever its letters stand, within a word too, in any case, in full width or
//! another compatible form, and with characters between its letters that nobody sees. A run of words of one
//! character each (`b a d`, `傻.逼`) is also read as one word. It does not read what merely looks alike: a Cyrillic
//! а is another letter than a Latin a, é another than e, and `grab adam` holds no `bad`, since a filter that
//! drops every blank finds words that nobody wrote.
//!
//! It relies on nothing outside: both the keywords and the text go through [`Normal`], so that they meet in the
//! same form. A filter never changes; a new list makes a new filter, and whoever holds the old one ends with it.

mod list;
mod normal;

use aho_corasick::AhoCorasick;

pub use list::{BadList, load};
pub use normal::{Normal, invisible};

/// The most characters of one keyword: longer ones are sentences, which one character more evades.
pub const LONGEST: usize = 64;

/// Keywords, ready to be looked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `None` without keywords: an automaton without patterns still walks the text.
    automaton: Option<AhoCorasick>,
}

/// Why a text is no keyword.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWord {
    /// It would be found in every text.
    #[error(
        "the keyword {0:?} has nothing to look for: only blanks or invisible characters; leave it out"
    )]
    Nothing(String),
    /// Over [`LONGEST`].
    #[error(
        "a keyword of {0} characters is too long: it takes 1 to {LONGEST}, so write what is common to all its forms"
    )]
    TooLong(usize),
    /// The automaton cannot be built.
    #[error("the list is too large for one filter: {0}")]
    List(String),
}

// === impl Filter ===

impl Filter {
    /// Of these keywords. Some milliseconds for 10,000: not for the way of a comment.
    ///
    /// # Errors
    /// [`BadWord`] for the first that is none.
    pub fn new<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Result<Self, BadWord> {
        let mut patterns = Vec::new();
        for word in words {
            let normal = keyword(word.as_ref())?;
            patterns.extend(normal.texts().map(str::to_owned));
        }
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let automaton = AhoCorasick::new(&patterns).map_err(|e| BadWord::List(e.to_string()))?;
        Ok(Self {
            automaton: Some(automaton),
        })
    }

    /// Whether any keyword is in this text.
    pub fn hits(&self, text: &Normal) -> bool {
        let Some(automaton) = &self.automaton else {
            return false;
        };
        text.texts().any(|text| automaton.is_match(text))
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }
}

/// A keyword in the form in which it is looked for.
///
/// # Errors
/// [`BadWord`] where it is none.
pub fn keyword(word: &str) -> Result<Normal, BadWord> {
    let count = word.chars().count();
    if count > LONGEST {
        return Err(BadWord::TooLong(count));
    }
    let normal = Normal::of(word);
    if normal.is_blank() {
        return Err(BadWord::Nothing(word.to_owned()));
    }
    Ok(normal)
}

#[cfg(test)]
mod tests;
