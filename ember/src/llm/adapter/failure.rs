use crate::llm::error::{Error, ErrorKind};
use http::HeaderMap;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// How much of an unreadable answer is kept for the log, in bytes.
const RAW_LIMIT: usize = 4096;

/// What a provider says about a failure, from whatever shape it says it in.
///
/// ```
/// use ember::llm::ErrorKind;
/// use ember::llm::adapter::Failure;
///
/// let body = br#"{"error": {"message": "Too long.", "code": "context_length_exceeded"}}"#;
/// let error = Failure::read(body).into_error("openai", Some(400));
/// assert_eq!(error.kind(), ErrorKind::ContextLength);
/// assert_eq!(error.to_string(), "openai: Too long. (status 400)");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The provider's class of the error: `rate_limit_error`, `RESOURCE_EXHAUSTED`.
    pub kind: Option<String>,
    /// The provider's code for the error: `insufficient_quota`.
    pub code: Option<String>,
    /// The reason that a detail of the error names: `API_KEY_INVALID` (Google's `google.rpc.ErrorInfo`).
    pub reason: Option<String>,
    /// What happened, in the provider's words; at most 4 KiB of them.
    pub message: String,
    /// How long the provider wants to be left alone, where the document says so.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Reads a body: `{"error":{…}}`, `{"error":"text"}`, `{"detail":…}`, `{"message":…}`, or anything else.
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => Self { message: clipped(&String::from_utf8_lossy(body)), ..Self::default() },
        }
    }

    /// Reads the same shapes from a value.
    pub fn of(value: &Value) -> Self {
        // Some providers wrap the document in an array.
        let value = value.get(0).unwrap_or(value);
        let member = |key: &str| value.get(key).filter(|member| !member.is_null());
        let inner = ["error", "detail", "message"].into_iter().find_map(member).unwrap_or(value);
        // What stands beside the inner document is said of it.
        let text = |key: &str| match inner.get(key).or_else(|| value.get(key))? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let message = match (inner.as_str(), member("message").and_then(Value::as_str)) {
            // The class of the error, as text, and the reason beside it.
            (Some(class), Some(reason)) if class != reason => format!("{class}: {reason}"),
            (Some(text), _) => text.to_owned(),
            (None, _) => match inner.get("message").and_then(Value::as_str) {
                Some(message) => message.to_owned(),
                None => inner.to_string(),
            },
        };
        let message = clipped(&message);
        Self {
            kind: text("type").filter(|kind| kind != "error").or_else(|| text("status")),
            code: text("code"),
            reason: detail(inner, "reason").map(str::to_owned),
            retry_after: retry_delay(inner)
                .or_else(|| [inner, value].into_iter().find_map(retry_member))
                .or_else(|| wait_in_text(&message)),
            message,
        }
    }

    /// The error of our vocabulary. `status` is that of the answer; an error within an answer
    /// that seemed to succeed has none, and its words or its code stand for one.
    pub fn into_error(self, provider: &str, status: Option<u16>) -> Error {
        let status = status.or_else(|| self.code.as_deref().and_then(as_status));
        let kind = self.classify(status.or_else(|| self.implied_status()));
        let mut error = Error::new(kind, self.message).with_provider(provider);
        if let Some(status) = status {
            error = error.with_status(status);
        }
        if let Some(wait) = self.retry_after {
            error = error.with_retry_after(wait);
        }
        match self.code.or(self.kind) {
            Some(code) => error.with_code(code),
            None => error,
        }
    }

    /// What the provider calls the failure, the more exact word first.
    fn words(&self) -> impl Iterator<Item = &str> {
        [&self.reason, &self.code, &self.kind].into_iter().filter_map(Option::as_deref)
    }

    /// The status that the provider's word stands for, where it sent none.
    fn implied_status(&self) -> Option<u16> {
        self.words().find_map(|word| {
            let known = STATUS_WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            known.map(|(_, status)| *status)
        })
    }

    /// The class of a failure. What the provider calls it goes before its status.
    fn classify(&self, status: Option<u16>) -> ErrorKind {
        for word in self.words() {
            for (kind, known) in WORDS {
                if known.contains(&word) {
                    return *kind;
                }
            }
        }
        let message = self.message.to_lowercase();
        let throttled = message.contains("rate limit") || message.contains("throttl");
        if matches!(status, None | Some(400 | 413 | 422)) && !throttled {
            for (kind, phrases) in PHRASES {
                if phrases.iter().any(|phrase| message.contains(phrase)) {
                    return *kind;
                }
            }
        }
        match status {
            Some(401 | 403) => ErrorKind::Auth,
            Some(402) => ErrorKind::Quota,
            Some(408 | 504) => ErrorKind::Timeout,
            Some(409 | 425) => ErrorKind::Overloaded,
            Some(413) => ErrorKind::ContextLength,
            Some(429) => ErrorKind::RateLimit,
            Some(503 | 529) => ErrorKind::Overloaded,
            Some(400..=499) => ErrorKind::InvalidRequest,
            _ => ErrorKind::Server,
        }
    }
}

