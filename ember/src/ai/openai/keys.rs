use crate::ai::TokenLimits;
use crate::ai::limiter::{CallerLimit, Limiter};
use crate::base::{Clock, Env, Finding};
use crate::llm::{Client, SpendLimit, Usd};
use crate::store::{BoxStore, BucketError, GlobalTokenBucket, OnStoreFailure};
use crate::web::middleware::is_token68;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// The variable that names keys: `team-a:secret,team-b:secret`.
pub(super) const VARIABLE: &str = "EMBER_API_KEYS";

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
    name: String,
    secrets: Vec<[u8; 32]>,
    /// One of the secrets could not stand in a header.
    has_bad_secret: bool,
    models: Vec<String>,
    requests_per_minute: Option<u64>,
    token_limits: Option<TokenLimits>,
    spend_limit: Option<SpendLimit>,
    on_store_failure: OnStoreFailure,
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

/// The keys of our own API: those of the program, and those of `EMBER_API_KEYS`.
///
/// The variable is read when the application is built: names and secrets, `team-a:secret,team-b:secret`.
/// One of a name that the program knows is another secret of that key.
#[derive(Debug, Clone, Default)]
pub struct VirtualKeys {
    keys: Vec<VirtualKey>,
    clock: Clock,
}

impl VirtualKeys {
    /// No key beside those of the variable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: VirtualKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Takes the time for limits from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds the keys of the variable, and says what is wrong with any.
    pub(super) fn settle(mut self, env: &Env, findings: &mut Vec<Finding>) -> Keyring {
        for entry in env.var(VARIABLE).iter().flat_map(|list| list.split(',')) {
            if entry.trim().is_empty() {
                continue;
            }
            // No word of the entry is told: it may be a secret without its name.
            match entry.trim().split_once(':').map(|(name, secret)| (name.trim(), secret.trim())) {
                Some((name, secret)) if !name.is_empty() => self.add_secret(name, secret),
                _ => findings.push(Finding::new(format!(
                    "{VARIABLE} holds an entry that is not of the form `name:secret`"
                ))),
            }
        }
        let mut owners: BTreeMap<[u8; 32], &str> = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        for key in &self.keys {
            let name = key.name.as_str();
            if key.name.is_empty() || names.contains(&name) {
                let wrong = if name.is_empty() { "has no name" } else { "is there twice" };
                findings.push(Finding::new(format!("the API key `{name}` {wrong}")));
            }
            names.push(name);
            if key.secrets.is_empty() {
                findings.push(Finding::new(format!(
                    "the API key `{name}` has no secret: {VARIABLE} can give it one, as `{name}:secret`"
                )));
            }
            if key.has_bad_secret {
                findings.push(Finding::new(format!(
                    "a secret of the API key `{name}` is empty, or has a character that cannot stand in a bearer token: letters, digits and `-._~+/` can, and `=` at its end"
                )));
            }
            if key.requests_per_minute == Some(0) {
                findings.push(Finding::new(format!(
                    "the API key `{name}` may make 0 requests per minute, so that none passes"
                )));
            }
            let tokens = key.token_limits.as_ref().and_then(|limits| limits.check());
            let money = key.spend_limit.as_ref().filter(|limit| limit.limit() == Usd::ZERO);
            let money = money.map(|_| "a spend limit of zero lets no request pass");
            let unnamed = key.spend_limit.as_ref().and_then(SpendLimit::fault);
            for wrong in tokens.into_iter().chain(money).chain(unnamed) {
                findings.push(Finding::new(format!("the API key `{name}`: {wrong}")));
            }
            for secret in &key.secrets {
                if let Some(other) = owners.insert(*secret, name) {
                    findings.push(Finding::new(format!(
                        "the API keys `{other}` and `{name}` have the same secret"
                    )));
                }
            }
        }
        Keyring::new(self)
    }

    fn add_secret(&mut self, name: &str, secret: &str) {
        match self.keys.iter_mut().find(|key| key.name == name) {
            Some(key) => *key = key.clone().secret(secret),
            None => self.keys.push(VirtualKey::new(name, secret)),
        }
    }
}

impl From<VirtualKey> for VirtualKeys {
    fn from(key: VirtualKey) -> Self {
        Self::new().key(key)
    }
}

impl From<Vec<VirtualKey>> for VirtualKeys {
    fn from(keys: Vec<VirtualKey>) -> Self {
        Self { keys, ..Self::default() }
    }
}

impl<const N: usize> From<[VirtualKey; N]> for VirtualKeys {
    fn from(keys: [VirtualKey; N]) -> Self {
        Vec::from(keys).into()
    }
}

/// Keys at work.
pub(super) struct Keyring {
    secrets: Vec<([u8; 32], Arc<Caller>)>,
}

/// Whoever a key belongs to, and what they have left.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) name: String,
    /// Those that may be asked; any, where there is none.
    models: Option<Arc<[String]>>,
    pub(super) limit: Option<CallerLimit>,
    pub(super) spend_limit: Option<SpendLimit>,
    pub(super) requests: Option<Requests>,
}

/// The requests of a minute.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) limit: u64,
    pub(super) bucket: GlobalTokenBucket,
}

impl Keyring {
    fn new(VirtualKeys { keys, clock }: VirtualKeys) -> Self {
        let mut secrets = Vec::new();
        for key in keys {
            let requests = key.requests_per_minute.map(|limit| Requests {
                limit,
                bucket: GlobalTokenBucket::with_clock(
                    "requests per minute",
                    limit,
                    Duration::from_secs(60),
                    clock.clone(),
                )
                .on_store_failure(key.on_store_failure),
            });
            // A key is one caller.
            let limit = key
                .token_limits
                .map(|limits| Limiter::new(limits.into(), &clock, String::new()).of(""));
            let caller = Arc::new(Caller {
                name: key.name,
                models: (!key.models.is_empty()).then(|| key.models.into()),
                limit,
                spend_limit: key.spend_limit,
                requests,
            });
            secrets.extend(key.secrets.into_iter().map(|secret| (secret, caller.clone())));
        }
        Self { secrets }
    }

