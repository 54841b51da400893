use crate::store::OnStoreFailure;

/// How many tokens a route may use.
///
/// Before a call its prompt and answer are estimated and reserved; after it, what was really
/// used is settled, also when the answer was cut off or abandoned. What is refused is answered
/// with 429, `Retry-After` and `RateLimit-*`. An answer whose length nothing bounds can turn out longer
/// than what was set aside for it: it goes on, and later calls wait until the debt is paid.
/// `max_completion_tokens` keeps that from happening.
///
/// It stands on a route, a blueprint or an application, and counts all that is asked within together,
/// or each caller apart: [`TokenLimits::per_principal`]. Of several that apply all must agree.
///
/// Where the application has a store that processes share ([`Ember::store`](crate::Ember::store), or
/// `EMBER_STORE`), the tokens of a minute and a day are counted there, for the sum of all processes: by the
/// place where the limits stand, which is the methods and the path of a route, the prefix of a
/// blueprint, the application, or the name of a virtual key. Processes that are not alike in these, or
/// that bring other numbers along, each go by their own.
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
    /// Whether each caller has the tokens of a minute and a day, or all together have them.
    pub per_principal: bool,
    /// What becomes of requests while the store cannot be asked, where the limits are in one.
    pub on_store_failure: OnStoreFailure,
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
            per_principal: false,
            on_store_failure: OnStoreFailure::Deny,
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

    /// Gives each [`Principal`](crate::Principal) these tokens, and callers who are not authenticated
    /// by their address, as [`RateLimit`](crate::RateLimit) tells them apart.
    ///
    /// Behind a proxy, a component of type [`TrustedProxies`](crate::TrustedProxies) says whom to
    /// believe. The 10,000 callers that were seen last are remembered, and in
    /// a store all are.
    #[must_use]
    pub const fn per_principal(mut self) -> Self {
        self.per_principal = true;
        self
    }

    /// Says what becomes of requests while the store cannot be asked: they are
    /// [denied](OnStoreFailure::Deny) unless it is said.
    #[must_use]
    pub const fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.on_store_failure = policy;
        self
    }

    /// What is wrong with the limits.
    pub(super) fn check(&self) -> Option<&'static str> {
        let all = [
            self.tokens_per_minute,
            self.tokens_per_day,
            self.max_prompt_tokens,
            self.max_completion_tokens,
        ];
        all.contains(&Some(0))
            .then_some("token limits of zero let no request pass; leave out what is not limited")
    }
}
