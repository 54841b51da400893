use super::adapter::{Adapter, CallIds, EventDecoder};
use super::chat::{ChatRequest, ChatResponse, Dropped};
use super::error::{Error, ErrorKind};
use super::origin::{Origin, Outgoing};
use super::provider::{Provider, ProviderConfig, ProviderDescriptor, Timeouts};
use super::stream::{ChatEvent, ChatStream};
use super::transport::{ANSWER_LIMIT, Transport, WireBody, late, too_large};
use crate::base::sse::{Decoder, Frame};
use futures_core::Stream;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

/// A provider that is reached over HTTP, through the adapter for its interface.
pub struct HttpProvider<A> {
    adapter: A,
    transport: Transport,
    /// Of requests whose answer arrives whole.
    whole: Origin,
    /// Of those whose answer is streamed.
    streamed: Origin,
    model: String,
    timeouts: Timeouts,
}

impl<A: Adapter> HttpProvider<A> {
    /// A provider at an address, which a path such as `/chat/completions` is appended to.
    ///
    /// # Errors
    /// When the address is none of HTTP, or the key cannot stand in a header.
    pub fn new(adapter: A, base_url: &str, config: &ProviderConfig) -> Result<Self, Error> {
        let mut headers = adapter.headers();
        if let Some(key) = &config.api_key {
            headers.extend(adapter.authorize(key)?);
        }
        let origin = |accept: &'static str| {
            let mut headers = headers.clone();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            Origin::new(config.base_url.as_deref().unwrap_or(base_url), headers)
        };
        let (whole, streamed) = (origin("application/json")?, origin("text/event-stream")?);
        let (model, timeouts) = (config.model.clone(), config.timeouts);
        let transport = Transport::new(timeouts)?;
        Ok(Self { adapter, transport, whole, streamed, model, timeouts })
    }

    fn request(
        &self,
        request: &ChatRequest,
        stream: bool,
    ) -> Result<(Outgoing, Vec<Dropped>), Error> {
        let model = request.model.as_deref().unwrap_or(&self.model);
        if model.is_empty() {
            let told = ProviderDescriptor::no_model(self.adapter.name());
            let message = format!("{told} or `.model(…)` of the request");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let encoded = self.adapter.encode(request, model, stream)?;
        let origin = if stream { &self.streamed } else { &self.whole };
        Ok((origin.post(&encoded.path, encoded.body)?, encoded.dropped))
    }

    /// What an answer whose status tells of a failure means.
    fn failure(&self, head: &http::response::Parts, body: &[u8]) -> Error {
        let error = self.adapter.failure(head.status.as_u16(), &head.headers, body);
        // OpenAI and Anthropic send it, and their own clients let it decide.
        match head.headers.get("x-should-retry").map(HeaderValue::as_bytes) {
            Some(b"true") => error.with_should_retry(true),
            Some(b"false") => error.with_should_retry(false),
            _ => error,
        }
    }

    async fn try_chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let ids = CallIds::of(request);
        let (request, dropped) = self.request(request, false)?;
        let (head, body) = self.transport.exchange(request).await?.into_parts();
        if !head.status.is_success() {
            return Err(self.failure(&head, &body));
        }
        let mut response = self.adapter.decode(&body, ids)?;
        response.dropped = dropped;
        Ok(response)
    }

    async fn try_stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        let deadline = Instant::now().checked_add(self.timeouts.total);
        let ids = CallIds::of(request);
        let (request, dropped) = self.request(request, true)?;
        let (head, body) = self.transport.open(request).await?.into_parts();
        if !head.status.is_success() {
            let body = body.collect_failure(deadline).await?;
            return Err(self.failure(&head, &body));
        }
        if is_json(&head.headers) {
            // A server that does not stream answers all at once.
            let body = body.collect(deadline, self.timeouts.total).await?;
            let mut response = self.adapter.decode(&body, ids)?;
            response.dropped = dropped;
            return Ok(response.into_stream());
        }
        Ok(ChatStream::new(EventStream {
            body: Some(body),
            left: ANSWER_LIMIT,
            frames: Decoder::new(),
            decoder: self.adapter.decoder(ids),
            ready: dropped.into_iter().map(ChatEvent::Dropped).collect(),
            failure: None,
            ended: false,
            patience: Patience::new(self.timeouts, deadline),
            provider: self.adapter.name().to_owned(),
        }))
    }
}

impl<A: Adapter> Provider for HttpProvider<A> {
    fn name(&self) -> &str {
        self.adapter.name()
    }

    async fn chat(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        self.try_chat(request).await.map_err(|error| error.with_provider(self.adapter.name()))
    }

    async fn stream(&self, request: &ChatRequest) -> Result<ChatStream, Error> {
        self.try_stream(request).await.map_err(|error| error.with_provider(self.adapter.name()))
    }
}

impl<A: fmt::Debug> fmt::Debug for HttpProvider<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider")
            .field("adapter", &self.adapter)
            .field("base_url", &self.whole)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.trim_start().to_ascii_lowercase().starts_with("application/json")
}

/// The events of a streamed answer, from bytes to vocabulary.
struct EventStream<D> {
    /// Until the answer is complete.
    body: Option<WireBody>,
    /// How many bytes may come yet.
    left: usize,
    frames: Decoder,
    decoder: D,
    /// Events that one read has brought and nobody has taken yet.
    ready: VecDeque<ChatEvent>,
    /// How the stream broke, to be told after what is ready.
    failure: Option<Error>,
    ended: bool,
    patience: Patience,
    provider: String,
}

