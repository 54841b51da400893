//! Where the tasks are: a text file with a title on each line, or three tasks where there is none.

use ember::JsonSchema;
use serde::Serialize;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Something to do.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Task {
    /// Its number, counted from 1.
    id: u64,
    /// What is to be done.
    title: String,
}

/// All tasks.
pub(crate) struct Db {
    tasks: Vec<Task>,
}

impl Db {
    /// Reads the file.
    pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                "Read the README\nRun the chat\nWrite a tool".to_owned()
            }
            Err(error) => return Err(error),
        };
        let tasks = (1..).zip(text.lines()).map(|(id, title)| Task { id, title: title.to_owned() });
        Ok(Self { tasks: tasks.collect() })
    }

    /// Finds a task.
    pub(crate) fn task(&self, id: u64) -> Option<Task> {
        self.tasks.iter().find(|task| task.id == id).cloned()
    }
}
