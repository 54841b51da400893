//! What becomes of a call when a model fails, as the table of [`router`](super) says.
//!
//! A bad key of ours is no fault of whoever asked, and a bad request is never multiplied.

use super::model::RoutedModel;
use crate::llm::adapter::has_no_such_model;
use crate::llm::error::{Error, ErrorKind};

/// What follows on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another model is asked.
    Next,
    /// Another model is asked, and somebody must see to this one.
    NextAndAlarm,
    /// A model that can read more is asked.
    LargerWindow,
    /// The call has failed.
    Stop,
}

impl Verdict {
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Overloaded
            | ErrorKind::RateLimit
            | ErrorKind::Timeout
            | ErrorKind::Transport
            | ErrorKind::Server
            | ErrorKind::CircuitOpen
            | ErrorKind::Truncated
            | ErrorKind::Decode => Self::Next,
            ErrorKind::Auth | ErrorKind::Quota | ErrorKind::Config => Self::NextAndAlarm,
            // The request names a model of the router; that its provider has none of that id is our mistake.
            ErrorKind::InvalidRequest if has_no_such_model(error) => Self::NextAndAlarm,
            ErrorKind::ContextLength => Self::LargerWindow,
            ErrorKind::InvalidRequest
            | ErrorKind::ContentFilter
            | ErrorKind::BudgetExceeded
            | ErrorKind::ToolLimit
            | ErrorKind::Session
            | ErrorKind::Cancelled => Self::Stop,
        }
    }
}

/// The models that have failed so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    all: Vec<(String, Error)>,
    /// The largest window that was too small.
    too_small: Option<u64>,
}

impl Failures {
    pub(super) fn push(&mut self, model: &RoutedModel, error: Error) {
        if error.kind() == ErrorKind::ContextLength {
            self.too_small = self.too_small.max(model.window);
        }
        self.all.push((model.name.clone(), error));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Tells whether a model may do better than those before it.
    pub(super) fn admits(&self, model: &RoutedModel) -> bool {
        match (self.too_small, model.window) {
            (Some(too_small), Some(window)) => window > too_small,
            _ => true,
        }
    }

    /// The error of the call: the only one, or the one that leaves most hope, with all of them in its
    /// message.
    pub(super) fn into_error(mut self) -> Error {
        if self.all.len() == 1
            && let Some((_, error)) = self.all.pop()
        {
            return error;
        }
        // What a later model finds wrong with a request, or too long, the first might not have.
        if let Some((_, last)) = self.all.last()
            && last.kind() != ErrorKind::InvalidRequest
            && Verdict::of(last) == Verdict::Stop
            && let Some((_, last)) = self.all.pop()
        {
            return last;
        }
        let told: Vec<_> =
            self.all.iter().map(|(model, error)| format!("{model}: {error}")).collect();
        let chosen = self.all.into_iter().map(|(_, error)| error).min_by_key(despair);
        let Some(chosen) = chosen else {
            return Error::new(ErrorKind::CircuitOpen, "no model is available");
        };
        let message = format!("no model has answered: {}", told.join("; "));
        let kind = match (chosen.kind(), Verdict::of(&chosen)) {
            // That there is no such model is our mistake, and not that of whoever asks.
            (ErrorKind::InvalidRequest, Verdict::NextAndAlarm) => ErrorKind::Config,
            (kind, _) => kind,
        };
        let mut error = Error::new(kind, message);
        if let Some(wait) = chosen.retry_after() {
            error = error.with_retry_after(wait);
        }
        error.with_source(chosen)
    }
}

/// How little hope an error leaves; of two that leave the same, the first counts.
fn despair(error: &Error) -> u8 {
    match Verdict::of(error) {
        Verdict::Next => 0,
        Verdict::NextAndAlarm => 1,
        Verdict::LargerWindow | Verdict::Stop => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::adapter::Failure;

    #[track_caller]
    fn check(kinds: &[ErrorKind], expected: ErrorKind) {
        let all = kinds.iter().map(|kind| ("m".to_owned(), Error::new(*kind, "why"))).collect();
        let error = Failures { all, too_small: None }.into_error();
        assert_eq!(error.kind(), expected, "{kinds:?}");
    }

    #[test]
    fn the_error_that_leaves_most_hope_is_told() {
        use ErrorKind::*;
        check(&[Timeout], Timeout);
        check(&[Overloaded, Timeout], Overloaded);
        check(&[Auth, Timeout], Timeout);
        check(&[ContextLength, Overloaded], Overloaded);
        check(&[Overloaded, ContextLength], Overloaded);
        check(&[Overloaded, InvalidRequest], Overloaded);
        check(&[Auth, InvalidRequest], Auth);
        check(&[Overloaded, ContentFilter], ContentFilter);
        check(&[ContextLength, ContextLength], ContextLength);
    }

    #[test]
    fn a_model_that_is_not_there_is_our_mistake() {
        let error = |status| Error::new(ErrorKind::InvalidRequest, "no").with_status(status);
        assert_eq!(Verdict::of(&error(404)), Verdict::NextAndAlarm);
        assert_eq!(Verdict::of(&error(400)), Verdict::Stop);
        let told = |body: &str| {
            let error = Failure::read(body.as_bytes()).into_error("test", Some(400));
            (error.kind(), Verdict::of(&error))
        };
        for body in [
            r#"{"error": {"code": "model_not_found", "message": "The requested model 'm' does not exist.", "param": "model", "type": "invalid_request_error"}}"#,
            r#"{"error":{"code":"invalid_request_error","message":"The supported API model names are a or b, but you passed m.","param":null,"type":"invalid_request_error"}}"#,
            r#"{"code":"1500","message":"Invalid model: m","object":"error","param":null,"raw_status_code":400,"type":"invalid_model"}"#,
            r#"{"error":{"code":400,"message":"a/m is not a valid model ID"},"user_id":"user"}"#,
        ] {
            assert_eq!(told(body), (ErrorKind::InvalidRequest, Verdict::NextAndAlarm), "{body}");
        }
        // Whoever asks a router for a model that it has not has made the mistake.
        let ours = Error::new(ErrorKind::InvalidRequest, "no").with_code("model_not_found");
        assert_eq!(Verdict::of(&ours), Verdict::Stop);
    }

    #[test]
    fn a_spent_account_and_a_bad_key_are_no_fault_of_the_request() {
        let verdict = |body: &str| {
            let error = Failure::read(body.as_bytes()).into_error("test", Some(400));
            (error.kind(), Verdict::of(&error))
        };
        let spent = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#;
        assert_eq!(verdict(spent), (ErrorKind::Quota, Verdict::NextAndAlarm));
        let key = r#"{"code":"invalid-argument","error":"Incorrect API key provided."}"#;
        assert_eq!(verdict(key), (ErrorKind::Auth, Verdict::NextAndAlarm));
    }
}
