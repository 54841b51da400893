//! Reading parameters of a path with `serde`.

use crate::base::Error;
use serde::de::value::{CowStrDeserializer, MapDeserializer, SeqDeserializer, UnitDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::borrow::Cow;
use std::fmt;

/// Why the parameters of a path are not what a type asks for.
#[derive(Debug)]
pub(super) enum PathError {
    /// The value of a parameter does not fit: the client's mistake. The reason says what is the matter with it.
    Value { parameter: String, reason: String },
    /// As above, of which the type does not say where it lies; one public sentence.
    Values(String),
    /// The type asks for other parameters than the path has: a mistake of the program.
    Shape(String),
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { parameter, reason } => {
                write!(f, "The path parameter `{parameter}` {reason}.")
            }
            Self::Values(text) | Self::Shape(text) => f.write_str(text),
        }
    }
}

impl PathError {
    /// What is answered: only a mistake of the client is told to it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Shape(text) => Error::internal(text),
            of_client => Error::bad_request(of_client.to_string()),
        }
    }
}

impl std::error::Error for PathError {}

impl de::Error for PathError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Values(format!("The path does not fit: {message}."))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Shape(format!("the path of the route has no parameter `{field}`"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::Shape(format!("no field takes the parameter `{field}` of the path"))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::Shape(format!("the path of the route has {length} parameters, not {expected}"))
    }
}

/// Values that types of many kinds are read from: numbers and text, switches, numbers of UUIDs, points
/// of time, addresses.
const SAMPLES: [&str; 6] = [
    "1",
    "true",
    "00000000-0000-0000-0000-000000000000",
    "2000-01-01",
    "2000-01-01T00:00:00Z",
    "::1",
];

/// Why a type asks for other parameters than these, if it does: what would be a mistake of the program
/// in every request.
///
/// Only `serde` knows what a type asks for, so it is read from values that are made up. For a parameter
/// that none of them fits, nothing can be told of what is read after it, and nothing is.
pub(super) fn misfit<T: DeserializeOwned>(names: &[&str]) -> Option<String> {
    let mut samples = vec![0; names.len()];
    loop {
        let values = names.iter().zip(&samples);
        let params: Vec<_> = values.map(|(name, at)| (*name, Cow::from(SAMPLES[*at]))).collect();
        match T::deserialize(ParamsDeserializer::new(&params)) {
            Err(PathError::Shape(reason)) => return Some(reason),
            Err(PathError::Value { parameter, .. }) => {
                let sample = &mut samples[names.iter().position(|name| *name == parameter)?];
                *sample += 1;
                if *sample == SAMPLES.len() {
                    return None;
                }
            }
            Err(PathError::Values(_)) | Ok(_) => return None,
        }
    }
}

/// One parameter: text that is parsed into what the type asks for.
#[derive(Clone, Copy)]
pub(super) struct ValueDeserializer<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> ValueDeserializer<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    fn must_be(self, what: impl fmt::Display) -> PathError {
        self.refused(format!("must be {what}, and is `{}`", self.text))
    }

    fn misfit(self, reason: impl fmt::Display) -> PathError {
        self.refused(format!("does not fit: {reason}"))
    }

    fn refused(self, reason: String) -> PathError {
        PathError::Value { parameter: self.name.to_owned(), reason }
    }

    /// Puts the name of the parameter before what a visitor complains of.
    fn named<T>(self, outcome: Result<T, de::value::Error>) -> Result<T, PathError> {
        outcome.map_err(|error| self.misfit(error))
    }

    fn owned(self) -> CowStrDeserializer<'static, de::value::Error> {
        Cow::<'static, str>::Owned(self.text.to_owned()).into_deserializer()
    }
}

macro_rules! parsed {
    ($($method:ident => $visit:ident($type:ty), $what:expr;)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
            match self.text.parse::<$type>() {
                Ok(value) => self.named(visitor.$visit(value)),
                Err(_) => Err(self.must_be($what)),
            }
        }
    )*};
}

fn whole(least: impl fmt::Display, greatest: impl fmt::Display) -> String {
    format!("a whole number from {least} to {greatest}")
}

impl<'a> Deserializer<'a> for ValueDeserializer<'a> {
    type Error = PathError;

    parsed! {
        deserialize_bool => visit_bool(bool), "`true` or `false`";
        deserialize_i8 => visit_i8(i8), whole(i8::MIN, i8::MAX);
        deserialize_i16 => visit_i16(i16), whole(i16::MIN, i16::MAX);
        deserialize_i32 => visit_i32(i32), whole(i32::MIN, i32::MAX);
        deserialize_i64 => visit_i64(i64), whole(i64::MIN, i64::MAX);
        deserialize_i128 => visit_i128(i128), whole(i128::MIN, i128::MAX);
        deserialize_u8 => visit_u8(u8), whole(u8::MIN, u8::MAX);
        deserialize_u16 => visit_u16(u16), whole(u16::MIN, u16::MAX);
        deserialize_u32 => visit_u32(u32), whole(u32::MIN, u32::MAX);
        deserialize_u64 => visit_u64(u64), whole(u64::MIN, u64::MAX);
        deserialize_u128 => visit_u128(u128), whole(u128::MIN, u128::MAX);
        deserialize_f32 => visit_f32(f32), "a number";
        deserialize_f64 => visit_f64(f64), "a number";
        deserialize_char => visit_char(char), "one character";
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        self.named(visitor.visit_str(self.text))
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.named(self.owned().deserialize_enum(name, variants, visitor))
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'a> IntoDeserializer<'a, PathError> for ValueDeserializer<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// All parameters of a path, with their names.
pub(super) struct ParamsDeserializer<'a> {
    params: &'a [(&'a str, Cow<'a, str>)],
}

