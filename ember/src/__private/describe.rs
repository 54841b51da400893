//! Asks types what they know about themselves, and does without where they know nothing.
//!
//! A type that is no extractor is a mistake that is told where the value is taken; telling it
//! again where it is described would only repeat it. So these calls always compile: the method
//! is looked for on the value first, then behind references, and the last place always has it.

use crate::base::JsonSchema;
use crate::web::extract::{FromRequest, FromRequestParts};
use crate::web::{IntoResponse, Operation};
use serde::Serialize;
use serde_json::Value;
use std::marker::PhantomData;

/// Stands for an argument's type.
#[derive(Debug)]
pub struct Input<T>(PhantomData<fn() -> T>);

impl<T> Input<T> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

/// Arguments that read the head.
pub trait DescribeHead {
    /// Describes what is read.
    fn describe(&self, operation: &mut Operation);
}

impl<T: FromRequestParts> DescribeHead for &&Input<T> {
    fn describe(&self, operation: &mut Operation) {
        T::describe(operation);
    }
}

/// Arguments that read the body.
pub trait DescribeBody {
    /// Describes what is read.
    fn describe(&self, operation: &mut Operation);
}

impl<T: FromRequest> DescribeBody for &Input<T> {
    fn describe(&self, operation: &mut Operation) {
        T::describe(operation);
    }
}

/// Everything else.
pub trait DescribeNothing {
    /// Describes nothing.
    fn describe(&self, operation: &mut Operation);
}

impl<T> DescribeNothing for Input<T> {
    fn describe(&self, _: &mut Operation) {}
}

/// Stands for a type that is named in a signature.
#[derive(Debug)]
pub struct Known<T: ?Sized>(PhantomData<fn() -> *const T>);

impl<T: ?Sized> Known<T> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

/// Types that have a JSON Schema.
pub trait DescribeType {
    /// Makes the schema known.
    fn describe(&self, operation: &mut Operation);
}

impl<T: JsonSchema + ?Sized> DescribeType for &Known<T> {
    fn describe(&self, operation: &mut Operation) {
        operation.schema::<T>();
    }
}

impl<T: ?Sized> DescribeNothing for Known<T> {
    fn describe(&self, _: &mut Operation) {}
}

/// Stands for the type of a result.
#[derive(Debug)]
pub struct Output<T>(PhantomData<fn() -> T>);

impl<T> Output<T> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

/// Results that are responses.
pub trait DescribeOutput {
    /// Describes what is answered.
    fn describe(&self, operation: &mut Operation);
}

impl<T: IntoResponse> DescribeOutput for &Output<T> {
    fn describe(&self, operation: &mut Operation) {
        T::describe(operation);
    }
}

impl<T> DescribeNothing for Output<T> {
    fn describe(&self, _: &mut Operation) {}
}

/// Holds a default.
#[derive(Debug)]
pub struct DefaultValue<T>(pub T);

/// Defaults that can be written.
pub trait WrittenDefault {
    /// Writes the default.
    fn to_json(&self) -> Option<Value>;
}

impl<T: Serialize> WrittenDefault for &DefaultValue<T> {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(&self.0).ok()
    }
}

/// Defaults that cannot.
pub trait UnwrittenDefault {
    /// Writes nothing.
    fn to_json(&self) -> Option<Value>;
}

impl<T> UnwrittenDefault for DefaultValue<T> {
    fn to_json(&self) -> Option<Value> {
        None
    }
}
