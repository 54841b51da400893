//! The moments of a client, and the spans of the same moments.

use ember::Env;
use ember::llm::events::{
    EventBus, RequestComplete, RequestError, RequestStart, StreamChunk, StreamComplete,
    StreamError, StreamStart, ToolComplete, ToolFailed, ToolStart,
};
use ember::llm::{ChatRequest, Client, ErrorKind, FakeProvider, FakeReply, Tool, Usage};
use ember::prelude::*;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// Adds two numbers.
#[tool]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// Fails.
#[tool]
async fn fail() -> Result<String, ToolError> {
    Err(ToolError::new("out of order"))
}

fn client(replies: impl IntoIterator<Item = FakeReply>, bus: &EventBus) -> Client {
    let fake = replies.into_iter().fold(FakeProvider::new(), FakeProvider::reply);
    let builder = Client::builder().provider(fake).events(bus.clone()).without_retry();
    builder.env(Env::of::<&str, &str>([])).build().unwrap()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Listens to everything.
    fn of(bus: &EventBus) -> Self {
        let log = Self::default();
        macro_rules! listen {
            ($($event:ident, |$name:ident| $text:expr;)*) => {$({
                let log = log.clone();
                let _ = bus.on(move |$name: &$event| log.note($text));
            })*};
        }
        listen! {
            RequestStart, |event| format!("request.start {}", event.request.messages.len());
            RequestComplete, |event| format!("request.complete {:?}", event.response.text());
            RequestError, |event| format!("request.error {:?}", event.error.kind());
            StreamStart, |event| format!("stream.start {}", event.request.messages.len());
            StreamChunk, |event| format!("stream.chunk {} {:?}", event.index, event.text);
            StreamComplete, |event| format!("stream.complete {} {:?}", event.chunks, event.response.text());
            StreamError, |event| format!("stream.error {} {:?}", event.chunks, event.error.kind());
            ToolStart, |event| format!("tool.start {}", event.call.name);
            ToolComplete, |event| format!("tool.complete {}", event.result.content);
            ToolFailed, |event| format!("tool.error {}", event.result.content);
        }
        log
    }
}

#[tokio::test]
async fn a_request_starts_and_completes() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    let durations = Arc::new(Mutex::new(Vec::new()));
    let seen = durations.clone();
    let _ = bus.on(move |event: &RequestComplete| {
        seen.lock().unwrap().push((event.duration, event.response.usage))
    });
    let client = client([FakeReply::new().text("Hello")], &bus);
    client.ask("Hi").await.unwrap();
    assert_eq!(log.take(), ["request.start 1", "request.complete \"Hello\""]);
    let durations = durations.lock().unwrap();
    assert!(matches!(durations[..], [(duration, Some(_))] if duration < secs(60)));
}

#[tokio::test]
async fn an_error_is_told_and_returned() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    let client = client([FakeReply::error(ErrorKind::Auth, "no")], &bus);
    assert_eq!(client.ask("Hi").await.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(log.take(), ["request.start 1", "request.error Auth"]);
}

#[tokio::test]
async fn a_subscriber_of_the_client_is_awaited_and_can_be_taken_off() {
    let client = client([FakeReply::new().text("a"), FakeReply::new().text("b")], &EventBus::new());
    let log = Log::default();
    let slow = log.clone();
    let first = client
        .on_async(move |event: Arc<RequestComplete>| {
            let slow = slow.clone();
            async move {
                tokio::task::yield_now().await;
                slow.note(event.response.text());
            }
        })
        .unwrap();
    let second = log.clone();
    let _ = client.on(move |_: &RequestComplete| second.note("second")).unwrap();
    client.ask("Hi").await.unwrap();
    assert_eq!(log.take(), ["a", "second"]);
    assert!(client.off(first) && !client.off(first));
    client.ask("Hi").await.unwrap();
    assert_eq!(log.take(), ["second"]);
}

