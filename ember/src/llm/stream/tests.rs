//! Streams, what is put together of them, and what they are made of.

use super::watch::Watch;
use super::whole::events_of;
use super::{Accumulator, ChatEvent, ChatStream};
use crate::llm::chat::{Cached, ChatResponse, Dropped, FinishReason};
use crate::llm::error::{Error, ErrorKind};
use crate::llm::message::{
    Message, Opaque, Part, Reasoning, Role, Signature, Text, ToolCall, ToolResult,
};
use crate::llm::usage::Usage;
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn text(piece: &str) -> Result<ChatEvent, Error> {
    Ok(ChatEvent::Text(piece.to_owned()))
}

fn finish(reason: FinishReason) -> Result<ChatEvent, Error> {
    Ok(ChatEvent::Finish(reason.into()))
}

async fn all(events: Vec<Result<ChatEvent, Error>>) -> Vec<Result<ChatEvent, ErrorKind>> {
    let stream = ChatStream::new(stream::iter(events));
    stream.map(|item| item.map_err(|error| error.kind())).collect().await
}

#[tokio::test]
async fn a_stream_ends_in_exactly_one_way() {
    let stop = ChatEvent::Finish(FinishReason::Stop.into());
    assert_eq!(all(vec![finish(FinishReason::Stop), text("late")]).await, [Ok(stop)]);
    let cut = all(vec![text("a")]).await;
    assert_eq!(cut, [Ok(ChatEvent::Text("a".into())), Err(ErrorKind::Truncated)]);
    let broken = vec![Err(Error::new(ErrorKind::Transport, "reset")), finish(FinishReason::Stop)];
    assert_eq!(all(broken).await, [Err(ErrorKind::Transport)]);
}

/// Counts what passes.
struct Count(Arc<AtomicUsize>);

impl Watch for Count {
    fn look(&mut self, _: &Result<ChatEvent, Error>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[tokio::test]
async fn whoever_looks_sees_each_event_once() {
    let counts = [(); 4].map(|()| Arc::new(AtomicUsize::new(0)));
    let [of_inner, of_outer, of_failed, of_ended] = counts.clone().map(Count);
    let events = vec![text("a"), text("b"), finish(FinishReason::Stop)];
    let mut inner = ChatStream::new(stream::iter(events)).watched(of_inner);
    let opening = async move {
        let first = inner.next().await.transpose()?;
        Ok((first.into_iter().collect(), inner))
    };
    let outer = ChatStream::opening(opening).watched(of_outer);
    assert_eq!(outer.collect().await.unwrap().text(), "ab");
    let fails = async { Err(Error::new(ErrorKind::Transport, "reset")) };
    let failed = ChatStream::opening(fails).watched(of_failed).collect().await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Transport);
    let mut ended = ChatStream::new(stream::iter([finish(FinishReason::Stop)]));
    assert!(ended.next().await.is_some() && ended.next().await.is_none());
    let ended = ended.watched(of_ended).collect().await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Truncated);
    assert_eq!(counts.map(|count| count.load(Relaxed)), [3, 3, 1, 1]);
}

#[tokio::test]
async fn pieces_of_a_kind_make_one_part() {
    let signature = Some(Signature::new("x", "s"));
    let events = vec![
        Ok(ChatEvent::Reasoning("h".into())),
        Ok(ChatEvent::Reasoning("m".into())),
        Ok(ChatEvent::PartEnd { signature: signature.clone() }),
        text("a"),
        text("b"),
        Ok(ChatEvent::PartEnd { signature: None }),
        text("c"),
        Ok(ChatEvent::ToolCallStart {
            index: 0,
            id: "1".into(),
            name: "f".into(),
            signature: None,
        }),
        Ok(ChatEvent::ToolCallStart {
            index: 1,
            id: "2".into(),
            name: "g".into(),
            signature: None,
        }),
        Ok(ChatEvent::ToolCallDelta { index: 0, arguments: "{\"a\"".into() }),
        Ok(ChatEvent::ToolCallDelta { index: 1, arguments: "{}".into() }),
        Ok(ChatEvent::ToolCallDelta { index: 0, arguments: ":1}".into() }),
        finish(FinishReason::ToolCalls),
    ];
    let response = ChatStream::new(stream::iter(events)).collect().await.unwrap();
    assert_eq!(
        response.message.content,
        [
            Part::Reasoning(Reasoning { text: "hm".into(), signature }),
            Part::text("ab"),
            Part::text("c"),
            Part::ToolCall(ToolCall::new("1", "f", "{\"a\":1}")),
            Part::ToolCall(ToolCall::new("2", "g", "{}")),
        ]
    );
}

