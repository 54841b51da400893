//! Tasks.

use ember::prelude::*;
use garde::Validate;
use serde::{Deserialize, Serialize};

/// Something to be done.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Task {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) done: bool,
    /// The id of the user whose task it is.
    pub(crate) owner: Option<i64>,
}

/// What a new task is made of.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
pub(crate) struct NewTask {
    /// What is to be done.
    #[garde(length(chars, min = 1, max = 200))]
    pub(crate) title: String,
    /// The id of the user whose task it is.
    #[garde(skip)]
    pub(crate) owner: Option<i64>,
}

/// What is to be changed; what is absent stays.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
pub(crate) struct TaskChange {
    #[garde(inner(length(chars, min = 1, max = 200)))]
    pub(crate) title: Option<String>,
    #[garde(skip)]
    pub(crate) done: Option<bool>,
}

/// Which tasks are listed.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
pub(crate) struct TaskFilter {
    /// Only those that are done, or those that are not.
    #[garde(skip)]
    pub(crate) done: Option<bool>,
    /// How many, from 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[serde(default = "fifty")]
    pub(crate) limit: u32,
    /// How many are left out before.
    #[garde(skip)]
    #[serde(default)]
    pub(crate) offset: u32,
}

fn fifty() -> u32 {
    50
}
