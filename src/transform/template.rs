//! Key templates such as `profile:{id}`: read and checked, so that what remains can be trusted by
//! [`IdTemplate`] never to give two rows one key.

use super::id::{Escape, IdTemplate, MAX_BYTES, Part};

/// The most bytes of a template's own text: a hashed key is its prefix and 72 bytes.
const MAX_LITERAL: usize = 256;

impl IdTemplate {
    /// Reads a template in which every column of the topic's key stands once, in braces.
    ///
    /// # Errors
    /// What is wrong with it and what would be right, without the name of a file or a field.
    pub fn parse(template: &str, key: &[String]) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(at);
            let placeholder = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
            let Some((name, tail)) = placeholder.filter(|(name, _)| !name.contains('{')) else {
                return Err(format!(
                    "`{template}` has a brace without its other: a column stands as `{{column}}`, and braces stand for nothing else"
                ));
            };
            push_literal(&mut parts, template, literal, name)?;
            parts.push(Part::Column(column(&parts, template, name, key)?));
            rest = tail;
        }
        if !rest.is_empty() {
            check_literal(template, rest)?;
            parts.push(Part::Literal(rest.into()));
        }
        if let Some(missing) = (0..key.len()).find(|i| !parts.contains(&Part::Column(*i))) {
            return Err(format!(
                "`{template}` lacks the key column {}: a key that leaves out a column of the topic's key would be shared by several rows",
                named(key, missing)
            ));
        }
        let literal: usize = parts.iter().map(Part::literal_len).sum();
        if literal > MAX_LITERAL {
            return Err(format!(
                "`{template}` has {literal} bytes of its own text; the most is {MAX_LITERAL}, so that a key stays within {MAX_BYTES}"
            ));
        }
        Ok(Self {
            columns: key.iter().map(|c| c.as_str().into()).collect(),
            parts: parts.into(),
            escape: Escape::Reserved,
        })
    }
}

// === impl Part ===

impl Part {
    fn literal_len(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Column(_) => 0,
        }
    }
}

/// The text before a column. Between two columns it must have a character that no value has: else `a-b` and
/// `c` would read as `a` and `b-c`.
fn push_literal(
    parts: &mut Vec<Part>,
    template: &str,
    literal: &str,
    next: &str,
) -> Result<(), String> {
    check_literal(template, literal)?;
    if parts.is_empty() {
        if literal.is_empty() {
            return Err(format!(
                "`{template}` must begin with a text of its own, such as `profile:`, which keeps its keys apart from all others"
            ));
        }
    } else if !literal.bytes().any(is_separator) {
        return Err(format!(
            "`{template}` has nothing before `{{{next}}}` that tells where the column before it ends: put one of `:`, `/` or `|` there"
        ));
    }
    parts.push(Part::Literal(literal.into()));
    Ok(())
}

/// What [`Escape::Reserved`] encodes in values.
fn is_separator(byte: u8) -> bool {
    byte.is_ascii_punctuation() && !matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%')
}

fn check_literal(template: &str, literal: &str) -> Result<(), String> {
    match literal
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || *c == '%')
    {
        Some('%') => Err(format!(
            "`{template}` has a `%`, which only begins the escapes in values: leave it out"
        )),
        Some(_) => Err(format!(
            "`{template}` has a blank or a control character: leave it out"
        )),
        None => Ok(()),
    }
}

fn column(parts: &[Part], template: &str, name: &str, key: &[String]) -> Result<usize, String> {
    let Some(at) = key.iter().position(|column| column == name) else {
        let all: Vec<_> = (0..key.len()).map(|i| named(key, i)).collect();
        let all = all.join(", ");
        return Err(format!(
            "`{template}` names `{{{name}}}`, which is no column of the topic's key; those are {all}"
        ));
    };
    if parts.contains(&Part::Column(at)) {
        return Err(format!(
            "`{template}` names `{{{name}}}` twice: once is enough"
        ));
    }
    Ok(at)
}

fn named(key: &[String], at: usize) -> String {
    key.get(at)
        .map_or_else(String::new, |name| format!("`{{{name}}}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Vec<String> {
        vec!["id".into(), "k2".into()]
    }

    fn refused(template: &str) -> String {
        IdTemplate::parse(template, &key()).unwrap_err()
    }

    #[test]
    fn a_template_with_every_key_column_once_is_taken() {
        let template = IdTemplate::parse("profile:{k2}:{id}", &key()).unwrap();
        assert_eq!(template.literal_prefix(), "profile:");
        assert_eq!(template.columns().collect::<Vec<_>>(), ["id", "k2"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_remedy() {
        for (template, says) in [
            ("p:{id}", "lacks the key column `{k2}`"),
            (
                "p:{id}:{name}",
                "`{name}`, which is no column of the topic's key; those are `{id}`, `{k2}`",
            ),
            ("p:{id}{k2}", "before `{k2}`"),
            ("p:{id}-{k2}", "put one of"),
            ("p:{id}é{k2}", "put one of"),
            ("{id}:{k2}", "must begin with a text of its own"),
            ("p:{id}:{k2}:{id}", "twice"),
            ("p:{id}:{k2", "a brace without its other"),
            ("p:}{id}:{k2}", "a brace without its other"),
            ("p:{{id}}:{k2}", "a brace without its other"),
            ("p: {id}:{k2}", "a blank"),
            ("p:{id}:{k2}%", "`%`"),
            ("p:", "lacks the key column `{id}`"),
        ] {
            let error = refused(template);
            assert!(error.contains(says), "{template}: {error}");
            assert!(error.contains(&format!("`{template}`")), "{error}");
        }
        assert!(refused(&format!("{}:{{id}}:{{k2}}", "p".repeat(300))).contains("the most is 256"));
    }
}
