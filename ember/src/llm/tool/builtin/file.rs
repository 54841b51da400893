use super::{cut, only, tool};
use crate::base::Env;
use crate::llm::tool::{ParameterSchema, Tool, ToolError};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads files of a folder; made by [`read_file`].
#[derive(Debug, Clone)]
#[must_use = "it becomes a tool where one is taken"]
pub struct ReadFile {
    root: PathBuf,
    max_bytes: Option<usize>,
    env: Env,
}

/// A tool that reads text files of a folder and the folders in it.
///
/// A path is taken from there; neither `..` nor a symbolic link leads out of it. Whoever can write
/// into the folder while a file is read can put a link in its place: it is a fence for the model,
/// not for other users of the machine.
///
/// ```
/// # use ember::llm::{Client, FakeProvider, tool::builtin};
/// let client = Client::new(FakeProvider::new()).tools([builtin::read_file("docs").max_bytes(20_000)]);
/// # let _ = client;
/// ```
pub fn read_file(root: impl Into<PathBuf>) -> ReadFile {
    ReadFile { root: root.into(), max_bytes: None, env: Env::process() }
}

impl ReadFile {
    /// How many bytes of a file are read, unless `EMBER_FILE_MAX_BYTES` or
    /// [`ReadFile::max_bytes`] says otherwise.
    pub const DEFAULT_MAX_BYTES: usize = 200_000;

    /// Sets how many bytes of a file are read, in place of `EMBER_FILE_MAX_BYTES`.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Reads settings from here, instead of the environment of this process.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    fn read(&self, asked: &str) -> Result<String, ToolError> {
        let missing = |error: io::Error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                ToolError::new(format!("there is no file `{asked}`"))
            }
            _ => ToolError::new(format!("the file `{asked}` cannot be read")),
        };
        let root = fs::canonicalize(&self.root).map_err(|error| {
            tracing::error!(root = %self.root.display(), %error, "the folder of files cannot be read");
            ToolError::new("the folder of files is not there")
        })?;
        let path = within(&root, Path::new(asked)).map_err(missing)?.ok_or_else(|| {
            ToolError::new(format!("`{asked}` is outside the folder that can be read"))
        })?;
        let file = open(&path).map_err(missing)?;
        // Asked of what is open, in whose place nothing else can be put any more.
        let about = file.metadata().map_err(missing)?;
        if about.is_dir() {
            return Err(ToolError::new(format!("`{asked}` is a directory")));
        }
        // A pipe or a device could keep the reader for ever.
        if !about.is_file() {
            return Err(ToolError::new(format!("`{asked}` is no regular file")));
        }
        let limit = self.limit();
        let mut bytes = Vec::new();
        let most = (limit as u64).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(missing)?;
        Ok(cut(&bytes, limit))
    }

    fn limit(&self) -> usize {
        let accept = |bytes: &usize| *bytes > 0;
        let set = self.max_bytes.or_else(|| self.env.parse_if("EMBER_FILE_MAX_BYTES", accept));
        set.unwrap_or(Self::DEFAULT_MAX_BYTES)
    }
}

/// Opens a file for reading, and waits for nobody: a pipe opens without a writer. A link that was put in the
/// place of the file since its path was looked at is not followed.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    File::options().read(true).custom_flags(flags).open(path)
}

/// Opens a file for reading.
#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Where a path leads from the root, all links followed; `None` if that is outside.
fn within(root: &Path, asked: &Path) -> io::Result<Option<PathBuf>> {
    use std::path::Component::{CurDir, Normal, ParentDir};
    let mut depth = 0_usize;
    for part in asked.components() {
        // What would lead out is not even looked at, so that nobody learns what there is.
        match part {
            Normal(_) => depth += 1,
            CurDir => {}
            ParentDir if depth > 0 => depth -= 1,
            _ => return Ok(None),
        }
    }
    let path = fs::canonicalize(root.join(asked))?;
    Ok(path.starts_with(root).then_some(path))
}

impl From<ReadFile> for Tool {
    fn from(file: ReadFile) -> Self {
        let about =
            "Path of the file, from the folder that can be read, for example \"notes/today.txt\".";
        let path = ParameterSchema::new("path", "string", about);
        let file = Arc::new(file);
        tool("read_file", "Reads a text file.", path, move |arguments| {
            let file = file.clone();
            async move {
                let path: String = only(arguments, "path")?;
                // Disks take their time, and must not keep others waiting.
                tokio::task::spawn_blocking(move || file.read(&path)).await?
            }
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn what_takes_the_place_of_a_file_keeps_nobody_waiting_and_leads_nowhere() {
        let folder =
            std::env::temp_dir().join(format!("ember-{}", crate::base::random_id().unwrap()));
        fs::create_dir(&folder).unwrap();
        let (pipe, link) = (folder.join("pipe"), folder.join("link"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        symlink("/etc/hosts", &link).unwrap();
        // Nobody writes into it: without the flag, this would wait for ever.
        assert!(!open(&pipe).unwrap().metadata().unwrap().is_file());
        assert!(open(&link).is_err());
        let tool = read_file(&folder).env(Env::of::<&str, &str>([]));
        let told = tool.read("pipe").unwrap_err().message().to_owned();
        assert_eq!(told, "`pipe` is no regular file");
        fs::remove_dir_all(&folder).unwrap();
    }
}
