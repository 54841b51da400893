//! A conversation in the form on which most providers insist.
//!
//! They want turns of the user and of the model to alternate, instructions apart, each call
//! answered by the turn that follows it and nothing answered that was not called. Histories that
//! were trimmed, that a user has put together, or that were begun with another provider, often
//! differ; what does not fit is left out, and listed.

use crate::llm::chat::Dropped;
#[cfg(any(feature = "openai", test))]
use crate::llm::message::ToolResult;
use crate::llm::message::{Message, Part, Role, Signature};
#[cfg(any(feature = "openai", feature = "anthropic", test))]
use std::borrow::Cow;
#[cfg(any(feature = "openai", test))]
use std::collections::HashMap;
use std::collections::HashSet;

/// A conversation, cut into turns.
#[derive(Debug, Default)]
pub(super) struct Turns<'a> {
    /// Instructions, in their order.
    pub(super) system: Vec<Placed<'a>>,
    /// The turns; those of the user and of the model alternate.
    pub(super) turns: Vec<Turn<'a>>,
    /// What did not fit.
    pub(super) dropped: Vec<Dropped>,
    /// Where that stands: the message, and the part of it.
    pub(super) unfit: HashSet<(usize, usize)>,
}

/// What one side says until the other speaks.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// Whether the model speaks.
    pub(super) assistant: bool,
    /// What is said. Results of tools come first, in the order of their calls.
    pub(super) parts: Vec<Placed<'a>>,
}

/// A part, and where it stands in the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) message: usize,
    pub(super) index: usize,
    pub(super) part: &'a Part,
}

impl Placed<'_> {
    /// Tells that the part is left out.
    pub(super) fn dropped(&self, why: &'static str) -> Dropped {
        Dropped::new(format!("messages[{}].content[{}]", self.message, self.index), why)
    }
}

impl<'a> Turns<'a> {
    /// Cuts a conversation into turns.
    pub(super) fn of(messages: &'a [Message]) -> Self {
        let mut all = Self::default();
        for (message, content) in messages.iter().enumerate() {
            let parts = content.content.iter().enumerate();
            let parts = parts.map(|(index, part)| Placed { message, index, part });
            match content.role {
                Role::System => all.system.extend(parts),
                role => all.push(role == Role::Assistant, parts.collect()),
            }
        }
        let mut calls = Vec::new();
        for at in 0..all.turns.len() {
            match all.turns[at].assistant {
                true => calls = all.keep_answered(at),
                false => all.keep_called(at, &std::mem::take(&mut calls)),
            }
        }
        // What has become empty must not keep its neighbours apart.
        for turn in std::mem::take(&mut all.turns) {
            all.push(turn.assistant, turn.parts);
        }
        all
    }

    /// The results that are kept, by the message that holds their calls and in the order of these.
    #[cfg(any(feature = "openai", test))]
    pub(super) fn answers(&self) -> HashMap<usize, Vec<&'a ToolResult>> {
        let mut answers: HashMap<_, Vec<_>> = HashMap::new();
        for (turn, next) in self.turns.iter().zip(self.turns.iter().skip(1)) {
            let calls = turn.parts.iter().filter(|part| matches!(part.part, Part::ToolCall(_)));
            let results = next.parts.iter().filter_map(|placed| match placed.part {
                Part::ToolResult(result) => Some(result),
                _ => None,
            });
            for (call, result) in calls.zip(results) {
                answers.entry(call.message).or_default().push(result);
            }
        }
        answers
    }

    fn push(&mut self, assistant: bool, parts: Vec<Placed<'a>>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.assistant == assistant => last.parts.extend(parts),
            _ => self.turns.push(Turn { assistant, parts }),
        }
    }

    /// Keeps the calls that the next turn answers, and returns their ids.
    fn keep_answered(&mut self, at: usize) -> Vec<&'a str> {
        let Self { turns, dropped, unfit, .. } = self;
        let answers = turns.get(at + 1).map_or(&[][..], |turn| &turn.parts);
        let answered: HashSet<_> = answers.iter().filter_map(result_id).collect();
        let mut calls = Vec::new();
        turns[at].parts.retain(|placed| {
            let Part::ToolCall(call) = placed.part else {
                let fits = result_id(placed).is_none();
                if !fits {
                    dropped.push(placed.dropped("only whoever was called answers"));
                    unfit.insert((placed.message, placed.index));
                }
                return fits;
            };
            let why = match () {
                () if call.truncated => "the call was cut off",
                () if !answered.contains(call.id.as_str()) => "nothing has answered the call",
                () if calls.contains(&call.id.as_str()) => "another call has this id",
                () => {
                    calls.push(call.id.as_str());
                    return true;
                }
            };
            dropped.push(placed.dropped(why));
            unfit.insert((placed.message, placed.index));
            false
        });
        calls
    }

    /// Keeps the results of these calls, and puts them in front.
    fn keep_called(&mut self, at: usize, calls: &[&str]) {
        let mut results: Vec<Option<Placed<'a>>> = vec![None; calls.len()];
        let Self { turns, dropped, unfit, .. } = self;
        let parts = &mut turns[at].parts;
        parts.retain(|placed| {
            let Some(id) = result_id(placed) else {
                let fits = !matches!(placed.part, Part::ToolCall(_));
                if !fits {
                    dropped.push(placed.dropped("only the model calls"));
                    unfit.insert((placed.message, placed.index));
                }
                return fits;
            };
            let why = match calls.iter().position(|call| *call == id) {
                Some(place) if results[place].is_none() => {
                    results[place] = Some(*placed);
                    return false;
                }
                Some(_) => "the call has been answered before",
                None => "it answers no call of the turn before it",
            };
            dropped.push(placed.dropped(why));
            unfit.insert((placed.message, placed.index));
            false
        });
        parts.splice(0..0, results.into_iter().flatten());
    }
}