#[tokio::test]
async fn a_subscriber_that_breaks_does_not_break_the_request() {
    let bus = EventBus::new();
    let _ = bus.on(|_: &RequestStart| assert_eq!(1, 2, "broken"));
    let _ = bus.on(|_: &RequestComplete| Err::<(), _>("broken"));
    let _ = bus.on(|_: &StreamChunk| assert_eq!(1, 2, "broken"));
    let log = Log::of(&bus);
    let client = client([FakeReply::new().text("a"), FakeReply::new().text("b")], &bus);
    assert_eq!(client.ask("Hi").await.unwrap(), "a");
    assert_eq!(client.stream("Hi").await.unwrap().collect().await.unwrap().text(), "b");
    let expected = [
        "request.start 1",
        "request.complete \"a\"",
        "stream.start 1",
        "stream.chunk 0 \"b\"",
        "stream.complete 1 \"b\"",
    ];
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn a_stream_is_told_piece_by_piece() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    let client = client([FakeReply::new().text("a b")], &bus);
    client.stream("Hi").await.unwrap().collect().await.unwrap();
    let expected = [
        "stream.start 1",
        "stream.chunk 0 \"a \"",
        "stream.chunk 1 \"b\"",
        "stream.complete 2 \"a b\"",
    ];
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn a_stream_that_fails_is_told_with_the_number_of_pieces() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    let broken = FakeReply::new().text("a b c").fail_after(2, ErrorKind::Transport, "reset");
    let client = client([broken, FakeReply::error(ErrorKind::Overloaded, "busy")], &bus);
    client.stream("Hi").await.unwrap().collect().await.unwrap_err();
    assert_eq!(log.take().last().unwrap(), "stream.error 2 Transport");
    client.stream("Hi").await.unwrap_err();
    assert_eq!(log.take(), ["stream.start 1", "stream.error 0 Overloaded"]);
}

fn calls() -> [FakeReply; 2] {
    let calls = FakeReply::new().text("Let me see. ").tool_call("add", json!({"a": 1, "b": 2}));
    [calls.tool_call("fail", json!({})), FakeReply::new().text("3.")]
}

fn with_tools() -> ChatRequest {
    ChatRequest::from("1 + 2?").tools([Tool::from(add {}), Tool::from(fail {})])
}

