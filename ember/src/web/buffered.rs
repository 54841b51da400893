//! A request body that is read whole and can be read again.

use super::body::Body;
use super::extract::FromRequest;
use super::limits::RouteLimits;
use super::request::Request;
use super::temp::TempFile;
use crate::base::Error;
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::io::{self, Cursor, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _, ReadBuf};
use tokio::io::{AsyncWriteExt as _, BufWriter};

/// How many bytes are moved to or from a file at once.
const PIECE: usize = 64 << 10;

/// A whole request body, in memory while it is small and in a temporary file when it is large.
///
/// It can be read as often as wanted, and in any order. How many bytes stay in memory is said
/// by [`RouteLimits::in_memory_threshold`]. The file has no name that others could open, and is
/// gone when this is dropped, or when the process ends. Reading and writing it blocks no worker.
///
/// ```
/// use ember::prelude::*;
/// use ember::web::BufferedBody;
/// use tokio::io::AsyncReadExt as _;
///
/// #[post("/kind")]
/// async fn kind(mut body: BufferedBody) -> ember::Result<&'static str> {
///     let mut magic = Vec::new();
///     body.reader().await?.take(4).read_to_end(&mut magic).await?;
///     Ok(if magic == b"%PDF" { "a document" } else { "something else" })
/// }
/// ```
pub struct BufferedBody {
    content: Content,
    length: u64,
}

enum Content {
    Memory(Bytes),
    File(TempFile),
}

impl BufferedBody {
    /// Reads a body to its end, and moves it to a file beyond `threshold` bytes.
    ///
    /// # Errors
    /// As [`Body::collect`]; a file that cannot be written is a 500.
    ///
    /// # Cancel safety
    /// What was read before the future is dropped is lost.
    pub async fn read(mut body: Body, threshold: u64) -> Result<Self, Error> {
        let mut buffer = Buffer::new(threshold);
        while let Some(data) = body.data().await? {
            buffer.push(data).await?;
        }
        buffer.finish().await
    }

    /// The number of bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Tells whether there is not one byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Tells whether the bytes are in memory.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.content, Content::Memory(_))
    }

    /// Returns a reader that stands at the beginning.
    ///
    /// # Errors
    /// When the temporary file cannot be read, which is a 500.
    pub async fn reader(&mut self) -> Result<BodyReader<'_>, Error> {
        Ok(BodyReader(match &mut self.content {
            Content::Memory(bytes) => Source::Memory(Cursor::new(bytes)),
            Content::File(file) => {
                file.rewind().await?;
                Source::File(file)
            }
        }))
    }

    /// Returns all bytes, which are in memory then, however many they are.
    ///
    /// # Errors
    /// As [`BufferedBody::reader`].
    pub async fn into_bytes(mut self) -> Result<Bytes, Error> {
        let length = usize::try_from(self.length).unwrap_or_default();
        if let Content::Memory(bytes) = self.content {
            return Ok(bytes);
        }
        let mut bytes = Vec::with_capacity(length);
        self.reader().await?.read_to_end(&mut bytes).await?;
        Ok(bytes.into())
    }

    /// Turns it into a body again, to be sent on.
    ///
    /// # Errors
    /// As [`BufferedBody::reader`].
    pub async fn into_body(self) -> Result<Body, Error> {
        let mut file = match self.content {
            Content::Memory(bytes) => return Ok(bytes.into()),
            Content::File(file) => file,
        };
        file.rewind().await?;
        Ok(Body::stream(futures_util::stream::try_unfold(file, |mut file| async move {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = file.read_buf(&mut piece).await?;
            Ok::<_, io::Error>((read > 0).then(|| (piece.freeze(), file)))
        })))
    }

    /// Writes the bytes to a new file, and returns their number. A file that is there already
    /// is not touched.
    ///
    /// # Errors
    /// When the file exists already or cannot be written, which is a 500.
    pub async fn save_to(&mut self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let mut file = File::create_new(path).await?;
        let written = tokio::io::copy(&mut self.reader().await?, &mut file).await?;
        file.flush().await?;
        Ok(written)
    }
}

/// The whole body, within the limits of the route.
impl FromRequest for BufferedBody {
    async fn from_request(request: Request) -> Result<Self, Error> {
        let threshold = RouteLimits::of(&request).in_memory_threshold;
        let threshold = threshold.unwrap_or(RouteLimits::DEFAULT_THRESHOLD);
        Self::read(request.into_body(), threshold).await
    }
}

impl fmt::Debug for BufferedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedBody")
            .field("length", &self.length)
            .field("in_memory", &self.is_in_memory())
            .finish()
    }
}

/// Collects pieces, in memory first.
pub(super) struct Buffer {
    memory: BytesMut,
    file: Option<BufWriter<TempFile>>,
    length: u64,
    threshold: u64,
}

