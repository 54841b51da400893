use crate::llm::chat::{ChatRequest, ChatResponse};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::layer::is_preliminary;
use crate::llm::provider::Provider;
use crate::llm::stream::{ChatEvent, ChatStream};
use futures_util::stream::unfold;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Bounds how long a provider may take until it tells the first of its answer.
///
/// It stands inside of retry, breaker and cost, so that each of them sees a time-out like any other. A whole
/// answer is asked for as a stream and put together, because nothing else tells when it has begun.
pub(super) struct FirstToken<P> {
    inner: P,
    /// No limit where there is none.
    limit: Option<Duration>,
}

impl<P> FirstToken<P> {
    pub(super) fn new(inner: P, limit: Option<Duration>) -> Self {
        Self { inner, limit }
    }
}

impl<P: Provider> Provider for FirstToken<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn models(&self) -> Vec<String> {
        self.inner.models()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        match self.limit {
            Some(_) => self.stream(request).await?.collect().await,
            None => self.inner.chat(request).await,
        }
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        // A limit beyond what the machine can name is none.
        let deadline =
            self.limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        let Some((deadline, limit)) = deadline else { return self.inner.stream(request).await };
        let late = late(self.inner.name(), limit);
        let stream = match timeout_at(deadline, self.inner.stream(request)).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(late),
        };
        Ok(ChatStream::new(unfold((stream, Some((deadline, late))), next)))
    }
}

/// The stream, and until when its first token must come, while it has not.
type Waiting = (ChatStream, Option<(Instant, Error)>);

async fn next((mut stream, limit): Waiting) -> Option<(Result<ChatEvent, Error>, Waiting)> {
    let Some((deadline, late)) = limit else {
        return stream.next().await.map(|item| (item, (stream, None)));
    };
    match timeout_at(deadline, stream.next()).await {
        Ok(item) => {
            let item = item?;
            let waits = matches!(&item, Ok(event) if is_preliminary(event));
            Some((item, (stream, waits.then_some((deadline, late)))))
        }
        Err(_) => Some((Err(late), (stream, None))),
    }
}

fn late(provider: &str, limit: Duration) -> Error {
    let seconds = limit.as_secs_f64();
    let message = format!("the first token did not come within {seconds} seconds");
    Error::new(ErrorKind::Timeout, message).with_provider(provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{millis, secs};
    use crate::llm::fake::{FakeProvider, FakeReply};

    fn limited(reply: FakeReply) -> FirstToken<FakeProvider> {
        FirstToken::new(FakeProvider::new().reply(reply), Some(secs(5)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_token_has_a_limit_and_the_others_have_none() {
        let reply = |delay| FakeReply::new().text("a b c d").delay(delay);
        for streamed in [false, true] {
            let ask = async |provider: FirstToken<FakeProvider>| match streamed {
                true => provider.stream(&"x".into()).await?.collect().await,
                false => provider.chat(&"x".into()).await,
            };
            // The start is an event, too, and is no token.
            let answer = ask(limited(reply(secs(2)))).await.unwrap();
            assert_eq!(answer.text(), "a b c d");
            for reply in [reply(millis(2_600)), FakeReply::new().hang_after(0)] {
                let error = ask(limited(reply)).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout);
                assert!(!error.is_retryable(), "the same silence is not waited for again");
                assert!(error.message().contains("within 5 seconds"), "{error}");
            }
        }
    }
}