impl<D: EventDecoder> Stream for EventStream<D> {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if matches!(event, ChatEvent::Finish(_)) {
                    self.release();
                }
                return Poll::Ready(Some(Ok(event)));
            }
            if let Some(error) = self.failure.take() {
                return Poll::Ready(Some(Err(error.with_provider(&self.provider))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match body.poll_data(context) {
                Poll::Ready(Some(Ok(bytes))) => match self.patience.note_bytes() {
                    Ok(()) => self.read(&bytes),
                    Err(error) => self.end(Err(error)),
                },
                Poll::Ready(Some(Err(error))) => self.end(Err(error)),
                Poll::Ready(None) => self.end(Ok(())),
                Poll::Pending => {
                    let complete = self.decoder.is_complete();
                    let error = ready!(self.patience.poll(complete, context));
                    self.end(Err(error));
                }
            }
        }
    }
}

impl<D: EventDecoder> EventStream<D> {
    fn read(&mut self, bytes: &[u8]) {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            return self.end(Err(too_large()));
        };
        self.left = left;
        let Self { frames, decoder, ready, failure, patience, .. } = self;
        let outcome = frames.decode(bytes, |frame| {
            let finished = matches!(ready.back(), Some(ChatEvent::Finish(_)));
            if let Frame::Event { data, .. } = frame
                && !finished
                && failure.is_none()
            {
                patience.note_event();
                *failure = decoder.event(data, ready).err();
            }
        });
        if let Err(error) = outcome {
            failure.get_or_insert_with(|| Error::new(ErrorKind::Decode, error.to_string()));
        }
        self.ended |=
            self.failure.is_some() || matches!(self.ready.back(), Some(ChatEvent::Finish(_)));
    }

    /// No more bytes will come. An answer that lacks nothing but formalities is complete.
    fn end(&mut self, outcome: Result<(), Error>) {
        self.ended = true;
        let frames = std::mem::take(&mut self.frames);
        self.failure = match outcome {
            Err(error) if !self.decoder.is_complete() => Some(error),
            _ => self.decoder.end(frames.finish().as_deref(), &mut self.ready).err(),
        };
    }

    /// Lets the last bytes arrive, so that the connection can be used again.
    fn release(&mut self) {
        if let Some(body) = self.body.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(body.drain(FORMALITIES));
        }
    }
}

/// How long the stream may still be silent.
struct Patience {
    timeouts: Timeouts,
    /// When the whole exchange must be over; `None` if that is further away than time goes.
    deadline: Option<Instant>,
    last: Instant,
    begun: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

/// How long formalities may take after a complete answer.
const FORMALITIES: Duration = Duration::from_secs(2);

impl Patience {
    fn new(timeouts: Timeouts, deadline: Option<Instant>) -> Self {
        Self { timeouts, deadline, last: Instant::now(), begun: false, timer: None }
    }

    /// Bytes have come.
    ///
    /// # Errors
    /// When the whole exchange has taken too long: a service that never lets us wait must end as well.
    fn note_bytes(&mut self) -> Result<(), Error> {
        // One look at the clock for both, as bytes come often.
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(self.total_reached());
        }
        // Until the first event, only that counts: comments could keep a stream alive for ever.
        if self.begun {
            self.last = now;
        }
        Ok(())
    }

    fn note_event(&mut self) {
        if !self.begun {
            self.begun = true;
            self.last = Instant::now();
        }
    }

    fn total_reached(&self) -> Error {
        late(self.timeouts.total, "the end of the answer")
    }

    /// Is ready with an error when the time is up.
    fn poll(&mut self, complete: bool, context: &mut Context<'_>) -> Poll<Error> {
        let (limit, what) = match (complete, self.begun) {
            (true, _) => (FORMALITIES, "the end of the stream"),
            (false, true) => (self.timeouts.gap, "the next event"),
            (false, false) => (self.timeouts.first_event, "the first event"),
        };
        let silent = self.last.checked_add(limit);
        let Some(due) = [silent, self.deadline].into_iter().flatten().min() else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(context));
        // Every event puts the end off. A timer that is set for an earlier one is set anew when it
        // fires, and not as often as events come.
        while timer.deadline() < due {
            timer.as_mut().reset(due);
            ready!(timer.as_mut().poll(context));
        }
        Poll::Ready(match Some(due) == self.deadline {
            true => self.total_reached(),
            false => late(limit, what),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells the data of events as text.
    struct Echo;

    impl EventDecoder for Echo {
        fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
            out.push_back(ChatEvent::Text(data.to_owned()));
            Ok(())
        }

        fn is_complete(&self) -> bool {
            false
        }

        fn end(&mut self, _: Option<&str>, _: &mut VecDeque<ChatEvent>) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_is_no_larger_than_an_answer_may_be() {
        let event = b"data: a\n\n";
        let mut stream = EventStream {
            body: None,
            left: 2 * event.len(),
            frames: Decoder::new(),
            decoder: Echo,
            ready: VecDeque::new(),
            failure: None,
            ended: false,
            patience: Patience::new(Timeouts::default(), None),
            provider: "test".to_owned(),
        };
        stream.read(event);
        stream.read(event);
        assert!(stream.failure.is_none() && !stream.ended);
        stream.read(b":");
        let error = stream.failure.unwrap();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert_eq!(error.message(), "the answer is larger than 67108864 bytes");
        assert!(stream.ended);
        assert_eq!(stream.ready.len(), 2, "what has come is told before");
    }
}