#[tokio::test]
async fn tools_are_told_and_a_failing_one_is_no_end() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    let answer = client(calls(), &bus).complete(with_tools()).await.unwrap();
    assert_eq!(answer.text(), "3.");
    let mut told = log.take();
    // The two run at the same time.
    told[2..6].sort();
    let expected = [
        "request.start 1",
        "request.complete \"Let me see. \"",
        "tool.complete 3",
        "tool.error out of order",
        "tool.start add",
        "tool.start fail",
        "request.start 3",
        "request.complete \"3.\"",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_streamed_loop_starts_and_completes_once_and_calls_are_no_pieces() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    client(calls(), &bus).stream(with_tools()).await.unwrap().collect().await.unwrap();
    let mut told = log.take();
    told[4..8].sort();
    let expected = [
        "stream.start 1",
        "stream.chunk 0 \"Let \"",
        "stream.chunk 1 \"me \"",
        "stream.chunk 2 \"see. \"",
        "tool.complete 3",
        "tool.error out of order",
        "tool.start add",
        "tool.start fail",
        "stream.chunk 3 \"3.\"",
        "stream.complete 4 \"3.\"",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn one_bus_serves_several_clients() {
    let bus = EventBus::new();
    let log = Log::of(&bus);
    for text in ["a", "b"] {
        client([FakeReply::new().text(text)], &bus).ask("Hi").await.unwrap();
    }
    let expected =
        ["request.start 1", "request.complete \"a\"", "request.start 1", "request.complete \"b\""];
    assert_eq!(log.take(), expected);
}

/// How many allocations some work makes.
fn allocations(client: &Client, request: &ChatRequest, streamed: bool) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let work = || {
        runtime.block_on(async {
            match streamed {
                true => {
                    drop(client.stream(request.clone()).await.unwrap().collect().await.unwrap())
                }
                false => drop(client.complete(request.clone()).await.unwrap()),
            }
        });
    };
    // The first call fills what is filled once.
    work();
    allocation_counter::measure(work).count_total
}

#[test]
fn nothing_is_allocated_when_nobody_listens() {
    let respond = || {
        FakeProvider::new().respond(|request| match request.messages.len() {
            1 => FakeReply::new().text("Let me see. ").tool_call("add", json!({"a": 1, "b": 2})),
            _ => FakeReply::new().text("a b c d"),
        })
    };
    let builder = || Client::builder().provider(respond()).env(Env::of::<&str, &str>([]));
    let silent = builder().without_events().build().unwrap();
    let (bus, other) = (EventBus::new(), EventBus::new());
    let unheard = builder().events(bus).build().unwrap();
    let heard = builder().events(other.clone()).build().unwrap();
    let _log = Log::of(&other);
    for streamed in [false, true] {
        let request = ChatRequest::from("Hi").tool(add {});
        let count = |client| allocations(client, &request, streamed);
        assert_eq!(count(&silent), count(&unheard));
        assert!(count(&heard) > count(&silent), "the counter counts");
    }
}

/// What a client writes to the log, with the spans around it.
async fn spans(env: &[(&str, &str)]) -> Vec<String> {
    let seen = Log::default();
    let collector = Collector { log: seen.clone(), next: Arc::default() };
    let reply = FakeReply::new().tool_call("add", json!({"a": 1, "b": 2}));
    let usage = Usage::new(10, 5);
    let fake = [
        reply,
        FakeReply::new().text("It is secret.").usage(usage),
        FakeReply::error(ErrorKind::Auth, "x"),
    ]
    .into_iter()
    .fold(FakeProvider::new(), FakeProvider::reply);
    let client =
        Client::builder().provider(fake).env(Env::of(env.iter().copied())).build().unwrap();
    let work = async {
        let request = ChatRequest::from("1 + 2?").model("gpt-x").temperature(0.5).tool(add {});
        client.stream(request).await.unwrap().collect().await.unwrap();
        client.ask("Hi").await.unwrap_err();
    };
    let guard = tracing::subscriber::set_default(collector);
    work.await;
    drop(guard);
    seen.take()
}

#[tokio::test]
async fn spans_follow_the_conventions_and_hold_no_content() {
    let seen = spans(&[]).await;
    let has = |line: &str| assert!(seen.iter().any(|seen| seen == line), "{line} in {seen:#?}");
    for line in [
        "1 chat",
        "1 otel.name=chat gpt-x",
        "1 otel.kind=client",
        "1 gen_ai.operation.name=chat",
        "1 gen_ai.provider.name=fake",
        "1 gen_ai.request.model=gpt-x",
        "1 gen_ai.request.temperature=0.5",
        "1 gen_ai.request.stream=true",
        "1 gen_ai.response.id=fake-1",
        "1 gen_ai.response.finish_reasons=[\"tool_call\"]",
        "2 execute_tool",
        "2 otel.name=execute_tool add",
        "2 gen_ai.tool.name=add",
        "2 gen_ai.tool.call.id=call_1",
        "2 gen_ai.tool.type=function",
        "3 chat",
        "3 gen_ai.response.model=gpt-x",
        "3 gen_ai.usage.input_tokens=10",
        "3 gen_ai.usage.output_tokens=5",
        "4 gen_ai.request.stream=false",
        "4 error.type=Auth",
        "4 otel.status_code=ERROR",
    ] {
        has(line);
    }
    assert!(seen.iter().any(|line| line.starts_with("3 gen_ai.response.time_to_first_chunk=")));
    assert!(
        !seen.iter().any(|line| line.contains("secret") || line.contains("1 + 2")),
        "{seen:#?}"
    );
}

#[tokio::test]
async fn spans_hold_content_where_it_is_asked_for() {
    let seen = spans(&[("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")]).await;
    let all = seen.join("\n");
    assert!(all.contains(
        r#"1 gen_ai.input.messages=[{"role":"user","parts":[{"type":"text","content":"1 + 2?"}]}]"#
    ));
    assert!(all.contains(r#"2 gen_ai.tool.call.result=3"#));
    assert!(
        all.contains(r#""content":"It is secret.""#) && all.contains("gen_ai.tool.definitions")
    );
}

/// Writes down every span and its fields.
struct Collector {
    log: Log,
    next: Arc<std::sync::atomic::AtomicU64>,
}

struct Fields<'a>(&'a Log, u64);

impl tracing::field::Visit for Fields<'_> {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.note(format!("{} {}={value}", self.1, field.name()));
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.note(format!("{} {}={value:?}", self.1, field.name()));
    }
}

impl tracing::Subscriber for Collector {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "ember::llm"
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        self.log.note(format!("{id} {}", span.metadata().name()));
        span.record(&mut Fields(&self.log, id));
        tracing::span::Id::from_u64(id)
    }

    fn record(&self, span: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Fields(&self.log, span.into_u64()));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
