use crate::base::Clock;
use crate::llm::{Budget, ChatRequest, Error, ErrorKind, Reservation};
use crate::store::TokenBucket;
use crate::web::Response;
use http::HeaderValue;
use http::header::HeaderName;
use std::sync::Arc;
use std::time::Duration;

/// How many tokens a route may use.
///
/// Before a call its prompt and answer are estimated and reserved; after it, what was really
/// used is settled, also when the answer was cut off or abandoned. What is refused is answered
/// with 429, `Retry-After` and `RateLimit-*`.
///
/// ```
/// use ember::TokenLimits;
///
/// let limits = TokenLimits::per_minute(60_000).max_prompt_tokens(4_096).max_completion_tokens(2_048);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenLimits {
    /// In any minute, prompts and answers together.
    pub tokens_per_minute: Option<u64>,
    /// In any day, prompts and answers together.
    pub tokens_per_day: Option<u64>,
    /// In one prompt, the history included. Estimated.
    pub max_prompt_tokens: Option<u64>,
    /// In one answer.
    pub max_completion_tokens: Option<u64>,
}

impl TokenLimits {
    /// So many tokens a minute.
    pub const fn per_minute(tokens: u64) -> Self {
        Self::new().tokens_per_minute(tokens)
    }

    /// So many tokens a day.
    pub const fn per_day(tokens: u64) -> Self {
        Self::new().tokens_per_day(tokens)
    }

    /// No limit at all.
    pub const fn new() -> Self {
        Self {
            tokens_per_minute: None,
            tokens_per_day: None,
            max_prompt_tokens: None,
            max_completion_tokens: None,
        }
    }

    /// Limits the tokens of any minute.
    #[must_use]
    pub const fn tokens_per_minute(mut self, tokens: u64) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// Limits the tokens of any day.
    #[must_use]
    pub const fn tokens_per_day(mut self, tokens: u64) -> Self {
        self.tokens_per_day = Some(tokens);
        self
    }

    /// Limits the tokens of one prompt.
    #[must_use]
    pub const fn max_prompt_tokens(mut self, tokens: u64) -> Self {
        self.max_prompt_tokens = Some(tokens);
        self
    }

    /// Limits the tokens of one answer.
    #[must_use]
    pub const fn max_completion_tokens(mut self, tokens: u64) -> Self {
        self.max_completion_tokens = Some(tokens);
        self
    }
}

/// Limits at work: the buckets that calls draw from.
#[derive(Debug, Clone)]
pub(super) struct Limiter(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    limits: TokenLimits,
    /// The limit, the seconds it is for, and what is left of it.
    buckets: Vec<(u64, u64, TokenBucket)>,
}

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// What an answer is taken to need when nothing bounds it.
const TYPICAL_ANSWER: u64 = 256;

impl Limiter {
    pub(super) fn new(limits: TokenLimits, clock: &Clock) -> Self {
        let wanted = [(limits.tokens_per_minute, MINUTE), (limits.tokens_per_day, DAY)];
        let buckets = wanted.into_iter().filter_map(|(limit, seconds)| {
            let limit = limit?;
            #[expect(clippy::cast_precision_loss, reason = "budgets stay far below 2^53")]
            let bucket = TokenBucket::new(limit as f64, limit as f64 / seconds as f64);
            Some((limit, seconds, bucket.clock(clock.clone())))
        });
        Self(Arc::new(Buckets { limits, buckets: buckets.collect() }))
    }

    /// Bounds a request, and sets aside what it is expected to use.
    fn hold(&self, request: &mut ChatRequest) -> Result<Held, Error> {
        let Buckets { limits, buckets } = &*self.0;
        let prompt = request.estimate_tokens();
        let most = [limits.max_prompt_tokens]
            .into_iter()
            .chain(buckets.iter().map(|bucket| Some(bucket.0)));
        if let Some(most) = most.flatten().find(|most| prompt > *most) {
            let message = format!(
                "The conversation has about {prompt} tokens, and at most {most} are allowed."
            );
            return Err(
                Error::new(ErrorKind::ContextLength, message.clone()).with_public_message(message)
            );
        }
        if let Some(most) = limits.max_completion_tokens {
            request.max_tokens = Some(request.max_tokens.map_or(most, |asked| asked.min(most)));
        }
        let estimate = prompt.saturating_add(request.max_tokens.unwrap_or(TYPICAL_ANSWER));
        // What an earlier bucket gave goes back in full if a later one refuses.
        let mut reservation = Held { limiter: self.clone(), used: 0, held: Vec::new() };
        for (limit, _, bucket) in buckets {
            // No call may be refused for ever because its answer could be long.
            let amount = estimate.min(*limit);
            match bucket.try_consume(amount) {
                Ok(()) => reservation.held.push(amount),
                Err(wait) => return Err(refusal(wait)),
            }
        }
        Ok(reservation)
    }
}

