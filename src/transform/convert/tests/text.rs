use super::*;

#[test]
fn members_of_enums_and_sets() {
    let kind = ColumnType::Enum(members(&["a", "b,c", "q\"\n"]));
    gives(
        &kind,
        &[
            ("\"a\"", "\"a\""),
            (r#""b\\,c""#, "\"b,c\""),
            ("\"\"", "\"\""),
            (r#""q\"\n""#, r#""q\"\n""#),
        ],
    );
    refuses(&kind, &["\"x\"", "1", r#""b\\""#, "\"A\""]);
    assert_eq!(wire(WireType::Enum, r#""b\\,c""#).as_deref(), Ok("\"b,c\""));
    let kind = ColumnType::Set(members(&["x", "y,z", r"e\", "小"]));
    gives(
        &kind,
        &[
            ("\"x,小\"", "[\"x\",\"小\"]"),
            ("\"\"", "[]"),
            (r#""x,y\\,z""#, "[\"x\",\"y,z\"]"),
            (r#""e\\,x""#, r#"["e\\","x"]"#),
        ],
    );
    refuses(&kind, &["\"q\"", "\"x,q\"", "[\"x\"]"]);
    let plain = run(&Conversion::Set(None), "\"x,z\"", Form::Text);
    assert_eq!(plain.as_deref(), Ok("[\"x\",\"z\"]"));
}

#[test]
fn json_columns_are_inline_and_one_line() {
    gives(
        &ColumnType::Json,
        &[
            (
                r#""{\"a\":[1,2,{\"b\":null}]}""#,
                r#"{"a":[1,2,{"b":null}]}"#,
            ),
            (r#"" {\n\"a\": \"x\\ny\"\r\n} ""#, r#"{ "a": "x\ny"  }"#),
            (r#""\"text\"""#, "\"text\""),
            ("\"null\"", "null"),
            ("\"1.50\"", "1.50"),
        ],
    );
    refuses(
        &ColumnType::Json,
        &[
            "\"\"",
            "\"{\"",
            "\"{} x\"",
            "\"nul\"",
            "{}",
            "1",
            r#""{\"a\":\"\n\"}""#,
        ],
    );
    let deep = |n: usize| format!("\"{}{}\"", "[".repeat(n), "]".repeat(n));
    assert!(declared(&ColumnType::Json, &deep(63)).is_ok());
    assert_eq!(declared(&ColumnType::Json, &deep(64)), Err(Fault::Depth));
    assert_eq!(
        declared(&ColumnType::Json, &deep(100_000)),
        Err(Fault::Depth)
    );
    assert_eq!(
        declared(&ColumnType::Json, r#""{\"a\":\"\\ud83c\"}""#),
        Err(Fault::Broken)
    );
}

#[test]
fn text_and_bytes_are_copied_once_they_are_what_they_should_be() {
    gives(
        &ColumnType::Text,
        &[
            ("\"\"", "\"\""),
            (r#""é\uD83C\uDF7C\n""#, r#""é\uD83C\uDF7C\n""#),
        ],
    );
    refuses(&ColumnType::Text, &["1", "true", "{}"]);
    assert_eq!(
        declared(&ColumnType::Text, r#""\ud83c""#),
        Err(Fault::Broken)
    );
    let text = run(&Conversion::Text, r#""é\uD83C\uDF7C\n""#, Form::Text);
    assert_eq!(text.as_deref(), Ok("é🍼\n"));
    gives(
        &ColumnType::Binary,
        &[
            ("\"AP8QAA==\"", "\"AP8QAA==\""),
            ("\"\"", "\"\""),
            (r#""3q2\/7w==""#, "\"3q2/7w==\""),
        ],
    );
    refuses(
        &ColumnType::Binary,
        &["\"AP8\"", "\"A=8A\"", "\"====\"", "\"AP_-\"", "1"],
    );
    gives(
        &ColumnType::Float,
        &[("-2.25E300", "-2.25E300"), ("1", "1")],
    );
    refuses(&ColumnType::Float, &["\"1.5\"", "true"]);
}

#[test]
fn a_value_that_the_log_lacks_is_told_from_text() {
    for json in [
        "\"__debezium_unavailable_value\"",
        "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"",
    ] {
        assert_eq!(declared(&ColumnType::Text, json), Err(Fault::Unavailable));
        assert_eq!(
            run(&Conversion::AsIs, json, Form::Json),
            Err(Fault::Unavailable)
        );
    }
}

#[test]
fn undeclared_values_stand_as_they_are() {
    for json in [
        "1",
        "1.50",
        "true",
        "\"a\\n\"",
        "{\"wkb\":\"AQ==\",\"srid\":null}",
        "[1, 2]",
    ] {
        assert_eq!(
            run(&Conversion::AsIs, json, Form::Json).as_deref(),
            Ok(json)
        );
    }
    let lines = run(&Conversion::AsIs, "{\n\"a\":\r1}", Form::Json);
    assert_eq!(lines.as_deref(), Ok("{ \"a\": 1}"));
}
