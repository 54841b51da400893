use serde_json::{Map, Value};

/// Reads JSON that has not arrived completely, and tells at any time what is there so far.
///
/// What it tells is a prefix of the whole: texts may end early, lists and objects may lack their
/// last members, and everything else is there once it is certain. A number shows when it has
/// ended, a member when its value has begun.
///
/// It is tolerant where models are careless: control characters may stand in texts as they are.
/// After something that cannot be JSON it stays with what it had.
///
/// ```
/// use ember::llm::PartialJson;
/// use serde_json::json;
///
/// let mut json = PartialJson::new();
/// json.push(r#"{"name": "Ad"#);
/// assert_eq!(json.value(), Some(json!({"name": "Ad"})));
/// json.push(r#"a", "born": 18"#);
/// assert_eq!(json.value(), Some(json!({"name": "Ada"})));
/// json.push("15}");
/// assert_eq!(json.value(), Some(json!({"name": "Ada", "born": 1815})));
/// assert!(json.is_complete());
/// ```
#[derive(Debug, Clone, Default)]
pub struct PartialJson {
    state: State,
    /// The containers that are open, the outermost first.
    open: Vec<Open>,
    /// The text, number or word that is being read.
    token: String,
    /// The first half of a character that is escaped as two.
    surrogate: Option<u16>,
    root: Option<Value>,
}

#[derive(Debug, Clone)]
enum Open {
    List(Vec<Value>),
    /// The members, and the name of the one that comes.
    Object(Map<String, Value>, Option<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// A value comes.
    #[default]
    Value,
    /// A value comes, or the end of the list.
    FirstItem,
    /// A name comes, or the end of the object.
    FirstName,
    /// A name comes.
    Name,
    /// A colon comes.
    Colon,
    /// A comma comes, or an end.
    After,
    /// Within a text.
    Text(Use),
    /// Behind a backslash.
    Escape(Use),
    /// Within the four digits of an escaped character: how many were read, and their value.
    Digits(Use, u8, u16),
    /// Within a number or a word.
    Bare,
    Over,
    Broken,
}

/// What a text is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Name,
    Value,
}

impl PartialJson {
    /// How deep lists and objects may lie in each other; `serde_json` has the same limit.
    pub const MAX_DEPTH: usize = 127;

    /// A reader that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads on; tells whether [`value`](Self::value) may be another now.
    pub fn push(&mut self, text: &str) -> bool {
        let mut changed = false;
        for char in text.chars() {
            changed |= self.char(char);
        }
        changed
    }

    /// What is there so far; `None` before the first value has begun.
    ///
    /// It is a copy, which costs as much as there is.
    pub fn value(&self) -> Option<Value> {
        let mut inner = match self.state {
            State::Text(Use::Value) | State::Escape(Use::Value) | State::Digits(Use::Value, ..) => {
                Some(Value::String(self.token.clone()))
            }
            _ => None,
        };
        for open in self.open.iter().rev() {
            inner = Some(match open {
                Open::List(items) => items.iter().cloned().chain(inner).collect(),
                Open::Object(members, name) => {
                    let mut members = members.clone();
                    if let (Some(name), Some(inner)) = (name, inner) {
                        members.insert(name.clone(), inner);
                    }
                    Value::Object(members)
                }
            });
        }
        inner.or_else(|| self.root.clone())
    }

    /// Tells whether the value has ended. A number that stands alone never has.
    pub fn is_complete(&self) -> bool {
        self.state == State::Over
    }

    /// Tells whether something cannot be JSON.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Takes in a character; tells whether the value has changed.
    fn char(&mut self, char: char) -> bool {
        match self.state {
            State::Over | State::Broken => false,
            State::Text(used) => self.in_text(used, char),
            State::Escape(used) => self.escaped(used, char),
            State::Digits(used, read, value) => self.digit(used, read, value, char),
            State::Bare if matches!(char, '+' | '-' | '.' | '0'..='9' | 'a'..='z' | 'A'..='Z') => {
                self.token.push(char);
                false
            }
            State::Bare => match serde_json::from_str(&self.token) {
                Ok(value) => {
                    self.token.clear();
                    self.ended(value);
                    self.char(char);
                    true
                }
                Err(_) => self.broken(),
            },
            _ if matches!(char, ' ' | '\t' | '\n' | '\r') => false,
            State::FirstItem if char == ']' => self.close(char),
            State::Value | State::FirstItem => self.begin(char),
            State::FirstName if char == '}' => self.close(char),
            State::FirstName | State::Name if char == '"' => {
                self.state = State::Text(Use::Name);
                false
            }
            State::Colon if char == ':' => {
                self.state = State::Value;
                false
            }
            State::After if char == ',' => {
                self.state = match self.open.last() {
                    Some(Open::Object(..)) => State::Name,
                    _ => State::Value,
                };
                false
            }
            State::After => self.close(char),
            State::FirstName | State::Name | State::Colon => self.broken(),
        }
    }

    fn begin(&mut self, char: char) -> bool {
        let open = match char {
            '{' => Some((Open::Object(Map::new(), None), State::FirstName)),
            '[' => Some((Open::List(Vec::new()), State::FirstItem)),
            _ => None,
        };
        match (open, char) {
            (Some(_), _) if self.open.len() >= Self::MAX_DEPTH => self.broken(),
            (Some((open, state)), _) => {
                self.open.push(open);
                self.state = state;
                true
            }
            (None, '"') => {
                self.state = State::Text(Use::Value);
                true
            }
            (None, '-' | '0'..='9' | 't' | 'f' | 'n') => {
                self.token.push(char);
                self.state = State::Bare;
                false
            }
            _ => self.broken(),
        }
    }

