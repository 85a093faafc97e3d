use super::*;
use proptest::prelude::*;

fn leaf() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Into::into),
    ]
}

proptest! {
    #[test]
    fn an_undeclared_row_is_the_same_json_afterwards(
        rows in prop::collection::vec(prop::collection::hash_map("[a-e\"\\\\é]{1,2}", leaf(), 0..6), 1..5), pretty: bool
    ) {
        let topic = topic(&["id"], &[]);
        let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
        for columns in rows {
            let mut object: serde_json::Map<_, _> = columns.into_iter().collect();
            object.insert("id".into(), 1.into());
            let object = serde_json::Value::Object(object);
            let text = if pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
            let document = row(&mut json, &text).unwrap();
            prop_assert!(!document.contains(['\n', '\r']));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), object);
        }
    }

    #[test]
    fn no_two_keys_have_one_id(
        a in prop::collection::vec("[a,%\"\\\\é\u{0}]{0,3}|%empty", 2), b in prop::collection::vec("[a,%\"\\\\é\u{0}]{0,3}|%empty", 2)
    ) {
        let topic = topic(&["x", "y"], &[]);
        let template = IdTemplate::parse("p:{y}/{x}", &topic.key).unwrap();
        let mut redis = Projection::new(&topic, &DocumentSpec::default(), Shape::Fields, template).unwrap();
        let mut elastic = projection(&topic, &DocumentSpec::default(), Shape::Json);
        let key = |k: &[String]| serde_json::json!({"x": k[0], "y": k[1]}).to_string();
        for projection in [&mut redis, &mut elastic] {
            let left = write(projection, &key(&a), None, None).unwrap().0;
            let right = write(projection, &key(&b), None, None).unwrap().0;
            prop_assert_eq!(left == right, a == b);
        }
    }
}
