use serde_json::Value;

/// A document that stands in the source, member by member as in [`serde_json::json!`], but with no comma at an end.
///
/// It is kept as text, and read when it is asked for. What puts a document together is compiled for each member,
/// and large for what is asked for once.
macro_rules! constant_json {
    ($($json:tt)+) => {
        $crate::base::constant_json::read(::core::stringify!($($json)+))
    };
}

pub(crate) use constant_json;

/// Reads a document of the source. Whatever makes a schema of one is called by tests, in which one that is no JSON
/// is noticed.
pub(crate) fn read(text: &str) -> Value {
    let document = serde_json::from_str(text);
    debug_assert!(document.is_ok(), "{text} is no JSON");
    document.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn it_is_what_stands_there() {
        let read = constant_json!({"a": [1, -2.5, true, null], "\"b\"": {"c": "d, }"}});
        assert_eq!(read, json!({"a": [1, -2.5, true, null], "\"b\"": {"c": "d, }"}}));
    }

    #[test]
    #[should_panic(expected = "no JSON")]
    fn a_comma_too_many_is_noticed() {
        constant_json!({"a": [1,]});
    }
}
