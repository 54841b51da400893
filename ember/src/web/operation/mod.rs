//! What a route needs, reads and answers, as far as the types of its function tell.
//!
//! Each extractor and each response adds its part to the [`Operation`] of the route. The
//! start-up check reads the needs; the OpenAPI document is made of the rest.
//!
//! A type with a JSON Schema is described by it, and a type without one still works: what is
//! described is remembered by the name of its type, and its schema is looked up when the document
//! is made. The route attributes ask every type in a signature for its schema where they see the
//! type itself. The alternative, a bound on every extractor, would force a schema on everybody.

mod shape;
mod parameter;
mod outcome;
mod security;
mod notes;

pub use notes::Notes;
pub use outcome::{Content, Outcome, Status};
pub(crate) use parameter::{Misfit, ParameterType};
pub use parameter::{Parameter, Place};
pub use security::Security;
pub use shape::Shape;

use super::components::Need;
use crate::base::schema::{JsonSchema, TypeSchema};

/// What a route needs, reads and answers.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::{Operation, Parameter, RequestParts};
///
/// struct Tenant(String);
///
/// impl FromRequestParts for Tenant {
///     async fn from_request_parts(parts: &mut RequestParts) -> ember::Result<Self> {
///         let tenant = parts.header(http::HeaderName::from_static("x-tenant"));
///         let tenant = tenant.ok_or_else(|| Error::bad_request("`x-tenant` is missing."))?;
///         Ok(Self(tenant.to_owned()))
///     }
///
///     fn describe(operation: &mut Operation) {
///         let header = Parameter::header("x-tenant").of::<String>().required();
///         operation.parameter(header.description("Whose data it is.")).problems();
///     }
/// }
/// # use ember::http;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Operation {
    needs: Vec<Need>,
    touches_response: bool,
    pub(crate) schemas: Vec<TypeSchema>,
    pub(crate) parameters: Vec<Parameter>,
    /// Types whose members are parameters of their own, by where they stand.
    pub(crate) parameter_types: Vec<ParameterType>,
    pub(crate) body: Option<RequestBody>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Headers of every answer that is no failure.
    pub(crate) response_headers: Vec<Parameter>,
    pub(crate) security: Vec<Security>,
    /// What modules further down keep here, found by its type.
    pub(crate) extensions: http::Extensions,
}

/// What a route reads of the body of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestBody {
    pub(crate) contents: Vec<Content>,
    pub(crate) required: bool,
    /// Requests without a body have the same in their query.
    pub(crate) or_query: bool,
}

