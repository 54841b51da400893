use crate::ai::TokenLimits;
use crate::llm::SpendLimit;
use crate::store::OnStoreFailure;
use crate::web::middleware::is_token68;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A key of our own API, with what its owner may do.
///
/// Its secret is kept as a SHA-256 digest. The
/// [`Principal`](crate::Principal) of every request that is made with it has the name of the key
/// behind `key:` as its id, `key:team-a`, so that it is nobody's who signs in.
///
/// Where the application has a store that processes share, requests and tokens are counted there by the
/// name of the key; and money, where the [`SpendLimit`] has a name.
///
/// ```
/// use ember::TokenLimits;
/// use ember::ai::VirtualKey;
///
/// let key = VirtualKey::new("team-a", "sk-long-and-random")
///     .models(["gpt-5-mini", "support-bot"])
///     .requests_per_minute(60)
///     .token_limits(TokenLimits::per_minute(100_000));
/// ```
#[derive(Clone)]
pub struct VirtualKey {
    pub(super) name: String,
    pub(super) secrets: Vec<[u8; 32]>,
    /// One of the secrets could not stand in a header.
    pub(super) has_bad_secret: bool,
    pub(super) models: Vec<String>,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) token_limits: Option<TokenLimits>,
    pub(super) spend_limit: Option<SpendLimit>,
    pub(super) on_store_failure: OnStoreFailure,
}

impl VirtualKey {
    /// A key with its secret: what callers send as `Authorization: Bearer …`.
    pub fn new(name: impl Into<String>, secret: impl AsRef<str>) -> Self {
        Self::named(name).secret(secret)
    }

    /// A key whose secret comes from `EMBER_API_KEYS`, and only what it may do from the program.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            secrets: Vec::new(),
            has_bad_secret: false,
            models: Vec::new(),
            requests_per_minute: None,
            token_limits: None,
            spend_limit: None,
            on_store_failure: OnStoreFailure::default(),
        }
    }

    /// Adds a secret of the same key, so that one can take the place of another in peace.
    #[must_use]
    pub fn secret(mut self, secret: impl AsRef<str>) -> Self {
        let secret = secret.as_ref();
        self.has_bad_secret |= !is_token68(secret);
        self.secrets.push(Sha256::digest(secret).into());
        self
    }

    /// Allows these models and no others. To its owner there are no others.
    #[must_use]
    pub fn models<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
        self.models.extend(models.into_iter().map(Into::into));
        self
    }

    /// Bounds the requests of any minute, those for the list of models included.
    #[must_use]
    pub fn requests_per_minute(mut self, requests: u64) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// Says what becomes of its requests while the store cannot be asked in which they are counted: they are
    /// [denied](OnStoreFailure::Deny) unless it is said. Limits of tokens and money say so themselves.
    #[must_use]
    pub fn on_store_failure(mut self, policy: OnStoreFailure) -> Self {
        self.on_store_failure = policy;
        self
    }

    /// Bounds the tokens of its requests; the limits of the application and of routes hold as well.
    #[must_use]
    pub fn token_limits(mut self, limits: TokenLimits) -> Self {
        self.token_limits = Some(limits);
        self
    }

    /// Bounds the money that its requests spend. Keys that are given clones of one limit spend from it
    /// together, unless it is one [`per_principal`](SpendLimit::per_principal): then each has an account of
    /// its own.
    #[must_use]
    pub fn spend_limit(mut self, limit: SpendLimit) -> Self {
        self.spend_limit = Some(limit);
        self
    }
}

/// Neither the secret nor its digest.
impl fmt::Debug for VirtualKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualKey")
            .field("name", &self.name)
            .field("models", &self.models)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("token_limits", &self.token_limits)
            .field("spend_limit", &self.spend_limit)
            .finish_non_exhaustive()
    }
}
