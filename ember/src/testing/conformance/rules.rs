//! The rules, each with the scenario that it needs.

use super::scenario::{Scenario, Subject};
use crate::llm::tool::ParameterSchema;
use crate::llm::{
    ChatEvent, ChatRequest, ChatResponse, Error, ErrorKind, FinishReason, Message, Provider, Tool,
    ToolResult,
};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// A rule at work: it is kept, cannot be put to the test, or is broken in the way that is told.
type Checking = Pin<Box<dyn Future<Output = Result<bool, String>>>>;

type Rule<P> = Box<dyn Fn(Subject<P>) -> Checking>;

/// How long anything may take: a provider that waits for ever breaks a rule, too.
const PATIENCE: Duration = Duration::from_secs(20);

const TEXT: &str = "The quick brown fox jumps over the lazy dog.";

const CALLS: &[(&str, &str)] =
    &[("look_up", r#"{"key":"ä \"b\"","n":1}"#), ("look_up", r#"{"key":"c","n":2}"#)];

const FAILURES: [(ErrorKind, &str); 5] = [
    (ErrorKind::RateLimit, "a rate limit is told as one"),
    (ErrorKind::Auth, "a wrong key is told as one"),
    (ErrorKind::InvalidRequest, "a wrong request is told as one"),
    (ErrorKind::Server, "a failure of the service is told as one"),
    (ErrorKind::Overloaded, "a service with too much to do is told as one"),
];

/// Every rule with its scenario and its name.
pub(super) fn all<P: Provider>() -> Vec<(Scenario, &'static str, Rule<P>)> {
    let mut rules: Vec<(Scenario, &'static str, Rule<P>)> = vec![
        (
            Scenario::Text(TEXT),
            "a provider has a name",
            Box::new(|subject| Box::pin(name(subject))),
        ),
        (
            Scenario::Text(TEXT),
            "a text is the same both ways",
            Box::new(|subject| Box::pin(text(subject))),
        ),
        (
            Scenario::Text(TEXT),
            "a stream ends once",
            Box::new(|subject| Box::pin(ends_once(subject))),
        ),
        (
            Scenario::Text(TEXT),
            "a stream comes in pieces",
            Box::new(|subject| Box::pin(in_pieces(subject))),
        ),
        (
            Scenario::Text(TEXT),
            "usage is told as a whole, not in parts",
            Box::new(|subject| Box::pin(usage(subject))),
        ),
        (
            Scenario::Text(TEXT),
            "a conversation with tools is accepted",
            Box::new(|subject| Box::pin(with_tools(subject))),
        ),
        (
            Scenario::Cut(TEXT),
            "an answer that is cut is told as one",
            Box::new(|subject| Box::pin(cut(subject))),
        ),
        (
            Scenario::ToolCalls(&CALLS[..1]),
            "a call is the same both ways",
            Box::new(|subject| Box::pin(calls(subject, 1))),
        ),
        (
            Scenario::ToolCalls(CALLS),
            "calls of one turn are kept apart",
            Box::new(|subject| Box::pin(calls(subject, 2))),
        ),
        (
            Scenario::Broken(TEXT),
            "an answer that breaks is never complete",
            Box::new(|subject| Box::pin(breaks(subject))),
        ),
        (
            Scenario::BrokenCall,
            "a call that breaks is never complete",
            Box::new(|subject| Box::pin(breaks(subject))),
        ),
        (
            Scenario::Silence(TEXT),
            "dropping a stream closes the connection",
            Box::new(|subject| Box::pin(closes(subject, true))),
        ),
        (
            Scenario::Silence(TEXT),
            "dropping a call closes the connection",
            Box::new(|subject| Box::pin(closes(subject, false))),
        ),
    ];
    rules.extend(FAILURES.map(|(kind, name)| -> (Scenario, &'static str, Rule<P>) {
        (Scenario::Failure(kind), name, Box::new(move |subject| Box::pin(fails(subject, kind))))
    }));
    rules
}

async fn name<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    must(!subject.provider.name().trim().is_empty(), || "its name is empty".to_owned())
}

async fn text<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let (whole, folded) = both(&subject.provider, &"Hello".into()).await?;
    let (whole, folded) = (good(whole, "chat")?, good(folded, "stream")?);
    same(&whole, &folded)?;
    must(whole.text() == TEXT, || format!("the text is {:?}", whole.text()))?;
    must(whole.finish.reason == FinishReason::Stop, || format!("it ends by {:?}", whole.finish))
}