impl Operation {
    /// An operation of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that a component of type `T` must be provided.
    ///
    /// What an application makes by itself when it is needed, as a client, is asked for by the `describe` of the
    /// extractor: `Component::<Client>::describe(operation)` knows how it is made.
    pub fn needs<T: ?Sized + 'static>(&mut self) -> &mut Self {
        self.requires(Need::of::<T>())
    }

    /// Says that a component must be provided.
    pub fn requires(&mut self, need: Need) -> &mut Self {
        match self.needs.iter_mut().find(|known| **known == need) {
            Some(known) => known.learn(need),
            None => self.needs.push(need),
        }
        self
    }

    /// Says that an extractor changes the response: see [`RequestParts::on_response`](super::RequestParts::on_response).
    pub fn touches_response(&mut self) -> &mut Self {
        self.touches_response = true;
        self
    }

    /// Makes the schema of a type known, wherever the type is described.
    pub fn schema<T: JsonSchema + ?Sized>(&mut self) -> &mut Self {
        self.schemas.push(TypeSchema::of::<T>());
        self
    }

    /// Says that a parameter is read. One of the same place and name replaces what was said before.
    pub fn parameter(&mut self, parameter: Parameter) -> &mut Self {
        self.parameters.retain(|known| !known.is_same(&parameter));
        self.parameters.push(parameter);
        self
    }

    /// Says that a parameter of the path is read as a `T`.
    pub fn path_parameter<T: ?Sized>(&mut self, name: &str, description: &str) -> &mut Self {
        self.parameter(Parameter::path(name).of::<T>().description(description)).problems()
    }

    /// Says that all parameters of the path are read as a `T`: a value, a tuple or a struct.
    pub fn path<T: ?Sized>(&mut self) -> &mut Self {
        self.parameter_types.push(ParameterType::of::<T>(Place::Path));
        self
    }

    /// As [`Operation::path`], with what tells why the type asks for other parameters than the path has.
    pub(crate) fn path_if_fit<T: ?Sized>(&mut self, misfit: Misfit) -> &mut Self {
        let ty = ParameterType::of::<T>(Place::Path);
        self.parameter_types.push(ParameterType { misfit: Some(misfit), ..ty });
        self
    }

    /// Takes over what a part says that can do without the parameters which it asks for.
    pub(crate) fn of_any_path(&mut self, describe: impl FnOnce(&mut Self)) -> &mut Self {
        let known = self.parameter_types.len();
        describe(self);
        self.parameter_types.iter_mut().skip(known).for_each(|ty| ty.misfit = None);
        self
    }

    /// Says that the query is read as a `T`, each of whose members is a parameter.
    pub fn query<T: ?Sized>(&mut self) -> &mut Self {
        self.parameter_types.push(ParameterType::of::<T>(Place::Query));
        self
    }

    /// Says that the body is read, and must be there. Said again, it is one of several.
    pub fn body(&mut self, content: Content) -> &mut Self {
        self.take_body(content, true, false)
    }

    /// Says that the body is read, and may be empty.
    pub fn optional_body(&mut self, content: Content) -> &mut Self {
        self.take_body(content, false, false)
    }

    /// Says that a form is read: from the body, or from the query of a request without one.
    pub fn form<T: ?Sized>(&mut self) -> &mut Self {
        self.take_body(Content::of::<T>("application/x-www-form-urlencoded"), true, true)
    }

    fn take_body(&mut self, content: Content, required: bool, or_query: bool) -> &mut Self {
        let body =
            self.body.get_or_insert(RequestBody { contents: Vec::new(), required, or_query });
        body.contents.push(content);
        body.required &= required;
        self
    }

    /// Adds an answer. Answers of one status are told as one, with all their media types.
    pub fn outcome(&mut self, outcome: Outcome) -> &mut Self {
        match self.outcomes.iter_mut().find(|known| known.status == outcome.status) {
            Some(known) => known.merge(outcome),
            None => {
                // They are kept as long as the application runs.
                self.outcomes.reserve_exact(1);
                self.outcomes.push(outcome);
            }
        }
        self
    }

    /// Says that the answer is a 200 with this content.
    pub fn answers(&mut self, content: Content) -> &mut Self {
        self.outcome(Outcome::new(Status::OK).content(content))
    }

    /// Says that the route can fail, with a problem document.
    pub fn problems(&mut self) -> &mut Self {
        self.outcome(Outcome::problem())
    }

    /// Says that every answer that is no failure has this header; only the name, the description
    /// and the schema of the parameter count.
    pub fn response_header(&mut self, header: Parameter) -> &mut Self {
        self.response_headers.retain(|known| known.name != header.name);
        self.response_headers.push(header);
        self
    }

    /// Says that a request must prove who makes it in this way, and in every other that is named.
    ///
    /// Ways of which one is enough are what the option `security` of a route or blueprint lists, which goes
    /// before what is said here.
    pub fn security(&mut self, security: Security) -> &mut Self {
        if !self.security.contains(&security) {
            self.security.push(security);
        }
        self
    }

    /// Takes over what a part says, whose answers are given with a status that only the handler knows.
    pub fn with_open_status(&mut self, describe: impl FnOnce(&mut Self)) -> &mut Self {
        self.part(describe, |status| if status == Status::OK { Status::Success } else { status })
    }

    /// Takes over what a part says, whose answers are failures.
    pub fn failures(&mut self, describe: impl FnOnce(&mut Self)) -> &mut Self {
        self.part(describe, |status| match status {
            Status::Exactly(status) if !status.is_success() => Status::Exactly(status),
            _ => Status::Default,
        })
    }

    fn part(
        &mut self,
        describe: impl FnOnce(&mut Self),
        status: impl Fn(Status) -> Status,
    ) -> &mut Self {
        let earlier = std::mem::take(&mut self.outcomes);
        describe(self);
        for mut outcome in std::mem::replace(&mut self.outcomes, earlier) {
            outcome.status = status(outcome.status);
            self.outcome(outcome);
        }
        self
    }

    pub(crate) fn response_is_touched(&self) -> bool {
        self.touches_response
    }

    /// The components that must be provided.
    pub fn all_needs(&self) -> impl Iterator<Item = Need> {
        self.needs.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;
    use crate::web::{IntoResponse, Json, Redirect};
    use http::StatusCode;

    fn statuses<T: IntoResponse>() -> Vec<String> {
        let mut operation = Operation::new();
        T::describe(&mut operation);
        let told = operation.outcomes.iter().map(|outcome| {
            let types = outcome.contents.iter().map(|content| content.media_type.as_ref());
            format!("{} {}", outcome.status, types.collect::<Vec<_>>().join("|")).trim().to_owned()
        });
        told.collect()
    }

    #[test]
    fn responses_tell_their_status_and_media_type() {
        assert_eq!(statuses::<&'static str>(), ["200 text/plain"]);
        assert_eq!(statuses::<()>(), ["200"]);
        assert_eq!(statuses::<StatusCode>(), ["2XX"]);
        assert_eq!(statuses::<Redirect>(), ["3XX"]);
        assert_eq!(statuses::<(StatusCode, Json<u8>)>(), ["2XX application/json"]);
        assert_eq!(statuses::<([(&str, &str); 1], Json<u8>)>(), ["200 application/json"]);
    }

    #[test]
    fn failures_are_the_default_answer() {
        assert_eq!(
            statuses::<Result<Json<u8>, Error>>(),
            ["200 application/json", "default application/problem+json"]
        );
        assert_eq!(
            statuses::<Result<Result<Redirect, Error>, (StatusCode, Json<u8>)>>(),
            ["3XX", "default application/problem+json|application/json"]
        );
    }
}
