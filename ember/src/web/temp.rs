use crate::base::{Error, random_id};
use std::fs::{self, OpenOptions};
use std::io::{self, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

/// A file without a name, which is gone when it is dropped.
///
/// Where the system lets an open file be unlinked its name is removed at once, so that not even
/// a crash leaves it behind; elsewhere it is removed at the end.
#[derive(Debug)]
pub(super) struct TempFile {
    file: File,
    /// Removes the name, where it is still there. Dropped after the file.
    _name: Name,
}

impl TempFile {
    /// Makes a file in the folder for temporary ones, where no other thread waits for the disk.
    pub(super) async fn create() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("ember-{}", random_id()?));
        let made = tokio::task::spawn_blocking(move || make(&path)).await??;
        let (file, name) = made;
        Ok(Self { file: File::from_std(file), _name: name })
    }
}

#[derive(Debug)]
struct Name(Option<Box<Path>>);

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

fn make(path: &Path) -> io::Result<(fs::File, Name)> {
    let mut options = OpenOptions::new();
    // A name that exists, even as a link, is refused: nobody can lay one out for us.
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let name = Name(Some(path.into()));
    #[cfg(unix)]
    let name = {
        drop(name);
        Name(None)
    };
    Ok((file, name))
}

impl AsyncRead for TempFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_read(context, buffer)
    }
}

impl AsyncSeek for TempFile {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.file).poll_complete(context)
    }
}

impl AsyncWrite for TempFile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.file).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.file).poll_shutdown(context)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn leaves_no_name_behind() {
        let path = std::env::temp_dir().join(format!("ember-{}", random_id().unwrap()));
        let (file, name) = make(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions())
                & 0o777,
            0o600
        );
        drop((file, name));
        fs::write(&path, "mine").unwrap();
        assert_eq!(make(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        fs::remove_file(&path).unwrap();
    }
}