async fn ends_once<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let mut stream = good(in_time(subject.provider.stream(&"Hello".into())).await?, "stream")?;
    loop {
        match in_time(stream.next()).await? {
            Some(Ok(ChatEvent::Finish(_))) => break,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(format!("it ends in an error: {error}")),
            None => return Err("it ends without a finish".to_owned()),
        }
    }
    must(in_time(stream.next()).await?.is_none(), || "something follows the finish".to_owned())
}

/// A service that knows no streams may well be answered for in one piece, which the report tells.
async fn in_pieces<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let mut stream = good(in_time(subject.provider.stream(&"Hello".into())).await?, "stream")?;
    let mut pieces = 0;
    while let Some(event) = in_time(stream.next()).await? {
        if let ChatEvent::Text(piece) = good(event, "stream")? {
            pieces += usize::from(!piece.is_empty());
        }
    }
    Ok(pieces > 1)
}

async fn usage<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let mut stream = good(in_time(subject.provider.stream(&"Hello".into())).await?, "stream")?;
    let (mut last, mut told) = ((0, 0), None);
    while let Some(event) = in_time(stream.next()).await? {
        if let ChatEvent::Usage(usage) = good(event, "stream")? {
            let now = (usage.total_input(), usage.total_output());
            must(now.1 >= last.1, || format!("{now:?} tokens follow on {last:?}"))?;
            (last, told) = (now, Some(usage));
        }
    }
    if told.is_none() {
        return Ok(false);
    }
    let (whole, folded) = both(&subject.provider, &"Hello".into()).await?;
    let (whole, folded) = (good(whole, "chat")?.usage, good(folded, "stream")?.usage);
    must(whole == folded, || format!("at once {whole:?}, as a stream {folded:?}"))
}

async fn with_tools<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let call = crate::llm::ToolCall::new("call_1", CALLS[0].0, CALLS[0].1);
    let turn =
        Message::new(crate::llm::Role::Assistant, [crate::llm::Part::ToolCall(call.clone())]);
    let results = Message::tool_results([ToolResult::new(&call, "7")]);
    let history = [Message::system("Be kind."), Message::user("Hello"), turn, results];
    let request = ChatRequest::new(history).tool(look_up()?);
    let (whole, folded) = both(&subject.provider, &request).await?;
    same(&good(whole, "chat")?, &good(folded, "stream")?)?;
    Ok(true)
}

async fn cut<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let (whole, folded) = both(&subject.provider, &"Hello".into()).await?;
    let (whole, folded) = (good(whole, "chat")?, good(folded, "stream")?);
    same(&whole, &folded)?;
    must(whole.finish.reason == FinishReason::Length, || format!("it ends by {:?}", whole.finish))
}

async fn calls<P: Provider>(subject: Subject<P>, count: usize) -> Result<bool, String> {
    let request = ChatRequest::from("Look up.").tool(look_up()?);
    let (whole, folded) = both(&subject.provider, &request).await?;
    for response in [good(whole, "chat")?, good(folded, "stream")?] {
        let calls: Vec<_> = response.tool_calls().collect();
        must(calls.len() == count, || format!("{} calls came of {count}", calls.len()))?;
        for (call, (name, arguments)) in calls.iter().zip(CALLS) {
            let wanted: serde_json::Value = good(serde_json::from_str(arguments), "our own")?;
            let given = call.parse().map_err(|error| format!("{}: {error}", call.arguments))?;
            must(call.name == *name && given == wanted, || format!("{} got {given}", call.name))?;
            must(!call.id.is_empty(), || "a call has no id".to_owned())?;
        }
        let alike = calls
            .iter()
            .enumerate()
            .any(|(index, call)| calls[..index].iter().any(|earlier| earlier.id == call.id));
        must(!alike, || "two calls have one id".to_owned())?;
        let reason = &response.finish.reason;
        must(*reason == FinishReason::ToolCalls, || format!("the turn ends by {reason:?}"))?;
    }
    Ok(true)
}