    /// Tells whether some key may only ask some models.
    pub(super) fn binds_to_models(&self) -> bool {
        self.secrets.iter().any(|(_, caller)| caller.is_bound_to_models())
    }

    /// The keys that any model of a known price may be asked with, and no other.
    pub(super) fn unbound_for_money(&self) -> Vec<String> {
        let callers = self.secrets.iter().map(|(_, caller)| caller);
        let unbound = callers.filter(|caller| caller.models.is_none() && caller.needs_prices());
        unbound.map(|caller| caller.name.clone()).collect()
    }

    /// The models of keys that only models of a known price may be asked with, each with the key.
    pub(super) fn models_for_money(&self) -> impl Iterator<Item = (&str, &str)> {
        let callers = self.secrets.iter().map(|(_, caller)| caller);
        let callers = callers.filter(|caller| caller.needs_prices());
        callers.flat_map(|caller| {
            let models = caller.models.iter().flat_map(|models| &**models);
            models.map(|model| (&*caller.name, &**model))
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Keeps what is counted in the store of the application.
    pub(super) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.secrets.iter().for_each(|(_, caller)| caller.keep_in(store, notes));
    }

    /// Finds whom a secret belongs to: every one is compared, each in constant time.
    pub(super) fn find(&self, secret: &str) -> Option<&Arc<Caller>> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let (mut found, mut place) = (Choice::from(0), 0_u64);
        for (index, (known, _)) in (0_u64..).zip(&self.secrets) {
            let same = digest.ct_eq(known);
            place.conditional_assign(&index, same);
            found |= same;
        }
        let (_, caller) = self.secrets.get(usize::try_from(place).ok()?)?;
        bool::from(found).then_some(caller)
    }
}

impl Caller {
    /// The client with the limits of the key.
    pub(super) fn limits(&self, client: Client) -> Client {
        let client = self.limit.iter().cloned().fold(client, Client::budget);
        match &self.spend_limit {
            Some(limit) if limit.is_per_principal() => client.budget(limit.account(&self.name)),
            Some(limit) => client.budget(limit.clone()),
            None => client,
        }
    }

    /// Tells whether the owner of the key may ask this model.
    pub(super) fn may_ask(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|known| known == model))
    }

    /// Tells whether only models of a known price may be asked.
    fn needs_prices(&self) -> bool {
        self.spend_limit.as_ref().is_some_and(SpendLimit::refuses_unpriced)
    }

    /// Tells whether only some models may be asked.
    pub(super) fn is_bound_to_models(&self) -> bool {
        self.models.is_some()
    }

    /// The models that may be asked, where only some may.
    pub(super) fn models(&self) -> Option<Arc<[String]>> {
        self.models.clone()
    }

    /// Counts a request.
    ///
    /// # Errors
    /// How long there will be no room for another, or why nobody can tell.
    pub(super) async fn count(&self) -> Result<(), BucketError> {
        if let Some(requests) = &self.requests {
            requests.bucket.reserve(1).await?.used(1);
        }
        Ok(())
    }

    /// Keeps what is counted in the store of the application, under the name of the key.
    fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        if let Some(requests) = &self.requests {
            let name = requests.bucket.name();
            requests.bucket.keep_as(store, || format!("limit:key {}:{name}", self.name));
            store.declare(
                format!("the {name} of the API key `{}`", self.name),
                requests.limit.to_string(),
            );
        }
        if let Some(limit) = &self.limit {
            limit.keep_in(store, format!("key {}", self.name));
        }
        if let Some(limit) = &self.spend_limit {
            limit.keep_in(store, notes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(keys: VirtualKeys, variable: &str) -> (Keyring, Vec<String>) {
        let mut findings = Vec::new();
        let keyring = keys.settle(&Env::of([(VARIABLE, variable)]), &mut findings);
        (keyring, findings.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn keys_come_from_the_program_and_the_environment() {
        let keys =
            [VirtualKey::new("a", "sk-1").models(["m"]), VirtualKey::named("b").models(["m"])];
        let (keyring, findings) = settle(keys.into(), "b:sk-2, a:sk-3 ,c:sk/4,");
        assert!(findings.is_empty(), "{findings:?}");
        let name = |secret| keyring.find(secret).map(|caller| caller.name.as_str());
        assert_eq!(
            [name("sk-1"), name("sk-2"), name("sk-3"), name("sk/4")],
            [Some("a"), Some("b"), Some("a"), Some("c")]
        );
        assert_eq!([name(""), name("sk-"), name("sk-4")], [None; 3]);
        assert!(!keyring.find("sk-3").unwrap().may_ask("other"));
        assert!(keyring.find("sk/4").unwrap().may_ask("other"));
    }

    #[test]
    fn what_is_wrong_with_keys_is_told_without_their_secrets() {
        let keys = [VirtualKey::named("a"), VirtualKey::new("b", "x y"), VirtualKey::new("b", "z")];
        let (_, findings) = settle(keys.into(), "sk-naked,c:z");
        let text = findings.join("\n");
        for part in [
            "not of the form",
            "`a` has no secret",
            "a secret of the API key `b`",
            "`b` is there twice",
            "the same secret",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("sk-naked"), "{text}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", VirtualKeys::from(VirtualKey::new("a", "sk-secret")));
        assert!(
            shown.contains("\"a\"")
                && !shown.contains("sk-secret")
                && !shown.contains('['.to_string().repeat(2).as_str())
        );
    }
}
