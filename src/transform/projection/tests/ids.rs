use super::*;

#[test]
fn ids_are_of_all_and_only_the_keys_columns_in_declared_order() {
    let topic = topic(
        &["id", "k2", "d"],
        &[("id", ColumnType::BigUnsigned), ("d", ColumnType::Date)],
    );
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let mut id = |key: &str| write(&mut json, key, None, None).map(|(id, _)| id);
    assert_eq!(
        id(r#"{"id":-1,"k2":"a-b","d":0}"#).unwrap(),
        "18446744073709551615,a-b,1970-01-01"
    );
    assert_eq!(
        id(r#"{"d":0,"k2":"a\u002cb","id":1}"#).unwrap(),
        "1,a%2Cb,1970-01-01"
    );
    assert_eq!(
        id(r#"{"id":1,"k2":true,"d":0}"#).unwrap(),
        "1,true,1970-01-01"
    );
    for (key, says) in [
        (r#"{"id":1,"k2":"x"}"#, "lacks the column `d`"),
        (r#"{"id":1,"k2":"x","d":0,"e":1}"#, "the column `e`"),
        (r#"{"id":1,"k2":"x","d":0,"id":1}"#, "`id` is there twice"),
        (r#"{"id":1,"k2":null,"d":0}"#, "`k2` is null"),
        (
            r#"{"id":1,"k2":{"a":1},"d":0}"#,
            "`k2` is null or no single value",
        ),
        (r#"{"id":1,"k2":["a"],"d":0}"#, "`k2`"),
        ("{}", "lacks the column `id`"),
    ] {
        let error = id(key).unwrap_err();
        assert_eq!(error.reason, Reason::Key, "{key}");
        assert!(error.detail.contains(says), "{key}: {error}");
    }
    assert_eq!(
        id(r#"{"id":"x","k2":"x","d":0}"#).unwrap_err().reason,
        Reason::ColumnType
    );
    assert_eq!(
        id(r#"{"id":1,"k2":"\ud83c","d":0}"#).unwrap_err().reason,
        Reason::Malformed
    );
    assert_eq!(id(r#"{"id":1,"k2":"x","d":0}"#).unwrap(), "1,x,1970-01-01");
}

#[test]
fn an_id_does_not_depend_on_whether_the_record_has_a_schema() {
    let topic = topic(
        &["id", "d"],
        &[(
            "id",
            ColumnType::Decimal {
                precision: 10,
                scale: 0,
            },
        )],
    );
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let schema = Arc::new(RowSchema::new(vec![
        ("id".into(), WireType::Decimal { scale: 0 }),
        ("d".into(), WireType::Date),
    ]));
    let key = r#"{"id":"Bw==","d":20512}"#;
    for schema in [None, Some(&schema), None] {
        assert_eq!(write(&mut json, key, None, schema).unwrap().0, "7,20512");
    }
    let contradicts = Arc::new(RowSchema::new(vec![("id".into(), WireType::Text)]));
    let digits = write(
        &mut json,
        r#"{"id":"7","d":20512}"#,
        None,
        Some(&contradicts),
    );
    assert_eq!(digits.unwrap().0, "7,20512");
    let contradicts = Arc::new(RowSchema::new(vec![("id".into(), WireType::Date)]));
    let error = write(&mut json, key, None, Some(&contradicts)).unwrap_err();
    assert_eq!(error.reason, Reason::ColumnType);
}
