//! The names of series in an expression of Prometheus' language.
//!
//! An identifier of the language is a function or an aggregation where a bracket follows, a keyword, a label where it stands
//! in braces or in the list of a `by`, and a series' name everywhere else. So what is left when all of those are taken away
//! is every series that the expression names, unless it names one by its label, which is refused here.

use std::collections::BTreeSet;

/// Words that are no names where they stand alone.
const KEYWORDS: [&str; 11] = [
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "start",
    "end",
    "inf",
    "nan",
    "group_left",
    "group_right",
];
/// Words before a list of labels.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// Every series that `expression` names.
///
/// # Panics
/// Where it names one by the label `__name__`, or a bracket or a string does not close.
pub fn series(expression: &str) -> BTreeSet<String> {
    assert!(!expression.contains("__name__"), "{expression}");
    let mut found = BTreeSet::new();
    let mut rest = expression;
    let mut list = false;
    while let Some(c) = rest.chars().next() {
        match c {
            '#' => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            '"' | '\'' | '`' => rest = past_string(rest),
            '{' => rest = past(rest, '}'),
            '[' => rest = past(rest, ']'),
            '(' if std::mem::take(&mut list) => rest = past(rest, ')'),
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
                let end = rest.find(|c| !name(c)).unwrap_or(rest.len());
                let word = &rest[..end];
                rest = &rest[end..];
                let lower = word.to_ascii_lowercase();
                list = LISTS.contains(&lower.as_str());
                // An aggregation's list of labels may come before what it aggregates.
                let next = rest.trim_start();
                let called = next.starts_with('(')
                    || next.starts_with("by ")
                    || next.starts_with("without ");
                if !list && !called && !KEYWORDS.contains(&lower.as_str()) {
                    found.insert(word.to_owned());
                }
            }
            // A number, with its exponent or unit.
            c if c.is_ascii_digit() => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
                rest = &rest[end.unwrap_or(rest.len())..];
            }
            c => rest = &rest[c.len_utf8()..],
        }
    }
    found
}

/// What follows the partner of the bracket that `rest` begins with.
fn past(rest: &str, close: char) -> &str {
    let mut inner = &rest[1..];
    loop {
        let c = inner.chars().next().expect("a bracket closes");
        if c == close {
            return &inner[1..];
        }
        inner = match c {
            '"' | '\'' | '`' => past_string(inner),
            c => &inner[c.len_utf8()..],
        };
    }
}

fn past_string(rest: &str) -> &str {
    let quote = rest.chars().next().expect("a quote");
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return &rest[at + 1..];
        }
        escaped = c == '\\' && quote != '`' && !escaped;
    }
    panic!("a string does not close: {rest}")
}

#[test]
fn names_are_told_from_functions_labels_and_keywords() {
    for (expression, names) in [
        ("up", &["up"][..]),
        ("rate(a_total[5m])", &["a_total"]),
        (
            "sum by (le, b) (rate(a_bucket{c=\"d}\", e=~'f(g)'}[$__rate_interval])) > 1e3",
            &["a_bucket"],
        ),
        (
            "sum(rate(a[5m])) without (x) / on (y) group_left (z) b:c:d",
            &["a", "b:c:d"],
        ),
        (
            "a == bool 1 and b or c unless d offset 5m",
            &["a", "b", "c", "d"],
        ),
        ("histogram_quantile(0.99, a) # and b\n+ 0x1f", &["a"]),
        ("count (a) by (b)", &["a"]),
        ("a{b=\"\\\"}\"} > 0.5", &["a"]),
    ] {
        let found: Vec<String> = series(expression).into_iter().collect();
        assert_eq!(found, names, "{expression}");
    }
}

#[test]
#[should_panic(expected = "__name__")]
fn a_name_that_hides_in_a_label_is_refused() {
    series("{__name__=~\"a.*\"}");
}
