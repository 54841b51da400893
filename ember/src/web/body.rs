use super::panics::caught;
use crate::base::Error;
use crate::base::error::BoxError;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use pin_project_lite::pin_project;
use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use sync_wrapper::SyncWrapper;

type BoxBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>;

/// The body of a request or a response: nothing, bytes that are at hand, or a stream.
///
/// A body of a request is bounded: reading beyond the limit of its route fails with
/// status 413, whichever extractor reads it.
#[derive(Default)]
pub struct Body {
    content: Content,
    /// How many bytes may still be read.
    allowance: Option<u64>,
}

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Full(Bytes),
    /// A wrapper lets `&Body` cross threads, so that handlers may hold it while they wait.
    Stream {
        body: SyncWrapper<BoxBody>,
        hint: SizeHint,
    },
}

impl Body {
    /// A body without bytes.
    pub const fn empty() -> Self {
        Self { content: Content::Empty, allowance: None }
    }

    /// A body of any other type.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // One of our own is not wrapped, so that its limit and its length stay known.
        let mut body = Some(body);
        if let Some(own) = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return own.take().unwrap_or_default();
        }
        let Some(body) = body.filter(|body| !is_empty(body)) else {
            return Self::empty();
        };
        let hint = body.size_hint();
        Self::of(Content::Stream {
            body: SyncWrapper::new(Box::pin(body.map_err(Into::into))),
            hint,
        })
    }

    /// A body that is sent as its pieces become ready.
    pub fn stream<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let body = SyncWrapper::new(Box::pin(StreamBody { stream }) as BoxBody);
        Self::of(Content::Stream { body, hint: SizeHint::default() })
    }

    const fn of(content: Content) -> Self {
        Self { content, allowance: None }
    }

    /// Lets at most this many bytes be read; the stricter of two limits holds.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.allowance = Some(self.allowance.map_or(bytes, |allowance| allowance.min(bytes)));
        self
    }

    /// How many bytes may still be read, where that is bounded.
    pub(crate) fn allowance(&self) -> Option<u64> {
        self.allowance
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// Status 413 beyond the body's limit; otherwise whatever broke the transfer.
    ///
    /// # Cancel safety
    /// Bytes that were read before the future is dropped are lost.
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.data().await? else {
            return Ok(Bytes::new());
        };
        if self.is_over() {
            return Ok(first);
        }
        let Some(second) = self.data().await? else {
            return Ok(first);
        };
        let mut whole = BytesMut::with_capacity(first.len() + second.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.data().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Reads the next piece, or `None` at the end.
    ///
    /// # Errors
    /// As [`Body::collect`].
    pub async fn data(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.frame().await {
                None => return Ok(None),
                // Trailers are no data.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_) => continue,
                },
                Some(Err(error)) => return Err(Error::from_boxed(error)),
            }
        }
    }

    /// Tells whether nothing is to follow, as far as that is known.
    fn is_over(&mut self) -> bool {
        match &mut self.content {
            Content::Empty => true,
            Content::Full(_) => false,
            Content::Stream { body, .. } => body.get_mut().is_end_stream(),
        }
    }

    /// Takes the bytes if all of them are at hand, and leaves nothing.
    #[cfg(feature = "server")]
    #[inline]
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.content {
            // How many may be read is seen as they are read.
            _ if self.allowance.is_some() => None,
            Content::Empty => Some(Bytes::new()),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Some(bytes)
            }
            Content::Stream { .. } => None,
        }
    }

    /// Ends the body with the error of one that is too large.
    fn refuse(&mut self) -> BoxError {
        self.content = Content::Empty;
        Error::payload_too_large("The request body is larger than this address accepts.").into()
    }

    /// Turns the body into a stream of its pieces.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, |mut body| async move {
            Ok(body.data().await?.map(|data| (data, body)))
        })
    }
}

fn is_empty(body: &impl http_body::Body) -> bool {
    body.size_hint().exact() == Some(0) && body.is_end_stream()
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.allowance.is_some_and(|allowance| self.size_hint().lower() > allowance) {
            // The announced length is already too much: nothing of it is read.
            return Poll::Ready(Some(Err(self.refuse())));
        }
        let frame = match &mut self.content {
            Content::Empty => return Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Some(Ok(Frame::data(bytes)))
            }
            Content::Stream { body, hint } => {
                // The length was known for the whole; what is left of it is of no use to anybody.
                *hint = SizeHint::default();
                let polled = caught("a body", || body.get_mut().as_mut().poll_frame(context));
                match polled {
                    Ok(poll) => ready!(poll),
                    Err(error) => {
                        // The panic ends this body, not the connection with its other streams.
                        tracing::error!(%error, "a body broke");
                        self.content = Content::Empty;
                        Some(Err(error.into()))
                    }
                }
            }
        };
        if let Some(allowance) = &mut self.allowance
            && let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            match allowance.checked_sub(data.len() as u64) {
                Some(rest) => *allowance = rest,
                None => return Poll::Ready(Some(Err(self.refuse()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream { hint, .. } => *hint,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Empty => f.write_str("Body(empty)"),
            Content::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Content::Stream { .. } => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self::of(Content::Full(bytes)) }
    }
}

macro_rules! from_bytes {
    ($($source:ty),*) => {$(
        impl From<$source> for Body {
            fn from(source: $source) -> Self {
                Bytes::from(source).into()
            }
        }
    )*};
}

from_bytes!(String, Vec<u8>, Box<[u8]>, BytesMut, &'static str, &'static [u8]);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

pin_project! {
    struct StreamBody<S> {
        #[pin]
        stream: S,
    }
}

impl<S, B, E> http_body::Body for StreamBody<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let item = ready!(self.project().stream.poll_next(context));
        Poll::Ready(item.map(|item| item.map(|data| Frame::data(data.into())).map_err(Into::into)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, stream};

    fn pieces(pieces: &'static [&'static str]) -> Body {
        Body::stream(stream::iter(pieces.iter().map(|piece| Ok::<_, BoxError>(*piece))))
    }

    #[tokio::test]
    async fn collects_pieces_within_the_limit() {
        assert_eq!(pieces(&["a", "b", "c"]).limit(3).collect().await.unwrap(), "abc");
        assert_eq!(Body::from("abc").limit(3).collect().await.unwrap(), "abc");
        assert_eq!(Body::empty().limit(0).collect().await.unwrap(), "");
    }

    #[tokio::test]
    async fn refuses_what_exceeds_the_limit() {
        for body in [pieces(&["ab", "cd"]), Body::from("abcd")] {
            let error = body.limit(3).limit(9).collect().await.unwrap_err();
            assert_eq!(error.status(), 413);
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn only_what_is_at_hand_and_has_no_limit_is_taken_whole() {
        let mut body = Body::from("abc");
        assert_eq!(body.take_whole().unwrap(), "abc");
        assert_eq!(body.take_whole().unwrap(), "");
        assert_eq!(Body::from("abc").limit(2).take_whole(), None);
        assert_eq!(pieces(&["abc"]).take_whole(), None);
    }

    #[tokio::test]
    async fn a_panic_ends_the_body_with_an_error() {
        let mut body = Body::stream(stream::iter(0..2).map(|piece| {
            assert_eq!(piece, 0, "the second piece");
            Ok::<_, BoxError>("a")
        }));
        assert_eq!(body.data().await.unwrap().unwrap(), "a");
        let error = body.data().await.unwrap_err();
        assert!(error.status() == 500 && error.to_string().contains("the second piece"));
        assert!(body.data().await.unwrap().is_none());
    }

    #[test]
    fn can_be_shared_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<Body>();
    }
}