#[tokio::test]
async fn calls_of_a_cut_turn_are_truncated() {
    let events = vec![
        Ok(ChatEvent::ToolCallStart {
            index: 0,
            id: "1".into(),
            name: "f".into(),
            signature: None,
        }),
        Ok(ChatEvent::ToolCallDelta { index: 0, arguments: "{}".into() }),
        finish(FinishReason::Length),
    ];
    let response = ChatStream::new(stream::iter(events)).collect().await.unwrap();
    assert_eq!(response.message.tool_calls().count(), 1);
    assert_eq!(response.tool_calls().count(), 0);
}

#[tokio::test]
async fn an_answer_survives_being_streamed() {
    let marked = Some(Signature::new("x", "s"));
    let mut cited = Text { text: "b".into(), signature: marked.clone(), ..Text::default() };
    cited.citations.push("page 7".into());
    let content = [
        Part::Reasoning(Reasoning { text: "hm".into(), signature: marked.clone() }),
        Part::text("a"),
        Part::ToolCall(ToolCall { signature: marked, ..ToolCall::new("3", "f", "{}") }),
        Part::Text(cited),
        Part::text("c"),
        Part::Refusal("No.".into()),
        Part::Opaque(Opaque::new("x", 7.into())),
    ];
    let mut response =
        ChatResponse::new(Message::new(Role::Assistant, content), FinishReason::Stop);
    response.usage = Some(Usage::new(3, 4));
    response.cached = Some(Cached::new(0.5, None));
    response.dropped.push(Dropped::new("seed", "why"));
    let calls = [ToolCall::new("1", "f", "{\"a\":1}"), ToolCall::new("2", "g", "")];
    let results = [ToolResult::new(&calls[0], "7"), ToolResult::error(&calls[1], "no")];
    let turn = [Part::text("hm")].into_iter().chain(calls.clone().map(Part::ToolCall));
    response.steps = vec![Message::new(Role::Assistant, turn), Message::tool_results(results)];
    let events = events_of(response.clone());
    // The calls are counted through, and by nothing else; those of a step that have run are told once more.
    let numbers = events.iter().filter_map(|event| match event {
        ChatEvent::ToolCallStart { index, .. } => Some(*index),
        _ => None,
    });
    assert!(numbers.eq(0..3));
    let run = events.iter().filter_map(|event| match event {
        ChatEvent::ToolRun(call) => Some(call),
        _ => None,
    });
    assert!(run.eq(&calls));
    let events = events.into_iter().map(Ok);
    assert_eq!(ChatStream::new(stream::iter(events)).collect().await.unwrap(), response);
    // An answer that was rejected, and the reason, are nothing that a stream tells.
    let told = response.clone();
    let rejected = [Message::assistant("{"), Message::user("That is no JSON.")];
    response.steps.splice(0..0, rejected);
    assert_eq!(response.into_stream().collect().await.unwrap(), told);
}

#[test]
fn an_answer_of_which_a_part_was_asked_for_is_not_a_cached_one() {
    for (first, second, cached) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let mut whole = Accumulator::new();
        let mark = || ChatEvent::Cached(Cached::new(1.0, None));
        let finish = || ChatEvent::Finish(FinishReason::Stop.into());
        for event in [first.then(mark), Some(ChatEvent::StepEnd), second.then(mark), Some(finish())]
        {
            event.iter().for_each(|event| whole.push(event));
        }
        assert_eq!(whole.finish().unwrap().cached.is_some(), cached, "{first} {second}");
    }
}
