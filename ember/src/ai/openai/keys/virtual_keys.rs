use super::keyring::Keyring;
use super::virtual_key::VirtualKey;
use crate::base::{Clock, Env, Finding};
use crate::llm::{SpendLimit, Usd};
use std::collections::BTreeMap;

/// The variable that names keys: `team-a:secret,team-b:secret`.
pub(in crate::ai::openai) const VARIABLE: &str = "EMBER_API_KEYS";

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
    pub(in crate::ai::openai) fn settle(
        mut self,
        env: &Env,
        findings: &mut Vec<Finding>,
    ) -> Keyring {
        let list = env.var(VARIABLE).unwrap_or_default();
        for (number, entry) in (1..).zip(list.split(',')) {
            if entry.trim().is_empty() {
                continue;
            }
            // No word of the entry is told: it may be a secret without its name.
            match entry.trim().split_once(':').map(|(name, secret)| (name.trim(), secret.trim())) {
                Some((name, secret)) if !name.is_empty() => self.add_secret(name, secret),
                _ => findings.push(Finding::new(format!(
                    "entry {number} of {VARIABLE} is not of the form `name:secret`"
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
        Keyring::new(self.keys, &self.clock)
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
        let (_, findings) = settle(keys.into(), "c:z, sk-naked");
        let text = findings.join("\n");
        for part in [
            "entry 2 of EMBER_API_KEYS is not of the form",
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