async fn fails<P: Provider>(subject: Subject<P>, kind: ErrorKind) -> Result<bool, String> {
    let (whole, folded) = both(&subject.provider, &"Hello".into()).await?;
    for (way, outcome) in [("chat", whole), ("stream", folded)] {
        match outcome {
            Ok(_) => return Err(format!("`{way}` answers")),
            Err(error) => {
                must(error.kind() == kind, || {
                    format!("`{way}` tells {:?}: {error}", error.kind())
                })?;
                must(error.provider().is_some(), || format!("`{way}` names no provider"))?;
            }
        }
    }
    Ok(true)
}

async fn breaks<P: Provider>(subject: Subject<P>) -> Result<bool, String> {
    let request = ChatRequest::from("Hello").tool(look_up()?);
    let (whole, folded) = both(&subject.provider, &request).await?;
    for (way, outcome) in [("chat", whole), ("stream", folded)] {
        match outcome {
            Ok(response) => return Err(format!("`{way}` answers with {:?}", response.finish)),
            Err(error) => {
                let kinds = [ErrorKind::Truncated, ErrorKind::Transport, ErrorKind::Decode];
                must(kinds.contains(&error.kind()), || {
                    format!("`{way}` tells {:?}: {error}", error.kind())
                })?;
            }
        }
    }
    Ok(true)
}

async fn closes<P: Provider>(subject: Subject<P>, streamed: bool) -> Result<bool, String> {
    let Subject { provider, closed: Some(closed) } = subject else { return Ok(false) };
    let request = ChatRequest::from("Hello");
    if streamed {
        let mut stream = good(in_time(provider.stream(&request)).await?, "stream")?;
        loop {
            match in_time(stream.next()).await? {
                Some(Ok(ChatEvent::Text(_))) => break,
                Some(Ok(_)) => {}
                other => return Err(format!("no text came, but {other:?}")),
            }
        }
    } else {
        // Long enough for the request to be on its way.
        let _ = timeout(Duration::from_millis(500), provider.chat(&request)).await;
    }
    // The provider lives on: it is the answer that was dropped.
    in_time(closed).await.map_err(|_| "the connection stays open".to_owned())?;
    drop(provider);
    Ok(true)
}

/// Asks both ways.
async fn both<P: Provider>(
    provider: &P,
    request: &ChatRequest,
) -> Result<(Result<ChatResponse, Error>, Result<ChatResponse, Error>), String> {
    let whole = in_time(provider.chat(request)).await?;
    let folded = in_time(async { provider.stream(request).await?.collect().await }).await?;
    Ok((whole, folded))
}

/// Compares what is the answer's own: two answers of a service may have different ids.
fn same(whole: &ChatResponse, folded: &ChatResponse) -> Result<bool, String> {
    let (a, b) = (&whole.message, &folded.message);
    must(a == b, || format!("at once {a:?}, as a stream {b:?}"))?;
    let (a, b) = (&whole.finish.reason, &folded.finish.reason);
    must(a == b, || format!("at once it ends by {a:?}, as a stream by {b:?}"))?;
    let (a, b) = (&whole.dropped, &folded.dropped);
    must(a == b, || format!("at once {a:?} was left out, as a stream {b:?}"))
}

fn look_up() -> Result<Tool, String> {
    let parameters = ParameterSchema::object([
        ParameterSchema::new("key", "string", "What to look up."),
        ParameterSchema::new("n", "integer", "How many."),
    ]);
    good(Tool::declared(CALLS[0].0, "Looks something up.", parameters), "our own")
}

fn good<T, E: std::fmt::Display>(outcome: Result<T, E>, way: &str) -> Result<T, String> {
    outcome.map_err(|error| format!("`{way}` fails: {error}"))
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, String> {
    timeout(PATIENCE, work).await.map_err(|_| format!("nothing came for {PATIENCE:?}"))
}

fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<bool, String> {
    if holds { Ok(true) } else { Err(otherwise()) }
}
