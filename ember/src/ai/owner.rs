use super::component::need_of;
use super::extract::component;
use crate::base::Error;
use crate::llm::Sessions;
use crate::web::extract::FromRequestParts;
use crate::web::{Operation, Principal, RequestParts};

/// Whose conversations a request can reach, and where they are kept.
///
/// A principal's ids are a space of their own, which nobody else's id leads into.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) sessions: Sessions,
    /// What the keys of all its conversations begin with.
    space: String,
    /// Nobody is authenticated: whoever has the id of a conversation has the conversation.
    pub(super) is_anonymous: bool,
}

impl Owner {
    pub(super) fn of(parts: &RequestParts) -> Result<Self, Error> {
        let principal = parts.extensions().get::<Principal>();
        Ok(Self {
            sessions: component(parts)?,
            space: match principal {
                Some(principal) => format!("principal/{}/{}/", principal.id.len(), principal.id),
                None => "anonymous/".to_owned(),
            },
            is_anonymous: principal.is_none(),
        })
    }

    /// What the store calls a conversation.
    pub(super) fn key(&self, id: &str) -> String {
        format!("{}{id}", self.space)
    }

    /// What the keys of all conversations of this owner begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.space
    }
}

impl FromRequestParts for Owner {
    async fn from_request_parts(parts: &mut RequestParts) -> Result<Self, Error> {
        Self::of(parts)
    }

    fn describe(operation: &mut Operation) {
        operation.requires(need_of::<Sessions>());
    }
}
