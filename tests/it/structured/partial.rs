//! What can be read of a document that has not arrived whole.

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[\"\\\\\n\u{1F600}é/]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..5)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// The JSON of a value with every character beyond ASCII escaped.
fn escaped(json: &str) -> String {
    let mut text = String::new();
    for char in json.chars() {
        match char.is_ascii() {
            true => text.push(char),
            false => {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    text += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_a_prefix_of_json_holds_is_a_prefix_of_the_whole(value in any_json()) {
        let compact = value.to_string();
        // As it is read back: the last digit of a number may be another.
        let whole: Value = serde_json::from_str(&compact).unwrap();
        for text in [compact.clone(), escaped(&compact), serde_json::to_string_pretty(&value).unwrap()] {
            let mut json = PartialJson::new();
            let mut before = None;
            for char in text.chars() {
                let changed = json.push(char.encode_utf8(&mut [0; 4]));
                let now = json.value();
                prop_assert!(!json.is_broken(), "{text}");
                if let Some(now) = &now {
                    prop_assert!(is_prefix(now, &whole), "{now} of {whole}");
                }
                if let (Some(before), Some(now)) = (&before, &now) {
                    prop_assert!(is_prefix(before, now), "{before} then {now}");
                }
                prop_assert!(changed || now == before, "a change must be told");
                before = now;
            }
            // A space ends a number that stands alone.
            json.push(" ");
            prop_assert!(json.is_complete());
            prop_assert_eq!(json.value(), Some(whole.clone()));
        }
    }

    #[test]
    fn no_text_brings_it_down(text in "[\\[\\]{}\",:0-9a-z\\\\u\\-. ]{0,60}") {
        let mut json = PartialJson::new();
        json.push(&text);
        let valid = serde_json::from_str::<Value>(&text);
        if let Ok(valid) = valid {
            json.push(" ");
            prop_assert_eq!(json.value(), Some(valid));
        }
    }
}
