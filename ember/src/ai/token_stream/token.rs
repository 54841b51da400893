use crate::base::Error;
use crate::llm::{ChatEvent, FinishReason};
use futures_core::Stream;
use pin_project_lite::pin_project;
use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// What a stream of tokens may consist of: texts, or results of texts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no token",
    note = "a stream of tokens yields `String`, `&'static str`, or a `Result` of one of these"
)]
pub trait IntoToken: Send {
    /// Makes the token, or says why the stream is broken.
    ///
    /// # Errors
    /// Whatever the stream itself reports.
    fn into_token(self) -> Result<Cow<'static, str>, Error>;
}

impl IntoToken for String {
    fn into_token(self) -> Result<Cow<'static, str>, Error> {
        Ok(self.into())
    }
}

impl IntoToken for &'static str {
    fn into_token(self) -> Result<Cow<'static, str>, Error> {
        Ok(self.into())
    }
}

impl<T: IntoToken, E: Into<Error> + Send> IntoToken for Result<T, E> {
    fn into_token(self) -> Result<Cow<'static, str>, Error> {
        self.map_err(Into::into)?.into_token()
    }
}

pin_project! {
    /// Tokens as the text of an answer.
    pub(super) struct Tokens<S> {
        #[pin]
        tokens: S,
        ended: bool,
    }
}

impl<S> Tokens<S> {
    pub(super) fn new(tokens: S) -> Self {
        Self { tokens, ended: false }
    }
}

impl<S: Stream<Item: IntoToken>> Stream for Tokens<S> {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(match ready!(this.tokens.poll_next(context)) {
            Some(token) => token.into_token().map(|token| ChatEvent::Text(token.into_owned())),
            None => {
                *this.ended = true;
                Ok(ChatEvent::Finish(FinishReason::Stop.into()))
            }
        }))
    }
}
