//! What the check must notice.

use super::*;

fn spec() -> DocumentSpec {
    let text = |s: &str| s.to_owned();
    DocumentSpec {
        decimals: Default::default(),
        rename: [(text("due_at"), text("dueDate"))].into(),
        omit: [text("password_hash")].into(),
        mask: [(text("phone"), Mask::Last4)].into(),
    }
}

/// A row in which only these columns are not NULL.
fn cells(values: &[(&str, &str)]) -> Vec<Option<String>> {
    let value = |name| values.iter().find(|(n, _)| *n == name);
    COLUMNS
        .iter()
        .map(|c| value(c.name).map(|(_, v)| (*v).to_owned()))
        .collect()
}

fn row() -> Vec<Option<String>> {
    cells(&[
        ("id", "18446744073709551615"),
        ("rev", "7"),
        ("nickname", "🌸雨桐"),
        ("due_at", "2027-03-04 05:06:07.080"),
        ("phone", "13812345678"),
        ("password_hash", "secret"),
        ("interests", "sleep,toys"),
    ])
}

fn document() -> Document {
    let mut document: Document = COLUMNS
        .iter()
        .map(|c| (c.name.to_owned(), RawValue::NULL.to_owned()))
        .collect();
    document.remove("password_hash");
    document.remove("due_at");
    for (name, json) in [
        ("id", "18446744073709551615"),
        ("rev", "7"),
        ("nickname", r#""🌸\u96e8桐""#),
        ("dueDate", r#""2027-03-04T05:06:07.080""#),
        ("phone", r#""***5678""#),
        ("interests", r#"["sleep","toys"]"#),
    ] {
        let json = RawValue::from_string(json.to_owned()).unwrap();
        document.insert(name.to_owned(), json);
    }
    document
}

fn hash() -> Hash {
    [
        ("id", "18446744073709551615"),
        ("rev", "7"),
        ("nickname", "🌸雨桐"),
        ("dueDate", "2027-03-04T05:06:07.080"),
        ("phone", "***5678"),
        ("interests", r#"["sleep","toys"]"#),
        ("_v", "0000281474976710657"),
    ]
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
    .into()
}

fn check(document: Option<&Document>, hash: Option<&Hash>) -> Report {
    let mut checker = Checker::new(&spec());
    checker.row(&row(), document, hash);
    checker.finish()
}

/// The store and field of the one difference.
fn only(report: &Report) -> (Store, Option<&str>) {
    assert_eq!((report.rows, report.equal, report.different), (1, 0, 1));
    assert_eq!(report.first.len(), 1, "{:?}", report.first);
    (report.first[0].store, report.first[0].field.as_deref())
}

#[test]
fn a_row_that_is_in_both_sinks_as_it_should_be_is_equal() {
    let report = check(Some(&document()), Some(&hash()));
    assert_eq!(report.first, []);
    assert_eq!((report.rows, report.equal, report.different), (1, 1, 0));
}

#[test]
fn a_changed_value_is_different_in_every_field() {
    for name in document().keys() {
        let mut changed = document();
        let json = RawValue::from_string(r#""something else""#.to_owned()).unwrap();
        changed.insert(name.clone(), json);
        let report = check(Some(&changed), Some(&hash()));
        assert_eq!(only(&report), (Store::Elasticsearch, Some(name.as_str())));

        let mut changed = hash();
        changed.insert(name.clone(), b"something else".to_vec());
        let report = check(Some(&document()), Some(&changed));
        assert_eq!(only(&report), (Store::Redis, Some(name.as_str())));
    }
}

#[test]
fn a_missing_field_is_different() {
    for name in document().keys() {
        let mut less = document();
        less.remove(name);
        let report = check(Some(&less), Some(&hash()));
        assert_eq!(only(&report), (Store::Elasticsearch, Some(name.as_str())));
    }
    for name in hash().keys() {
        let mut less = hash();
        less.remove(name);
        let report = check(Some(&document()), Some(&less));
        assert_eq!(only(&report), (Store::Redis, Some(name.as_str())));
    }
}

#[test]
fn an_omitted_column_that_is_there_all_the_same_is_different() {
    let mut more = document();
    more.insert("password_hash".to_owned(), RawValue::NULL.to_owned());
    assert_eq!(
        only(&check(Some(&more), Some(&hash()))).1,
        Some("password_hash")
    );
    let mut more = hash();
    more.insert("password_hash".to_owned(), b"secret".to_vec());
    assert_eq!(
        only(&check(Some(&document()), Some(&more))).1,
        Some("password_hash")
    );
}

#[test]
fn a_missing_row_is_different() {
    assert_eq!(
        only(&check(None, Some(&hash()))),
        (Store::Elasticsearch, None)
    );
    assert_eq!(only(&check(Some(&document()), None)), (Store::Redis, None));
}

#[test]
fn what_a_sink_shows_without_a_row_is_different() {
    let mut checker = Checker::new(&spec());
    checker.row(&row(), Some(&document()), Some(&hash()));
    checker.live(Store::Redis, "18446744073709551615");
    checker.live(Store::Elasticsearch, "18446744073709551615");
    checker.live(Store::Redis, "5");
    let report = checker.finish();
    assert_eq!((report.rows, report.equal, report.different), (1, 1, 1));
    assert_eq!(
        (report.first[0].store, report.first[0].id.as_str()),
        (Store::Redis, "5")
    );
}

#[test]
fn differences_are_counted_beyond_those_that_are_shown() {
    let mut checker = Checker::new(&spec());
    for id in 0..50 {
        checker.row(&cells(&[("id", &id.to_string()), ("rev", "1")]), None, None);
    }
    let report = checker.finish();
    assert_eq!((report.different, report.first.len()), (50, SHOWN));
}

#[test]
fn a_shown_value_cannot_play_with_the_terminal() {
    assert_eq!(shorten("a\u{1b}[2J"), "a\\u{1b}[2J");
}