/// A status that a gateway has put into the code, as a number or a text.
fn as_status(code: &str) -> Option<u16> {
    code.parse().ok().filter(|status| (400..=599).contains(status))
}

/// A member of one of the `details` that Google adds to an error (`google.rpc.Status`).
fn detail<'a>(error: &'a Value, name: &str) -> Option<&'a str> {
    error.get("details")?.as_array()?.iter().find_map(|detail| detail.get(name)?.as_str())
}

/// Google's hint: `details` with a `retryDelay` such as "8s" (`google.rpc.RetryInfo`).
fn retry_delay(error: &Value) -> Option<Duration> {
    let seconds = detail(error, "retryDelay")?.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A member in seconds, which gateways put into the document, or into what it says of its origin.
fn retry_member(error: &Value) -> Option<Duration> {
    let places = [Some(error), error.get("metadata")];
    let names = ["retry_after", "retryAfter", "retry_after_seconds"];
    let found = places
        .into_iter()
        .flatten()
        .find_map(|place| names.iter().find_map(|name| place.get(name)));
    let seconds = match found? {
        Value::String(text) => text.trim_end_matches('s').parse().ok()?,
        number => number.as_f64()?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// The words that providers use as `code` or `type`, by what they mean. Those of Google's details are
/// of `google.api.ErrorReason`.
const WORDS: &[(ErrorKind, &[&str])] = &[
    (
        ErrorKind::ContextLength,
        &["context_length_exceeded", "request_too_large", "string_above_max_length"],
    ),
    (
        ErrorKind::ContentFilter,
        &["content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation"],
    ),
    (
        ErrorKind::Quota,
        &[
            "insufficient_quota",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "BILLING_DISABLED",
        ],
    ),
    (
        ErrorKind::Auth,
        &[
            "invalid_api_key",
            "authentication_error",
            "permission_error",
            "UNAUTHENTICATED",
            "API_KEY_INVALID",
        ],
    ),
    (ErrorKind::RateLimit, &["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"]),
    (
        ErrorKind::Overloaded,
        &["overloaded_error", "engine_overloaded", "UNAVAILABLE", "503", "529"],
    ),
    (ErrorKind::Timeout, &["timeout_error", "DEADLINE_EXCEEDED", "504", "408"]),
    (
        ErrorKind::Server,
        &["server_error", "internal_error", "internal_server_error", "api_error", "500", "502"],
    ),
];

/// Words that say no more than a status does, and therefore count only where there is none: OpenAI
/// calls a missing key an `invalid_request_error`, too, and answers 401.
const STATUS_WORDS: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("invalid_request", 400),
    ("bad_request", 400),
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("PERMISSION_DENIED", 403),
    ("not_found_error", 404),
    ("model_not_found", 404),
    ("NOT_FOUND", 404),
    ("conflict_error", 409),
    ("too_many_requests", 429),
    ("rate_limit", 429),
];

/// How providers say what they have no code for, where they call the request wrong.
const PHRASES: &[(ErrorKind, &[&str])] = &[
    // Anthropic, of an account that has spent its credit, or what it has allowed itself for the month:
    // both are told as an `invalid_request_error` with 400.
    (ErrorKind::Quota, &["credit balance is too low", "specified api usage limits"]),
    // Gemini and xAI answer 400 to a key that they do not know.
    (ErrorKind::Auth, &["api key not valid", "incorrect api key"]),
    (
        ErrorKind::ContextLength,
        &[
            "maximum context length",
            "context length exceeded",
            "context window",
            "prompt is too long",
            "input is too long",
            "input token count",
            "too many input tokens",
            "reduce the length of the messages",
            "exceeds the available context size",
            "exceed context limit",
            // xAI
            "maximum prompt length is",
            // LM Studio
            "greater than the context length",
            "loaded with context length of only",
            // Ollama
            "exceeded max context length",
            // Kimi
            "exceeded model token limit",
            // vLLM
            "longer than the model's context length",
        ],
    ),
];

/// How providers say with 400 that they have no such model: DeepSeek, Mistral and OpenRouter.
const NO_MODEL: &[&str] =
    &["the supported api model names are", "invalid model:", "is not a valid model id"];

/// Tells whether a provider says that it has no model of the id that it was asked for: by the status
/// 404, by OpenAI's code (which its responses send with 400), or in words.
pub(crate) fn has_no_such_model(error: &Error) -> bool {
    let Some(status) = error.status() else { return false };
    let message = || error.message().to_lowercase();
    error.kind() == ErrorKind::InvalidRequest
        && (status == 404
            || error.code() == Some("model_not_found")
            || NO_MODEL.iter().any(|phrase| message().contains(phrase)))
}

/// How long the provider wants to be left alone: `retry-after-ms`, then `retry-after` in seconds
/// or as a date, then what the message says ("try again in 1.5s").
pub fn wait_hint(headers: &HeaderMap, message: &str, now: SystemTime) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str| {
        text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    };
    let by_milliseconds = || header("retry-after-ms").and_then(seconds).map(|wait| wait / 1000);
    let by_seconds = || header("retry-after").and_then(seconds);
    let by_date = || {
        let date = httpdate::parse_http_date(header("retry-after")?).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    };
    by_milliseconds().or_else(by_seconds).or_else(by_date).or_else(|| wait_in_text(message))
}

/// What stands before the time to wait, in the words of OpenAI and Groq, of Gemini, and of Azure.
const WAIT: &[&str] = &["try again in ", "retry in ", "retry after ", "try again after "];

/// Finds "try again in 1.5s", "retry in 1m30s" or "retry after 20 seconds".
fn wait_in_text(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    let (_, mut rest) = WAIT.iter().find_map(|words| message.split_once(words))?;
    let mut wait: Option<Duration> = None;
    while let Some(unit_at) =
        rest.find(|char: char| !char.is_ascii_digit() && char != '.').filter(|at| *at > 0)
    {
        let (number, tail) = rest.split_at(unit_at);
        // A word has a space before it, and the letter of its unit in front.
        let tail = tail.trim_start();
        let (scale, length) = match tail {
            _ if tail.starts_with("ms") => (0.001, 2),
            _ if tail.starts_with("milli") => (0.001, 5),
            _ if tail.starts_with('s') => (1.0, 1),
            _ if tail.starts_with('m') => (60.0, 1),
            _ if tail.starts_with('h') => (3600.0, 1),
            _ => break,
        };
        let part =
            Duration::try_from_secs_f64(number.trim_end_matches('.').parse::<f64>().ok()? * scale)
                .ok()?;
        wait = Some(wait.unwrap_or_default().saturating_add(part));
        rest = &tail[length..];
        if rest.starts_with(char::is_alphabetic) {
            break;
        }
    }
    wait
}

fn clipped(text: &str) -> String {
    text[..text.floor_char_boundary(RAW_LIMIT)].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{millis, secs};

    #[track_caller]
    fn check(status: u16, body: &str, kind: ErrorKind, message: &str) {
        let error = Failure::read(body.as_bytes()).into_error("test", Some(status));
        assert_eq!((error.kind(), error.message()), (kind, message), "{body}");
    }

    #[test]
    fn every_shape_of_an_error_is_read() {
        use ErrorKind::*;
        check(
            400,
            r#"{"error":{"message":"bad","type":"invalid_request_error"}}"#,
            InvalidRequest,
            "bad",
        );
        check(429, r#"{"error":{"message":"m","code":"insufficient_quota"}}"#, Quota, "m");
        check(429, r#"{"error":{"message":"slow down","code":null}}"#, RateLimit, "slow down");
        check(500, r#"{"error":"boom"}"#, Server, "boom");
        check(422, r#"{"detail":"no such field"}"#, InvalidRequest, "no such field");
        check(401, r#"{"message":"no key"}"#, Auth, "no key");
        check(400, r#"{"error":{"message":"m","code":"content_filter"}}"#, ContentFilter, "m");
        check(503, "<html>busy</html>", Overloaded, "<html>busy</html>");
        check(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            Overloaded,
            "m",
        );
        check(
            500,
            r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
            Overloaded,
            "m",
        );
        check(
            400,
            r#"{"message":"m","type":"invalid_request_error","code":"1500"}"#,
            InvalidRequest,
            "m",
        );
        check(502, "", Server, "");
        // Frameworks say beside the class of an error what is wrong; others say nothing of it.
        let reason = r#"{"statusCode":404,"error":"Not Found","message":"no such route"}"#;
        check(404, reason, InvalidRequest, "Not Found: no such route");
        check(404, r#"{"error":"no","message":"no"}"#, InvalidRequest, "no");
        check(400, r#"{"error":null,"message":"x"}"#, InvalidRequest, "x");
        check(
            400,
            r#"{"error":null,"detail":null}"#,
            InvalidRequest,
            r#"{"error":null,"detail":null}"#,
        );
    }

    #[test]
    fn a_spent_account_and_a_bad_key_are_known_by_what_is_said_of_them() {
        use ErrorKind::*;
        let anthropic = |message: &str| {
            format!(
                r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{message}"}}}}"#
            )
        };
        let credit = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.";
        check(400, &anthropic(credit), Quota, credit);
        let limit = "You have reached your specified API usage limits.";
        check(400, &anthropic(limit), Quota, limit);
        let key =
            "Incorrect API key provided. You can obtain an API key from https://console.x.ai.";
        check(400, &format!(r#"{{"code":"invalid-argument","error":"{key}"}}"#), Auth, key);
        let gemini = |reason: &str, status: &str| {
            let info = format!(
                r#"{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"googleapis.com","reason":"{reason}"}}"#
            );
            format!(
                r#"{{"error":{{"code":400,"message":"m","status":"{status}","details":[{{"@type":"x"}},{info}]}}}}"#
            )
        };
        check(400, &gemini("API_KEY_INVALID", "INVALID_ARGUMENT"), Auth, "m");
        check(403, &gemini("BILLING_DISABLED", "PERMISSION_DENIED"), Quota, "m");
        check(400, &gemini("SOMETHING", "INVALID_ARGUMENT"), InvalidRequest, "m");
        let error = Failure::read(gemini("API_KEY_INVALID", "INVALID_ARGUMENT").as_bytes());
        assert_eq!(error.into_error("test", Some(400)).code(), Some("400"), "as it came");
        // In the middle of a stream as well.
        let failure = Failure::read(anthropic(credit).as_bytes()).into_error("test", None);
        assert_eq!(failure.kind(), Quota);
    }

    #[test]
    fn a_time_to_wait_can_stand_in_the_document() {
        let hint = |body: &str| Failure::read(body.as_bytes()).retry_after;
        let of = |error: &str| format!("{{\"error\":{error}}}");
        assert_eq!(
            hint(&of(r#"{"message":"m","details":[{"retryDelay":"34.4s"}]}"#)),
            Some(millis(34_400))
        );
        assert_eq!(
            hint(&of(r#"{"message":"m","metadata":{"retry_after":2.5}}"#)),
            Some(millis(2_500))
        );
        assert_eq!(hint(r#"{"error":"slow down","retry_after":"7"}"#), Some(secs(7)));
        assert_eq!(hint(&of(r#"{"message":"m","retry_after":-1}"#)), None);
        assert_eq!(
            hint(&of(r#"{"message":"m","retry_after":"soon","details":[{"retryDelay":"x"}]}"#)),
            None
        );
    }

    #[test]
    fn an_error_without_a_status_is_what_its_words_stand_for() {
        use ErrorKind::*;
        for (error, kind) in [
            (r#"{"type":"invalid_request_error","message":"m"}"#, InvalidRequest),
            (r#"{"type":"not_found_error","message":"m"}"#, InvalidRequest),
            (r#"{"code":"model_not_found","message":"m"}"#, InvalidRequest),
            (r#"{"status":"INVALID_ARGUMENT","message":"m"}"#, InvalidRequest),
            (r#"{"type":"permission_error","message":"m"}"#, Auth),
            (r#"{"code":"429","message":"m"}"#, RateLimit),
            (r#"{"code":429,"message":"m"}"#, RateLimit),
            (r#"{"code":"401","message":"m"}"#, Auth),
            (r#"{"code":"402","message":"m"}"#, Quota),
            (r#"{"code":"413","message":"m"}"#, ContextLength),
            (r#"{"code":"502","message":"m"}"#, Server),
            (r#"{"code":"1500","message":"m"}"#, Server),
            (r#"{"message":"m"}"#, Server),
        ] {
            let body = format!("{{\"error\":{error}}}");
            let failure = Failure::read(body.as_bytes()).into_error("test", None);
            assert_eq!(failure.kind(), kind, "{error}");
        }
        let keyless = br#"{"error":{"type":"invalid_request_error","message":"no key"}}"#;
        assert_eq!(Failure::read(keyless).into_error("test", Some(401)).kind(), Auth);
    }

    #[test]
    fn a_document_may_say_how_long_to_wait() {
        let wait =
            |body: &str| Failure::read(body.as_bytes()).into_error("test", None).retry_after();
        let text = r#"{"error":{"code":"429","message":"Please try again in 1.5s."}}"#;
        assert_eq!(wait(text), Some(millis(1_500)));
        let details =
            r#"{"error":{"code":429,"message":"m","details":[{"@type":"x"},{"retryDelay":"8s"}]}}"#;
        assert_eq!(wait(details), Some(secs(8)));
        let longest = format!("{}h", "9".repeat(15)).repeat(6);
        assert_eq!(wait_in_text(&format!("try again in {longest}")), Some(Duration::MAX));
    }

    #[test]
    fn an_input_that_is_too_long_is_recognised_by_its_message() {
        let long = "This model's maximum context length is 8192 tokens.";
        check(
            400,
            &format!(r#"{{"error":{{"message":"{long}"}}}}"#),
            ErrorKind::ContextLength,
            long,
        );
        for message in [
            "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
            "The number of tokens to keep from the initial prompt is greater than the context length.",
            "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with context length of only 7866 tokens, which is not enough.",
            "prompt too long; exceeded max context length by 12 tokens",
            "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
            "The input (1492905 tokens) is longer than the model's context length (1048576 tokens).",
        ] {
            let body = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
            check(400, &body, ErrorKind::ContextLength, message);
            let streamed = Failure::read(body.as_bytes()).into_error("test", None);
            assert_eq!(streamed.kind(), ErrorKind::ContextLength, "{message}");
        }
        let throttled = "Rate limit: context window tokens per minute";
        check(400, &format!(r#"{{"error":"{throttled}"}}"#), ErrorKind::InvalidRequest, throttled);
    }

    #[test]
    fn waits_are_found_in_their_order() {
        let now = SystemTime::UNIX_EPOCH + secs(1_000);
        let hint = |pairs: &[(&'static str, &'static str)], text: &str| {
            let headers = pairs.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            wait_hint(&headers.collect(), text, now)
        };
        assert_eq!(
            hint(&[("retry-after-ms", "1500"), ("retry-after", "9")], ""),
            Some(millis(1500))
        );
        assert_eq!(hint(&[("retry-after", "0.5")], ""), Some(millis(500)));
        assert_eq!(hint(&[("retry-after", "Thu, 01 Jan 1970 00:16:50 GMT")], ""), Some(secs(10)));
        assert_eq!(
            hint(&[("retry-after", "soon")], "Please try again in 1m30.5s."),
            Some(millis(90_500))
        );
        assert_eq!(hint(&[], "try again in 20ms"), Some(millis(20)));
        assert_eq!(hint(&[], "Please retry in 34.5s."), Some(millis(34_500)));
        assert_eq!(hint(&[], "Please retry after 26 seconds."), Some(secs(26)));
        assert_eq!(hint(&[], "Retry after 20 milliseconds"), Some(millis(20)));
        assert_eq!(hint(&[], "Retry after 2 minutes and 3 days"), Some(secs(120)));
        assert_eq!(hint(&[("retry-after", "-1")], "try again later"), None);
    }
}
