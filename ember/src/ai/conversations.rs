//! Ready routes for what a client asks about its own conversations.

use super::owner::Owner;
use crate::base::constant_json::constant_json;
use crate::base::{Error, Schema};
use crate::llm::{Message, Role, SessionMetadata, SessionQuery, SessionSummary};
use crate::web::extract::{Path, Query};
use crate::web::operation::{Content, Outcome, Parameter};
use crate::web::{Json, Route};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many conversations a page has unless `limit` says otherwise, and at most.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// A conversation as a document: to show it, to take it elsewhere, and to bring it back.
///
/// ```
/// use ember::ai::Conversation;
/// use ember::llm::Message;
///
/// let conversation = Conversation::new("4f0c", vec![Message::user("Hi"), Message::assistant("Hello")]);
/// let json = serde_json::to_string(&conversation)?;
/// assert_eq!(serde_json::from_str::<Conversation>(&json)?, conversation);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conversation {
    /// Its id, as in `x-conversation-id`.
    pub id: String,
    /// What was said.
    pub messages: Vec<Message>,
    /// What is noted of it.
    #[serde(default)]
    pub metadata: SessionMetadata,
}

impl Conversation {
    /// A conversation of which nothing is noted.
    pub fn new(id: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { id: id.into(), messages, metadata: SessionMetadata::new() }
    }

    /// Sets what is noted of it.
    #[must_use]
    pub fn metadata(mut self, metadata: SessionMetadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// The routes below a path: a list of one's own conversations, one of them, and forgetting one.
pub(crate) fn routes(path: &str) -> [Route; 3] {
    let path = path.trim_end_matches('/');
    let one = format!("{path}/{{id}}");
    [
        Route::get(path, list).name("conversations").docs(LIST).describe(|operation| {
            let limit =
                json!({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE});
            let limit = Parameter::query("limit").shape(Schema::from(limit));
            let before = Parameter::query("before").shape(Schema::from(json!({"type": "string"})));
            operation.parameter(limit.description("How many a page has."));
            operation.parameter(before.description("The `next` of the page before."));
            operation.answers(Content::new("application/json", page_schema())).problems();
        }),
        Route::get(one.clone(), read).name("conversation").docs(READ).describe(|operation| {
            operation.answers(Content::new("application/json", conversation_schema())).problems();
        }),
        Route::delete(one, forget).name("forget_conversation").docs(FORGET).describe(|operation| {
            operation.outcome(Outcome::new(StatusCode::NO_CONTENT).description("It is forgotten."));
            operation.problems();
        }),
    ]
}

const LIST: &str = "Lists your conversations.\n\nThe one that was changed last comes first.";
const READ: &str = "Returns one of your conversations.\n\nWithout the instructions that the model \
                    was given, and without what it and its tools said to each other.";
const FORGET: &str = "Forgets one of your conversations.";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    limit: Option<usize>,
    before: Option<String>,
}

#[derive(Serialize)]
struct Listing {
    conversations: Vec<Listed>,
    /// What `before` is for the next page; `null` on the last one.
    next: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    id: String,
    /// Seconds since 1970.
    changed_at: u64,
    messages: usize,
    metadata: SessionMetadata,
}

async fn list(owner: Owner, Query(asked): Query<Asked>) -> Result<Json<Listing>, Error> {
    // Whoever has no name has no list: the ids of strangers are their keys.
    if owner.is_anonymous {
        return Err(Error::unauthorized(
            "Conversations are listed for those who say who they are.",
        ));
    }
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Error::bad_request(format!("`limit` must be from 1 to {LARGEST_PAGE}.")));
    }
    // One more than is shown tells whether there is another page.
    let mut query = SessionQuery::new(owner.prefix(), limit + 1);
    if let Some(before) = &asked.before {
        let (changed, id) = place(before)
            .ok_or_else(|| Error::bad_request("`before` must be the `next` of an earlier page."))?;
        query = query.after(changed, owner.key(id));
    }
    let mut found = owner.sessions.list(query).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let id = |found: &SessionSummary| {
        found.id.strip_prefix(owner.prefix()).unwrap_or(&found.id).to_owned()
    };
    let next = found.last().filter(|_| has_more);
    let next = next.map(|last| format!("{}-{}", since_1970(last.changed).as_nanos(), id(last)));
    let listed = |found: &SessionSummary| Listed {
        id: id(found),
        changed_at: since_1970(found.changed).as_secs(),
        messages: found.messages,
        metadata: found.metadata.clone(),
    };
    Ok(Json(Listing { conversations: found.iter().map(listed).collect(), next }))
}

async fn read(owner: Owner, Path(id): Path<String>) -> Result<Json<Conversation>, Error> {
    let history = owner.sessions.load(&owner.key(&id)).await?;
    if history.version == 0 {
        return Err(unknown());
    }
    let mut messages = history.messages;
    messages.retain(|message| {
        matches!(message.role, Role::User | Role::Assistant)
            && message.tool_calls().next().is_none()
    });
    Ok(Json(Conversation::new(id, messages).metadata(history.metadata)))
}

async fn forget(owner: Owner, Path(id): Path<String>) -> Result<StatusCode, Error> {
    match owner.sessions.delete(&owner.key(&id)).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(unknown()),
    }
}

/// That it is somebody else's and that there is none are the same answer.
fn unknown() -> Error {
    Error::not_found("You have no conversation of this id.")
}

fn since_1970(moment: SystemTime) -> Duration {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Reads the place of a conversation in the list, as `next` tells it.
fn place(cursor: &str) -> Option<(SystemTime, &str)> {
    let (nanoseconds, id) = cursor.split_once('-')?;
    let changed = UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds.parse().ok()?))?;
    Some((changed, id))
}

fn page_schema() -> Schema {
    Schema::from(constant_json!({
        "type": "object",
        "properties": {
            "conversations": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "changed_at": {"type": "integer", "description": "Seconds since 1970."},
                    "messages": {"type": "integer", "description": "How many there are."},
                    "metadata": {"type": "object"}
                },
                "required": ["id", "changed_at", "messages", "metadata"]
            }},
            "next": {
                "type": ["string", "null"],
                "description": "What `before` is for the next page."
            }
        },
        "required": ["conversations", "next"]
    }))
}

fn conversation_schema() -> Schema {
    Schema::from(constant_json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "messages": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "role": {"enum": ["user", "assistant"]},
                    "content": {"description": "A text, or an array of parts."}
                },
                "required": ["role", "content"]
            }},
            "metadata": {"type": "object"}
        },
        "required": ["id", "messages", "metadata"]
    }))
}