fn result_id<'a>(placed: &Placed<'a>) -> Option<&'a str> {
    match placed.part {
        Part::ToolResult(result) => Some(&result.call_id),
        _ => None,
    }
}

/// The value of a mark, if it is one of this provider.
pub(super) fn own<'a>(signature: Option<&'a Signature>, provider: &str) -> Option<&'a str> {
    signature.filter(|signature| signature.provider == provider).map(|mark| mark.value.as_str())
}

/// The id of a call in letters, digits, `_` and `-`, at most so many. Ids that come from other
/// providers can hold more than that.
#[cfg(any(feature = "openai", feature = "anthropic", test))]
pub(super) fn plain_id(id: &str, limit: usize) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=limit).contains(&id.len()) && id.bytes().all(plain) {
        return Cow::Borrowed(id);
    }
    // Ids that differ must stay so.
    let hash = fnv1a(id);
    let readable = id.bytes().map(|byte| if plain(byte) { char::from(byte) } else { '_' });
    let readable: String = readable.take(limit.saturating_sub(17)).collect();
    Cow::Owned(format!("{readable}_{hash:016x}"))
}

/// A number for a text, the same everywhere, so that the provider's caches recognise what it is
/// part of. http://www.isthe.com/chongo/tech/comp/fnv/
#[cfg(any(feature = "openai", feature = "anthropic", test))]
pub(super) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::message::{ToolCall, ToolResult};

    fn call(id: &str) -> Part {
        Part::ToolCall(ToolCall::new(id, "f", "{}"))
    }

    fn result(id: &str) -> Part {
        Part::ToolResult(ToolResult::new(&ToolCall::new(id, "f", "{}"), "1"))
    }

    /// The turns as a line: `u` and `a`, and the parts of each.
    #[track_caller]
    fn check(messages: &[Message], expected: &str, dropped: &[&str]) {
        let all = Turns::of(messages);
        let turns = all.turns.iter().map(|turn| {
            let parts = turn.parts.iter().map(|placed| match placed.part {
                Part::Text(text) => text.text.clone(),
                Part::ToolCall(call) => format!("call {}", call.id),
                Part::ToolResult(result) => format!("result {}", result.call_id),
                other => format!("{other:?}"),
            });
            let who = if turn.assistant { "a" } else { "u" };
            format!("{who}({})", parts.collect::<Vec<_>>().join(", "))
        });
        assert_eq!(turns.collect::<Vec<_>>().join(" "), expected);
        let places: Vec<_> = all.dropped.iter().map(|dropped| dropped.what.as_str()).collect();
        assert_eq!(places, dropped);
    }

    #[test]
    fn turns_alternate_and_results_come_first() {
        check(
            &[
                Message::system("s"),
                Message::user("1"),
                Message::user("2"),
                Message::new(Role::Assistant, [Part::text("a"), call("x"), call("y")]),
                Message::new(Role::User, [Part::text("wait")]),
                Message::new(Role::Tool, [result("y"), result("x")]),
                Message::user("3"),
            ],
            "u(1, 2) a(a, call x, call y) u(result x, result y, wait, 3)",
            &[],
        );
    }

    #[test]
    fn what_lacks_its_other_half_is_left_out() {
        check(
            &[
                Message::new(Role::Tool, [result("gone")]),
                Message::user("1"),
                Message::new(Role::Assistant, [call("x"), call("lost")]),
                Message::new(Role::Tool, [result("x"), result("x"), result("never")]),
                Message::new(Role::Assistant, [call("open")]),
                Message::user("2"),
            ],
            "u(1) a(call x) u(result x, 2)",
            &[
                "messages[0].content[0]",
                "messages[2].content[1]",
                "messages[3].content[1]",
                "messages[3].content[2]",
                "messages[4].content[0]",
            ],
        );
    }

    #[test]
    fn ids_become_plain_and_stay_different() {
        assert_eq!(plain_id("toolu_01-A", 64), "toolu_01-A");
        let (a, b) = (plain_id("functions.add:0", 64), plain_id("functions_add:0", 64));
        assert!(a.starts_with("functions_add_0_") && a != b, "{a} {b}");
        let long = "x".repeat(200);
        assert_eq!(plain_id(&long, 40).len(), 40);
        assert!(!plain_id("", 40).is_empty());
    }
}