impl<'a> ParamsDeserializer<'a> {
    pub(super) fn new(params: &'a [(&'a str, Cow<'a, str>)]) -> Self {
        Self { params }
    }

    fn values(&self) -> impl Iterator<Item = ValueDeserializer<'a>> {
        self.params.iter().map(|(name, text)| ValueDeserializer::new(name, text))
    }

    fn only(&self) -> Result<ValueDeserializer<'a>, PathError> {
        let count = self.params.len();
        let only = self.values().next().filter(|_| count == 1);
        only.ok_or_else(|| {
            PathError::Shape(format!(
                "a single value is wanted, and the path of the route has {count} parameters"
            ))
        })
    }
}

macro_rules! single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'a> Deserializer<'a> for ParamsDeserializer<'a> {
    type Error = PathError;

    single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_option deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        match self.params {
            [_] => self.only()?.deserialize_any(visitor),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'a>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        if length != self.params.len() {
            let count = self.params.len();
            return Err(PathError::Shape(format!(
                "{length} values are wanted, and the path of the route has {count} parameters"
            )));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        UnitDeserializer::new().deserialize_unit(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        let pairs = self.values().map(|value| (value.name, value));
        visitor.visit_map(MapDeserializer::new(pairs))
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PathError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, PathError> {
        self.deserialize_unit(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
        Blue,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Id(u32);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Place {
        user: String,
        id: u64,
    }

    fn one<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
        T::deserialize(ValueDeserializer::new("id", text)).map_err(|error| error.to_string())
    }

    fn all<'a, T: Deserialize<'a>>(params: &'a [(&'a str, Cow<'a, str>)]) -> Result<T, String> {
        T::deserialize(ParamsDeserializer::new(params)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_becomes_what_the_type_asks_for() {
        assert_eq!(one("7"), Ok(7_u8));
        assert_eq!(one("7"), Ok("7".to_owned()));
        assert_eq!(one("-1.5"), Ok(-1.5_f64));
        assert_eq!(one("true"), Ok(true));
        assert_eq!(one("blue"), Ok(Color::Blue));
        assert_eq!(one("7"), Ok(Id(7)));
        assert_eq!(one("::1"), Ok("::1".parse::<std::net::IpAddr>().unwrap()));
        assert_eq!(one("7"), Ok(Some(7_i64)));
    }

    #[test]
    fn a_misfit_is_told_by_name() {
        let error = one::<u8>("300").unwrap_err();
        assert_eq!(
            error,
            "The path parameter `id` must be a whole number from 0 to 255, and is `300`."
        );
        assert!(one::<i8>("x").unwrap_err().contains("whole number from -128 to 127, and is `x`"));
        assert!(one::<f64>("x").unwrap_err().contains("`id` must be a number, and is `x`"));
        assert!(one::<bool>("1").unwrap_err().contains("must be `true` or `false`, and is `1`"));
        assert!(one::<char>("xy").unwrap_err().contains("must be one character, and is `xy`"));
        assert!(one::<Color>("green").unwrap_err().contains("unknown variant `green`"));
        assert!(one::<std::net::IpAddr>("x").unwrap_err().contains("`id`"));
    }

    #[test]
    fn parameters_fill_tuples_structs_and_single_values() {
        let params = [("user", Cow::from("ann")), ("id", Cow::from("7"))];
        assert_eq!(all(&params), Ok(("ann".to_owned(), 7_u64)));
        assert_eq!(all(&params), Ok(Place { user: "ann".into(), id: 7 }));
        assert_eq!(all(&params), Ok(vec!["ann".to_owned(), "7".to_owned()]));
        assert_eq!(all(&params[1..]), Ok(7_u64));
        assert_eq!(all(&params[1..]), Ok(Id(7)));
        assert!(all::<u64>(&params).unwrap_err().contains("has 2 parameters"));
        assert!(all::<(u64,)>(&params).unwrap_err().contains("1 values are wanted"));
    }

    #[test]
    fn what_can_never_fit_is_known_without_a_request() {
        #[derive(Deserialize)]
        #[expect(dead_code, reason = "it is only asked what it wants")]
        struct Event {
            at: std::net::Ipv6Addr,
            open: bool,
            page: Option<u32>,
            #[serde(default)]
            size: u32,
            user: String,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "it is only asked what it wants")]
        struct Strict {
            id: u64,
        }
        let fits = |misfit: Option<String>| assert_eq!(misfit, None);
        fits(misfit::<u64>(&["id"]));
        fits(misfit::<Color>(&["color"]));
        fits(misfit::<(Color, bool)>(&["color", "is"]));
        fits(misfit::<Place>(&["id", "user", "more"]));
        fits(misfit::<Event>(&["user", "open", "at"]));
        fits(misfit::<Vec<u64>>(&["a", "b"]));
        fits(misfit::<std::collections::HashMap<String, String>>(&[]));
        fits(misfit::<()>(&["id"]));
        fits(misfit::<Strict>(&["id"]));
        let told = |misfit: Option<String>, reason: &str| {
            assert!(misfit.as_deref().is_some_and(|told| told.contains(reason)), "{misfit:?}");
        };
        told(misfit::<u64>(&["user", "id"]), "has 2 parameters");
        told(misfit::<Id>(&[]), "has 0 parameters");
        told(misfit::<Color>(&[]), "has 0 parameters");
        told(misfit::<(Color, bool)>(&["color"]), "2 values are wanted");
        told(misfit::<Place>(&["user"]), "no parameter `id`");
        told(misfit::<Event>(&["at", "open"]), "no parameter `user`");
        told(misfit::<Strict>(&["id", "user"]), "`user`");
    }
}