/// What is left of a budget.
pub(super) struct Left {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// How long it takes until all of it is there again.
    pub(super) reset: Duration,
    /// What the budget is for.
    seconds: u64,
}

/// What is left of the tightest budget.
pub(super) fn tightest<'a>(limiters: impl IntoIterator<Item = &'a Limiter>) -> Option<Left> {
    let buckets = limiters.into_iter().flat_map(|limiter| &limiter.0.buckets);
    let (limit, seconds, bucket) = buckets.min_by_key(|(_, _, bucket)| bucket.available())?;
    let (remaining, reset) = (bucket.available(), bucket.until_full());
    Some(Left { limit: *limit, remaining, reset, seconds: *seconds })
}

/// Tells the client what is left of the tightest budget.
pub(super) fn write_headers(limiters: &[Limiter], response: &mut Response) {
    let Some(Left { limit, remaining, reset, seconds }) = tightest(limiters) else {
        return;
    };
    let reset = reset.as_secs().saturating_add(1).min(seconds);
    // The names of draft-ietf-httpapi-ratelimit-headers-06, which most clients know.
    for (name, value) in
        [("ratelimit-limit", limit), ("ratelimit-remaining", remaining), ("ratelimit-reset", reset)]
    {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

fn refusal(wait: Duration) -> Error {
    let message = "The budget of tokens is used up for now.";
    Error::new(ErrorKind::BudgetExceeded, message)
        .with_public_message(message)
        .with_retry_after(wait)
}

impl Budget for Limiter {
    fn reserve(&self, request: &mut ChatRequest) -> Result<Box<dyn Reservation>, Error> {
        Ok(Box::new(self.hold(request)?))
    }
}

/// Tokens that are set aside for a call, and settled when this is dropped.
#[derive(Debug)]
struct Held {
    limiter: Limiter,
    used: u64,
    /// What was taken from each bucket.
    held: Vec<u64>,
}

impl Reservation for Held {
    fn used(&mut self, tokens: u64) {
        self.used = tokens;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for ((_, _, bucket), held) in self.limiter.0.buckets.iter().zip(&self.held) {
            bucket.settle(*held, self.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base;
    use crate::base::clock::{ManualClock, secs};
    use crate::llm::Message;

    fn request(tokens: usize) -> ChatRequest {
        // Four tokens are counted for the message itself.
        ChatRequest::new([Message::user("x".repeat((tokens - 4) * 4))]).max_tokens(10)
    }

    fn left(limiter: &Limiter) -> Vec<u64> {
        limiter.0.buckets.iter().map(|bucket| bucket.2.available()).collect()
    }

    #[test]
    fn an_estimate_is_reserved_and_settled() {
        let hands = ManualClock::new();
        let limits = TokenLimits::per_minute(100).tokens_per_day(1000);
        let limiter = Limiter::new(limits, &hands.clock());
        let mut first = limiter.hold(&mut request(50)).unwrap();
        assert_eq!(left(&limiter), [40, 940]);
        let refused = limiter.hold(&mut request(50)).unwrap_err();
        assert_eq!(refused.retry_after(), Some(secs(12)));
        assert_eq!(base::Error::from(refused).status(), 429);
        assert_eq!(left(&limiter), [40, 940], "a refused call takes nothing");
        first.used(65);
        drop(first);
        assert_eq!(left(&limiter), [35, 935]);
    }

    #[test]
    fn a_call_that_is_refused_by_the_second_bucket_takes_nothing_from_the_first() {
        let hands = ManualClock::new();
        let limiter = Limiter::new(TokenLimits::per_minute(100).tokens_per_day(70), &hands.clock());
        let held = limiter.hold(&mut request(30)).unwrap();
        assert!(limiter.hold(&mut request(30)).is_err());
        assert_eq!(left(&limiter), [60, 30]);
        drop(held);
    }

    #[test]
    fn one_request_is_bounded() {
        let limits = TokenLimits::new().max_prompt_tokens(20).max_completion_tokens(5);
        let limiter = Limiter::new(limits, &Clock::system());
        let refused = base::Error::from(limiter.hold(&mut request(21)).unwrap_err());
        assert_eq!(refused.status(), 413);
        assert!(refused.message().contains("about 21 tokens"), "{refused}");
        let mut fitting = request(20).max_tokens(u64::MAX);
        limiter.hold(&mut fitting).unwrap();
        assert_eq!(fitting.max_tokens, Some(5));
    }
}
