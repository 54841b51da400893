//! A folder that goes away.

use crate::Result;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder of this process, removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Among temporary files.
    pub(crate) fn new() -> Result<Self> {
        Self::within(&std::env::temp_dir())
    }

    /// In memory where the machine has such, so that no disk is measured.
    pub(crate) fn in_memory() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::within(memory) } else { Self::new() }
    }

    fn within(parent: &Path) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ember-bench-{}-{number}", std::process::id()));
        // One that is there already is of somebody else.
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left behind, and seen there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
