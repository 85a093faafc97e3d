use super::*;

#[test]
fn a_row_image_without_a_declared_column_is_partial() {
    let topic = topic(&["id"], &[("d", ColumnType::Date), ("e", ColumnType::Date)]);
    let omit = document(&[], &["e"], &[]);
    let mut projection = projection(&topic, &omit, Shape::Json);
    for (after, column) in [
        (r#"{"d":0,"e":0}"#, "`id`"),
        (r#"{"id":1,"e":0}"#, "`d`"),
        (r#"{"id":1,"d":0}"#, "`e`"),
        ("{}", "`d`"),
    ] {
        refused(&mut projection, after, Reason::PartialRow, column);
        refused(
            &mut projection,
            after,
            Reason::PartialRow,
            "binlog_row_image=FULL",
        );
    }
    let unavailable = r#"{"id":1,"d":0,"e":0,"t":"__debezium_unavailable_value"}"#;
    refused(&mut projection, unavailable, Reason::PartialRow, "`t`");
    assert_eq!(
        row(&mut projection, r#"{"id":1,"d":0,"e":0}"#).unwrap(),
        r#"{"id":1,"d":"1970-01-01"}"#
    );
}

#[test]
fn the_lanes_own_fields_are_not_a_rows() {
    let plain = topic(&["id"], &[]);
    let mut untouched = projection(&plain, &DocumentSpec::default(), Shape::Fields);
    for name in ["_v", "_deleted", "_deleted_at"] {
        let after = format!(r#"{{"id":1,"{name}":null}}"#);
        refused(&mut untouched, &after, Reason::FieldName, name);
        refused(
            &mut untouched,
            &after,
            Reason::FieldName,
            "rename the column",
        );
        let renamed = document(&[(name, "x")], &[], &[]);
        assert!(row(&mut projection(&plain, &renamed, Shape::Fields), &after).is_ok());
        let omitted = document(&[], &[name], &[]);
        assert!(row(&mut projection(&plain, &omitted, Shape::Fields), &after).is_ok());
        let to = document(&[("x", name)], &[], &[]);
        let joined = IdTemplate::joined(&plain.key);
        assert!(Projection::new(&plain, &to, Shape::Json, joined).is_err());
    }
}

#[test]
fn two_columns_are_never_one_field() {
    let plain = topic(&["id"], &[("b", ColumnType::Text)]);
    let new = |document: &DocumentSpec| {
        Projection::new(
            &plain,
            document,
            Shape::Json,
            IdTemplate::joined(&plain.key),
        )
    };
    assert!(
        new(&document(&[("a", "b")], &[], &[]))
            .unwrap_err()
            .contains("`a`")
    );
    assert!(new(&document(&[("a", "c"), ("b", "c")], &[], &[])).is_err());
    assert!(new(&document(&[("a", "b"), ("b", "a")], &[], &[])).is_ok());
    assert!(new(&document(&[("a", "b")], &["b"], &[])).is_ok());
    let mut late = new(&document(&[("a", "c")], &[], &[])).unwrap();
    let renamed = r#"{"id":1,"b":"","a":1}"#;
    assert_eq!(row(&mut late, renamed).unwrap(), r#"{"id":1,"b":"","c":1}"#);
    let collides = r#"{"id":1,"b":"","a":1,"c":1}"#;
    refused(&mut late, collides, Reason::FieldName, "`a`");
    assert!(row(&mut late, renamed).is_ok());
}

#[test]
fn a_column_twice_and_rows_beyond_the_limits_are_refused() {
    let plain = topic(&["id"], &[]);
    let mut json = projection(&plain, &DocumentSpec::default(), Shape::Json);
    refused(
        &mut json,
        r#"{"id":1,"id":1}"#,
        Reason::Envelope,
        "`id` twice",
    );
    refused(
        &mut json,
        r#"{"id":1,"a":1,"\u0061":1}"#,
        Reason::Envelope,
        "`a` twice",
    );
    let wide = |n: usize| {
        let columns: String = (0..n).map(|i| format!(r#","c{i}":1"#)).collect();
        format!(r#"{{"id":1{columns}}}"#)
    };
    assert!(row(&mut json, &wide(999)).is_ok());
    refused(&mut json, &wide(1000), Reason::Limit, "1000");
    let nested = wide(999).replace(r#""c5":1"#, r#""c5":{"x":1}"#);
    refused(&mut json, &nested, Reason::Limit, "1000");
    let deep = |n: usize| format!(r#"{{"id":1,"a":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    assert!(row(&mut json, &deep(63)).is_ok());
    refused(&mut json, &deep(64), Reason::Limit, "`a`");
    refused(&mut json, &deep(100_000), Reason::Limit, "64");
    refused(
        &mut json,
        r#"{"id":1,"a":"\ud83c"}"#,
        Reason::Malformed,
        "`a`",
    );
    refused(
        &mut json,
        r#"{"id":1,"a":["\ud83c"]}"#,
        Reason::Malformed,
        "`a`",
    );
    refused(
        &mut json,
        r#"{"id":1,"\ud83c":1}"#,
        Reason::Malformed,
        "a column's name",
    );
}

#[test]
fn names_without_end_do_not_grow_the_plan_without_end() {
    let plain = topic(&["id"], &[]);
    let mut json = projection(&plain, &DocumentSpec::default(), Shape::Json);
    for i in 0..6000 {
        let after = format!(r#"{{"id":1,"c{i}":1}}"#);
        assert_eq!(row(&mut json, &after).unwrap(), after);
    }
    assert!(json.plans[0].len() <= 4096);
}

#[test]
fn a_wrong_value_names_the_column_and_both_types_but_not_itself() {
    let topic = topic(
        &["id"],
        &[(
            "t_dec",
            ColumnType::Decimal {
                precision: 20,
                scale: 4,
            },
        )],
    );
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let after = r#"{"id":1,"t_dec":{"secret":"secret"}}"#;
    refused(&mut json, after, Reason::ColumnType, "`t_dec`");
    refused(&mut json, after, Reason::ColumnType, "decimal(20,4)");
    refused(&mut json, after, Reason::ColumnType, "an object");
    for after in [
        after,
        r#"{"id":1,"t_dec":"secret"}"#,
        r#"{"id":1,"t_dec":"\ud83csecret"}"#,
    ] {
        let error = row(&mut json, after).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_template_of_another_key_is_refused() {
    let topic = topic(&["id"], &[]);
    let other = IdTemplate::joined(&["k".to_owned()]);
    assert!(Projection::new(&topic, &DocumentSpec::default(), Shape::Json, other).is_err());
}
