use super::{Form, FromRequest, FromRequestParts, Path, Query, ViaRequest};
use crate::base::Error;
use crate::web::operation::Operation;
use crate::web::request::{Request, RequestParts};
use crate::web::response::Json;
use garde::Validate;
use serde_json::{Value, json};

/// How many broken rules are told at most; the number of all is told in any case.
const MAX_TOLD: usize = 256;

/// Another extractor whose value keeps the rules of its type: [`Json`], [`Query`], [`Form`] or [`Path`].
///
/// The rules are attributes of the crate `garde`, of which a program needs version 0.23 as a
/// dependency of its own. What breaks them is answered with 422; the member `errors` of the
/// problem holds for each broken rule a `pointer` (RFC 6901) to the value and the `detail`. The
/// pointer names fields as Rust does, whatever `serde` renames them to.
///
/// ```
/// use ember::prelude::*;
/// use ember::Valid;
/// use garde::Validate;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Validate)]
/// struct New {
///     #[garde(length(min = 1, max = 80))]
///     title: String,
///     #[garde(range(max = 5))]
///     priority: u8,
/// }
///
/// #[post("/tasks")]
/// async fn create(Valid(Json(new)): Valid<Json<New>>) -> String {
///     format!("{} ({})", new.title, new.priority)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Valid<E>(pub E);

/// An extractor that holds a value with rules.
pub trait Ruled: sealed::Sealed {
    /// The type of the value.
    type Value: Validate<Context: Default>;

    /// What the value was read from, as a client calls it.
    const SOURCE: &'static str;

    /// The value.
    fn value(&self) -> &Self::Value;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! ruled {
    ($($extractor:ident: $source:literal;)*) => {$(
        impl<T> sealed::Sealed for $extractor<T> {}

        impl<T: Validate<Context: Default>> Ruled for $extractor<T> {
            type Value = T;
            const SOURCE: &'static str = $source;

            fn value(&self) -> &T {
                &self.0
            }
        }
    )*};
}

ruled! {
    Json: "body";
    Form: "form";
    Query: "query";
    Path: "path";
}

// The compiler's list of extractors is the same with and without features.
#[diagnostic::do_not_recommend]
impl<E: FromRequest<ViaRequest> + Ruled> FromRequest<ViaRequest> for Valid<E> {
    async fn from_request(request: Request) -> Result<Self, Error> {
        check(E::from_request(request).await?)
    }

    fn describe(operation: &mut Operation) {
        E::describe(operation);
    }
}

impl<E: FromRequestParts + Ruled> FromRequestParts for Valid<E> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        check(E::from_request_parts(parts).await?)
    }

    fn describe(operation: &mut Operation) {
        E::describe(operation);
    }
}

fn check<E: Ruled>(extracted: E) -> Result<Valid<E>, Error> {
    match extracted.value().validate() {
        Ok(()) => Ok(Valid(extracted)),
        Err(report) => Err(refuse(E::SOURCE, &report)),
    }
}

fn refuse(source: &str, report: &garde::Report) -> Error {
    let count = report.iter().count();
    let rules = if count == 1 { "rule" } else { "rules" };
    let errors: Vec<Value> = report
        .iter()
        .take(MAX_TOLD)
        .map(|(path, error)| json!({"pointer": pointer(path), "detail": error.message()}))
        .collect();
    Error::unprocessable(format!("The {source} breaks {count} {rules}."))
        .with_member("errors", errors)
}

/// A path as a JSON pointer (RFC 6901 §3).
fn pointer(path: &garde::Path) -> String {
    // As JSON a path is a list of steps, each with its kind and its name.
    let steps = serde_json::to_value(path).unwrap_or_default();
    let steps = steps.as_array().into_iter().flatten();
    let named = steps.filter(|step| step[0] != "none").filter_map(|step| step[1].as_str());
    named.map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, Validate)]
    struct Order {
        #[garde(length(min = 1))]
        name: String,
        #[garde(dive, length(max = 300))]
        items: Vec<Item>,
        #[garde(inner(range(min = 1)))]
        gift: Option<u8>,
    }

    #[derive(Debug, Deserialize, Validate)]
    struct Item {
        #[garde(range(min = 1, max = 9), custom(odd))]
        count: u32,
    }

    fn odd(count: &u32, (): &()) -> garde::Result {
        if count % 2 == 1 { Ok(()) } else { Err(garde::Error::new("is not odd")) }
    }

    async fn read(body: String) -> Result<Order, Error> {
        let request = http::Request::post("/").header("content-type", "application/json");
        let read = Valid::<Json<Order>>::from_request(request.body(body).unwrap().into());
        read.await.map(|Valid(Json(order))| order)
    }

    #[tokio::test]
    async fn every_broken_rule_is_told_with_its_place() {
        let order = read(r#"{"name":"a","items":[{"count":3}],"gift":null}"#.into()).await.unwrap();
        assert_eq!((order.name.as_str(), order.items[0].count, order.gift), ("a", 3, None));
        let wrong = r#"{"name":"","items":[{"count":3},{"count":10}],"gift":0}"#;
        let error = read(wrong.into()).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.message()), (422, "The body breaks 4 rules."));
        let problem = serde_json::to_value(error.problem()).unwrap();
        let errors = problem["errors"].as_array().unwrap();
        let pointers: Vec<_> =
            errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["/gift", "/items/1/count", "/items/1/count", "/name"]);
        let mut details: Vec<_> =
            errors.iter().map(|error| error["detail"].as_str().unwrap()).collect();
        details.sort_unstable();
        assert_eq!(
            details,
            ["greater than 9", "is not odd", "length is lower than 1", "lower than 1"]
        );
        assert_eq!(read("{}".into()).await.unwrap_err().status(), 422, "of the wrong shape");
    }

    #[tokio::test]
    async fn the_answer_is_bounded() {
        let items = vec![r#"{"count":0}"#; 5_000].join(",");
        let error = read(format!(r#"{{"name":"a","items":[{items}]}}"#)).await.unwrap_err();
        assert_eq!(error.message(), "The body breaks 10001 rules.");
        let problem = serde_json::to_value(error.problem()).unwrap();
        assert_eq!(problem["errors"].as_array().unwrap().len(), MAX_TOLD);
    }

    #[test]
    fn names_are_escaped() {
        let path = garde::Path::new("a/b").join(3).join("c~");
        assert_eq!(pointer(&path), "/a~1b/3/c~0");
        assert_eq!(pointer(&garde::Path::empty()), "");
    }
}
