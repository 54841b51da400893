use super::caller::Caller;
use super::virtual_key::VirtualKey;
use crate::base::Clock;
use crate::store::BoxStore;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// Keys at work.
pub(in crate::ai::openai) struct Keyring {
    secrets: Vec<([u8; 32], Arc<Caller>)>,
}

impl Keyring {
    pub(super) fn new(keys: Vec<VirtualKey>, clock: &Clock) -> Self {
        let mut secrets = Vec::new();
        for mut key in keys {
            let of_key = std::mem::take(&mut key.secrets);
            let caller = Arc::new(Caller::new(key, clock));
            secrets.extend(of_key.into_iter().map(|secret| (secret, caller.clone())));
        }
        Self { secrets }
    }

    /// Tells whether some key may only ask some models.
    pub(in crate::ai::openai) fn binds_to_models(&self) -> bool {
        self.secrets.iter().any(|(_, caller)| caller.is_bound_to_models())
    }

    /// Tells whether some key has a limit in money.
    pub(in crate::ai::openai) fn bind_to_money(&self) -> bool {
        self.secrets.iter().any(|(_, caller)| caller.spend_limit.is_some())
    }

    /// The keys that any model of a known price may be asked with, and no other.
    pub(in crate::ai::openai) fn unbound_for_money(&self) -> Vec<String> {
        let callers = self.secrets.iter().map(|(_, caller)| caller);
        let unbound =
            callers.filter(|caller| !caller.is_bound_to_models() && caller.needs_prices());
        unbound.map(|caller| caller.name.clone()).collect()
    }

    /// The models of keys that only models of a known price may be asked with, each with the key.
    pub(in crate::ai::openai) fn models_for_money(&self) -> impl Iterator<Item = (&str, &str)> {
        let callers = self.secrets.iter().map(|(_, caller)| caller);
        let callers = callers.filter(|caller| caller.needs_prices());
        callers.flat_map(|caller| caller.named_models().map(|model| (&*caller.name, model)))
    }

    pub(in crate::ai::openai) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Keeps what is counted in the store of the application.
    pub(in crate::ai::openai) fn keep_in(&self, store: &BoxStore, notes: &mut Vec<String>) {
        self.secrets.iter().for_each(|(_, caller)| caller.keep_in(store, notes));
    }

    /// Finds whom a secret belongs to: every one is compared, each in constant time.
    pub(in crate::ai::openai) fn find(&self, secret: &str) -> Option<&Arc<Caller>> {
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