    fn close(&mut self, char: char) -> bool {
        match (self.open.pop(), char) {
            (Some(Open::List(items)), ']') => self.ended(Value::Array(items)),
            (Some(Open::Object(members, _)), '}') => self.ended(Value::Object(members)),
            (open, _) => {
                self.open.extend(open);
                return self.broken();
            }
        }
        false
    }

    /// Puts a value that has ended where it belongs.
    fn ended(&mut self, value: Value) {
        self.state = State::After;
        match self.open.last_mut() {
            None => {
                self.root = Some(value);
                self.state = State::Over;
            }
            Some(Open::List(items)) => items.push(value),
            Some(Open::Object(members, name)) => {
                if let Some(name) = name.take() {
                    members.insert(name, value);
                }
            }
        }
    }

    fn in_text(&mut self, used: Use, char: char) -> bool {
        match char {
            '\\' => {
                self.state = State::Escape(used);
                false
            }
            // The second half of a character must follow the first.
            _ if self.surrogate.is_some() => self.broken(),
            '"' => {
                let text = std::mem::take(&mut self.token);
                match (used, self.open.last_mut()) {
                    (Use::Name, Some(Open::Object(_, name))) => {
                        *name = Some(text);
                        self.state = State::Colon;
                    }
                    _ => self.ended(Value::String(text)),
                }
                false
            }
            char => {
                self.token.push(char);
                used == Use::Value
            }
        }
    }

    fn escaped(&mut self, used: Use, char: char) -> bool {
        let char = match char {
            'u' => {
                self.state = State::Digits(used, 0, 0);
                return false;
            }
            _ if self.surrogate.is_some() => return self.broken(),
            '"' | '\\' | '/' => char,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            _ => return self.broken(),
        };
        self.token.push(char);
        self.state = State::Text(used);
        used == Use::Value
    }

    fn digit(&mut self, used: Use, read: u8, value: u16, char: char) -> bool {
        let Some(digit) = char.to_digit(16) else {
            return self.broken();
        };
        let value = value << 4 | digit as u16;
        if read < 3 {
            self.state = State::Digits(used, read + 1, value);
            return false;
        }
        let units = self.surrogate.take().into_iter().chain([value]);
        let mut chars = char::decode_utf16(units);
        match (chars.next(), chars.next()) {
            (Some(Ok(char)), None) => self.token.push(char),
            (Some(Err(half)), None) if (0xD800..0xDC00).contains(&half.unpaired_surrogate()) => {
                self.surrogate = Some(value);
            }
            _ => return self.broken(),
        }
        self.state = State::Text(used);
        used == Use::Value
    }

    fn broken(&mut self) -> bool {
        // The text that was open stays as it was when it was last told.
        if let State::Text(Use::Value) | State::Escape(Use::Value) | State::Digits(Use::Value, ..) =
            self.state
        {
            let text = std::mem::take(&mut self.token);
            self.ended(Value::String(text));
        }
        self.state = State::Broken;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> PartialJson {
        let mut json = PartialJson::new();
        json.push(text);
        json
    }

    #[test]
    fn what_is_uncertain_does_not_show() {
        for (text, value) in [
            ("", None),
            (" \n", None),
            ("12", None),
            ("tru", None),
            ("\"a\\", Some(json!("a"))),
            (r#""\u00"#, Some(json!(""))),
            (r#""\ud83d"#, Some(json!(""))),
            (r#""\ud83d\ude00"#, Some(json!("😀"))),
            ("[1", Some(json!([]))),
            ("[1,", Some(json!([1]))),
            ("[1, tru", Some(json!([1]))),
            (r#"{"a"#, Some(json!({}))),
            (r#"{"a":"#, Some(json!({}))),
            (r#"{"a":""#, Some(json!({"a": ""}))),
            (r#"{"a":{"b":[{"#, Some(json!({"a": {"b": [{}]}}))),
        ] {
            let json = read(text);
            assert_eq!(json.value(), value, "{text}");
            assert!(!json.is_complete() && !json.is_broken(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_leaves_what_there_was() {
        for (text, value) in [
            ("x", None),
            ("[1, ]x", Some(json!([1]))),
            ("{\"a\": 1, b", Some(json!({"a": 1}))),
            ("[1.2.3, 4", Some(json!([]))),
            ("{\"a\": [1}", Some(json!({"a": [1]}))),
            ("{\"a\": [1 }", Some(json!({"a": [1]}))),
            (r#"["ab\x"#, Some(json!(["ab"]))),
            (r#"["ab\ud83dx"#, Some(json!(["ab"]))),
            (r#"["ab\udc00"#, Some(json!(["ab"]))),
            ("]", None),
        ] {
            let json = read(text);
            assert!(json.is_broken(), "{text}: {json:?}");
            assert_eq!(json.value(), value, "{text}");
        }
        assert!(read(&"[".repeat(PartialJson::MAX_DEPTH + 1)).is_broken());
        assert!(!read(&"[".repeat(PartialJson::MAX_DEPTH)).is_broken());
    }

    #[test]
    fn what_follows_the_value_is_not_looked_at() {
        let json = read("{\"a\": \"line\nbreak\"} and so on {");
        assert!(json.is_complete());
        assert_eq!(json.value(), Some(json!({"a": "line\nbreak"})));
    }
}