impl Buffer {
    pub(super) fn new(threshold: u64) -> Self {
        Self { memory: BytesMut::new(), file: None, length: 0, threshold }
    }

    pub(super) async fn push(&mut self, data: Bytes) -> Result<(), Error> {
        self.length += data.len() as u64;
        if self.file.is_none() {
            if self.length <= self.threshold {
                self.memory.extend_from_slice(&data);
                return Ok(());
            }
            let mut file = BufWriter::with_capacity(PIECE, TempFile::create().await?);
            file.write_all(&std::mem::take(&mut self.memory)).await?;
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&data).await?;
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> Result<BufferedBody, Error> {
        let content = match self.file {
            None => Content::Memory(self.memory.freeze()),
            Some(mut file) => {
                file.flush().await?;
                Content::File(file.into_inner())
            }
        };
        Ok(BufferedBody { content, length: self.length })
    }
}

/// Reads a [`BufferedBody`], from any place in it.
#[derive(Debug)]
pub struct BodyReader<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Memory(Cursor<&'a mut Bytes>),
    File(&'a mut TempFile),
}

impl AsyncRead for BodyReader<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Source::Memory(cursor) => {
                let bytes = cursor.get_ref();
                let start = usize::try_from(cursor.position())
                    .map_or(bytes.len(), |position| position.min(bytes.len()));
                let end = bytes.len().min(start + buffer.remaining());
                buffer.put_slice(&bytes[start..end]);
                cursor.set_position(end.max(start) as u64);
                Poll::Ready(Ok(()))
            }
            Source::File(file) => Pin::new(&mut **file).poll_read(context, buffer),
        }
    }
}

impl AsyncSeek for BodyReader<'_> {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        match &mut self.0 {
            Source::Memory(cursor) => {
                let mut seeker = Cursor::new(&cursor.get_ref()[..]);
                seeker.set_position(cursor.position());
                let position = io::Seek::seek(&mut seeker, position)?;
                cursor.set_position(position);
                Ok(())
            }
            Source::File(file) => Pin::new(&mut **file).start_seek(position),
        }
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        match &mut self.0 {
            Source::Memory(cursor) => Poll::Ready(Ok(cursor.position())),
            Source::File(file) => Pin::new(&mut **file).poll_complete(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::BoxError;
    use futures_util::stream;

    fn body(length: usize) -> (Body, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let pieces: Vec<_> =
            bytes.chunks(1000).map(|piece| Ok::<_, BoxError>(piece.to_vec())).collect();
        (Body::stream(stream::iter(pieces)), bytes)
    }

    #[tokio::test]
    async fn is_read_again_and_from_any_place() {
        for (length, in_memory) in [(0, true), (5_000, true), (5_001, false), (300_000, false)] {
            let (stream, bytes) = body(length);
            let mut body = BufferedBody::read(stream, 5_000).await.unwrap();
            assert_eq!((body.len(), body.is_in_memory()), (length as u64, in_memory));
            for _ in 0..2 {
                let mut read = Vec::new();
                body.reader().await.unwrap().read_to_end(&mut read).await.unwrap();
                assert!(read == bytes, "{length} bytes");
            }
            let mut reader = body.reader().await.unwrap();
            let mut tail = Vec::new();
            reader.seek(SeekFrom::End(-(length.min(10) as i64))).await.unwrap();
            reader.read_to_end(&mut tail).await.unwrap();
            assert_eq!(tail, bytes[length - length.min(10)..]);
            assert_eq!(reader.seek(SeekFrom::Start(1 << 40)).await.unwrap(), 1 << 40);
            assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 0, "nothing is behind the end");
            let sent = body.into_body().await.unwrap().collect().await.unwrap();
            assert!(sent == bytes);
        }
    }

    #[tokio::test]
    async fn bytes_come_back_from_memory_and_file() {
        for threshold in [0, 1 << 20] {
            let (stream, bytes) = body(100_000);
            let body = BufferedBody::read(stream, threshold).await.unwrap();
            assert!(body.into_bytes().await.unwrap() == bytes);
        }
    }

    #[tokio::test]
    async fn the_limit_of_the_body_holds() {
        let (stream, _) = body(10_000);
        let error = BufferedBody::read(stream.limit(9_999), 100).await.unwrap_err();
        assert_eq!(error.status(), 413);
    }

    #[tokio::test]
    async fn saving_never_overwrites() {
        let folder = std::env::temp_dir().join(crate::base::random_id().unwrap());
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("upload");
        let (stream, bytes) = body(10_000);
        let mut body = BufferedBody::read(stream, 10).await.unwrap();
        assert_eq!(body.save_to(&path).await.unwrap(), 10_000);
        assert!(std::fs::read(&path).unwrap() == bytes);
        assert_eq!(body.save_to(&path).await.unwrap_err().status(), 500);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
