use crate::base::{Error, ErrorKind};
use crate::llm::ChatEvent;
use crate::store::{BucketError, GlobalTokenBucket};
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A stream that sends no more tokens than a bucket has.
///
/// What has arrived waits for its token; until it is sent nothing more is asked for, so that the wait
/// reaches whoever makes the tokens.
pub(super) struct Paced<S> {
    events: S,
    bucket: GlobalTokenBucket,
    /// How long one token waits.
    wait: Duration,
    /// An event that waits, and what it waits for.
    waiting: Option<(ChatEvent, Taking)>,
    ended: bool,
}

type Taking = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl<S> Paced<S> {
    pub(super) fn new(events: S, bucket: GlobalTokenBucket, wait: Duration) -> Self {
        Self { events, bucket, wait, waiting: None, ended: false }
    }
}

/// Tells whether an event is a token: what people read.
fn is_token(event: &ChatEvent) -> bool {
    matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_) | ChatEvent::Refusal(_))
}

/// Takes a token as soon as there is one.
async fn take(bucket: GlobalTokenBucket, wait: Duration) -> Result<(), Error> {
    let too_slow = || {
        Error::new(ErrorKind::Unavailable, "The stream is sent too slowly to go on at the moment.")
    };
    tokio::select! {
        biased;
        taken = bucket.consume(1) => taken.map_err(|error| match error {
            BucketError::Away(error) => error,
            BucketError::Empty { .. } => too_slow(),
        }),
        () = bucket.time().sleep(wait) => Err(too_slow()),
    }
}

impl<S: Stream<Item = Result<ChatEvent, Error>> + Unpin> Stream for Paced<S> {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if this.waiting.is_none() {
            match ready!(Pin::new(&mut this.events).poll_next(context)) {
                Some(Ok(event)) if is_token(&event) => {
                    let taken = take(this.bucket.clone(), this.wait);
                    this.waiting = Some((event, Box::pin(taken)));
                }
                other => {
                    this.ended = other.is_none();
                    return Poll::Ready(other);
                }
            }
        }
        let Some((event, mut taken)) = this.waiting.take() else { return Poll::Ready(None) };
        match taken.as_mut().poll(context) {
            Poll::Pending => {
                this.waiting = Some((event, taken));
                Poll::Pending
            }
            Poll::Ready(Ok(())) => Poll::Ready(Some(Ok(event))),
            Poll::Ready(Err(error)) => {
                this.ended = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use crate::llm::FinishReason;
    use futures_util::{StreamExt as _, stream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// A paced stream of words, and how many were asked for.
    fn words(
        bucket: &GlobalTokenBucket,
        wait: Duration,
    ) -> (impl Stream<Item = Result<ChatEvent, Error>> + Unpin + use<>, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let tokens = (0..5).map(move |n| {
            count.fetch_add(1, SeqCst);
            Ok(ChatEvent::Text(n.to_string()))
        });
        let done = [Ok(ChatEvent::Finish(FinishReason::Stop.into()))];
        let events = stream::iter(tokens.chain(done));
        (Paced::new(Box::pin(events), bucket.clone(), wait), made)
    }

    fn is_pending(stream: &mut (impl Stream + Unpin)) -> bool {
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(stream).poll_next(&mut context).is_pending()
    }

    fn bucket(hands: &ManualClock) -> GlobalTokenBucket {
        GlobalTokenBucket::with_clock("b", 2, secs(2), hands.clock())
    }

    #[tokio::test]
    async fn tokens_are_sent_as_the_bucket_has_them() {
        let hands = ManualClock::new();
        let bucket = bucket(&hands);
        let (mut paced, made) = words(&bucket, secs(60));
        assert!(paced.next().await.unwrap().is_ok() && paced.next().await.unwrap().is_ok());
        for sent in 3..=5 {
            assert!(is_pending(&mut paced));
            assert!(is_pending(&mut paced));
            assert_eq!(made.load(SeqCst), sent, "nothing is asked for while one waits");
            hands.advance(secs(1));
            assert!(paced.next().await.unwrap().is_ok());
        }
        let last = paced.next().await.unwrap().unwrap();
        assert_eq!(last, ChatEvent::Finish(FinishReason::Stop.into()), "the end takes none");
        assert!(paced.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_is_dropped_takes_nothing_more() {
        let hands = ManualClock::new();
        let bucket = bucket(&hands);
        let (mut paced, _) = words(&bucket, secs(60));
        paced.next().await.unwrap().unwrap();
        paced.next().await.unwrap().unwrap();
        assert!(is_pending(&mut paced));
        drop(paced);
        hands.advance(secs(2));
        assert_eq!(bucket.available(), 2);
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_not_told_as_a_slow_stream() {
        let store = crate::store::flaky::Flaky::new(crate::store::MemoryStore::new());
        store.go_away(true);
        let bucket = GlobalTokenBucket::per_minute("b", 100).store(store);
        let (mut paced, _) = words(&bucket, secs(60));
        let error = paced.next().await.unwrap().unwrap_err();
        assert_eq!((error.status().as_u16(), error.retry_after()), (503, Some(secs(1))));
        assert!(!error.message().contains("slowly"), "{error}");
        assert!(paced.next().await.is_none());
    }

    #[tokio::test]
    async fn a_wait_has_an_end() {
        let hands = ManualClock::new();
        let slow = GlobalTokenBucket::with_clock("b", 1, secs(100), hands.clock());
        let (mut paced, _) = words(&slow, secs(10));
        paced.next().await.unwrap().unwrap();
        assert!(is_pending(&mut paced));
        hands.advance(secs(10));
        assert_eq!(paced.next().await.unwrap().unwrap_err().status(), 503);
        assert!(paced.next().await.is_none());
        let never = GlobalTokenBucket::with_clock("b", 0, secs(1), hands.clock());
        let (mut paced, _) = words(&never, secs(10));
        assert_eq!(paced.next().await.unwrap().unwrap_err().status(), 503, "at once");
    }
}
