//! Users.

use ember::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};

/// Somebody who does tasks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// What a new user is made of.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
pub(crate) struct NewUser {
    /// Nobody else may have this name.
    #[garde(length(chars, min = 1, max = 100))]
    pub(crate) name: String,
}
