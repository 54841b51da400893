use super::FromRequestParts;
use super::path_de::{ParamsDeserializer, PathError, ValueDeserializer, misfit};
use crate::base::Error;
use crate::web::operation::Operation;
use crate::web::request::{Request, RequestParts};
use serde::de::DeserializeOwned;

/// All parameters of the path: a single value, a tuple in their order, or a struct by their names.
///
/// A single parameter is simpler to take by its name: `async fn task(id: u64)` on
/// `"/tasks/{id}"`. A value that does not fit is answered with 400; a type that asks for
/// other parameters than the path has is refused at the start, where that can be told without a value,
/// and is a 500 else.
///
/// ```
/// use ember::prelude::*;
///
/// #[get("/users/{user}/tasks/{task}")]
/// async fn task(Path((user, task)): Path<(String, u64)>) -> String {
///     format!("{task} of {user}")
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts for Path<T> {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        let params = parts.params().collect::<Result<Vec<_>, _>>()?;
        T::deserialize(ParamsDeserializer::new(&params)).map(Path).map_err(PathError::into_error)
    }

    fn describe(operation: &mut Operation) {
        operation.path_if_fit::<T>(misfit::<T>).problems();
    }
}

/// A value that an argument can take from the path by its name: whatever `serde` reads from text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a parameter of the path",
    label = "this argument is named like a parameter of the path",
    note = "numbers, text, `bool`, enums of plain variants and whatever else `serde` reads from text can be; references cannot"
)]
pub trait PathParameter: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> PathParameter for T {}

/// Reads one parameter of the path.
pub(crate) fn parameter<T: PathParameter>(request: &Request, name: &str) -> Result<T, Error> {
    let value = request.param(name)?;
    // The macro has seen the name in the path; only a route made by hand can lack it.
    let value =
        value.ok_or_else(|| Error::internal(format!("the path has no parameter `{name}`")))?;
    T::deserialize(ValueDeserializer::new(name, &value)).map_err(PathError::into_error)
}
