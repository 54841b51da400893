use super::config::CacheConfig;
use crate::base::{Clock, task};
use crate::llm::chat::{ChatRequest, ChatResponse, FinishReason};
use crate::llm::error::Error;
use crate::llm::fingerprint::fingerprint;
use crate::llm::kept_answer::KeptAnswer;
use crate::llm::stream::{ChatEvent, Keeper};
use crate::store::{BoundedMap, Claims, Flight, Joined, LenientStore, SingleFlight, Waiting};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// The answers that are kept, and the questions that are asked.
pub(super) struct Shelf {
    pub(super) config: CacheConfig,
    clock: Clock,
    answers: Mutex<BoundedMap<Arc<ChatResponse>>>,
    shared: Option<Shared>,
    pub(super) asked: SingleFlight<Outcome>,
}

/// What a shelf says of a request.
pub(super) enum Found {
    Answer(Arc<ChatResponse>),
    /// It is to be asked for, by whoever has this turn.
    Nothing(Turn),
    /// It is to be asked for, and what comes of it is no concern of others.
    Alone,
}

/// The turn to ask. Dropped without an outcome, it leaves the turn to another.
pub(super) struct Turn {
    shelf: Arc<Shelf>,
    flight: Flight<Outcome>,
    /// Whether a budget has bounded the answer.
    is_bounded: bool,
}

/// How a question has ended.
pub(super) type Outcome = Result<Arc<ChatResponse>, Arc<Error>>;

/// The answers that all processes share.
struct Shared {
    store: LenientStore,
    prefix: String,
    claims: Claims,
}

impl Shelf {
    pub(super) fn new(config: CacheConfig, clock: Clock) -> Self {
        let answers = Mutex::new(BoundedMap::new(config.max_entries));
        let shared = config.store.clone().map(|store| {
            let (store, prefix) = (LenientStore::new(store), config.key_prefix.clone());
            let claims = Claims::lenient(store.clone(), format!("claim:{prefix}"));
            Shared { store, prefix, claims }
        });
        Self { config, clock, answers, shared, asked: SingleFlight::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BoundedMap<Arc<ChatResponse>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the answer, waits for that of an equal request, or says that it is to be asked for.
    pub(super) async fn look(
        self: &Arc<Self>,
        provider: &str,
        request: &ChatRequest,
    ) -> Result<Found, Error> {
        let asked = json!([provider, self.config.default_model]).to_string();
        let key = fingerprint(&asked, request, &request.messages);
        if let Some(answer) = self.answer(&key).await {
            return Ok(Found::Answer(answer));
        }
        let waiting = Waiting {
            clock: &self.clock,
            patience: self.config.patience,
            claims: self.shared.as_ref().map(|shared| &shared.claims),
        };
        let look = || async { self.answer(&key).await.map(Ok) };
        match self.asked.join(&key, &waiting, look).await {
            Joined::Outcome(Ok(answer)) => Ok(Found::Answer(answer)),
            Joined::Outcome(Err(error)) => Err(error.duplicate()),
            Joined::Alone => Ok(Found::Alone),
            Joined::First(flight) => {
                let is_bounded = request.billing.asked().is_some();
                Ok(Found::Nothing(Turn { shelf: self.clone(), flight, is_bounded }))
            }
        }
    }

    /// The answer of this process, or else one of another.
    async fn answer(&self, key: &str) -> Option<Arc<ChatResponse>> {
        let own = self.lock().get(key, self.clock.now()).cloned();
        if own.is_some() {
            return own;
        }
        // It stays in the store alone, where it is known when it expires.
        self.shared.as_ref()?.answer(key).await
    }
}

impl Keeper for Turn {
    fn max_answer(&self) -> usize {
        self.shelf.config.max_answer
    }

    fn size_of(&self, event: &ChatEvent) -> usize {
        // As JSON it takes no less.
        match event {
            ChatEvent::Text(piece) | ChatEvent::Reasoning(piece) | ChatEvent::Refusal(piece) => {
                piece.len()
            }
            ChatEvent::ToolCallStart { name, .. } => name.len(),
            ChatEvent::ToolCallDelta { arguments, .. } => arguments.len(),
            ChatEvent::Part(part) => serde_json::to_vec(part).map_or(usize::MAX, |json| json.len()),
            _ => 0,
        }
    }

    fn answered(mut self, answer: &ChatResponse) {
        if self.is_bounded
            && (answer.finish.reason == FinishReason::Length || !answer.dropped.is_empty())
        {
            // Others may have more to spend: theirs is longer, or is thought about where there was no room for it.
            return self.flight.alone();
        }
        let answer = Arc::new(answer.clone());
        let shelf = self.shelf;
        let Shelf { config, clock, .. } = &*shelf;
        let complete = matches!(answer.finish.reason, FinishReason::Stop | FinishReason::ToolCalls);
        if !complete || size(&answer) > config.max_answer {
            self.flight.alone_elsewhere();
            return self.flight.land(Ok(answer));
        }
        let (key, now) = (self.flight.key(), clock.now());
        shelf.lock().insert(key, answer.clone(), clock.after(config.ttl), now);
        self.flight.land(Ok(answer.clone()));
        if shelf.shared.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            // Nobody waits for the store, but those in other processes: until it has the answer, the turn is taken.
            task::spawn(&runtime, async move {
                if let (Some(shared), Some(bytes)) = (&shelf.shared, KeptAnswer::write(&answer)) {
                    let key = shared.key(self.flight.key());
                    shared.store.set(&key, bytes.into(), shelf.config.ttl).await;
                }
            });
        }
    }

    fn failed(self, error: &Error) {
        if self.is_bounded {
            // It may be the bound that was refused.
            return self.flight.alone();
        }
        self.flight.land(Err(Arc::new(error.duplicate())));
    }

    fn gave_up(self) {
        self.flight.alone();
    }
}

impl Shared {
    async fn answer(&self, key: &str) -> Option<Arc<ChatResponse>> {
        let bytes = self.store.get(&self.key(key)).await??;
        match KeptAnswer::read(&bytes) {
            Ok(answer) => Some(Arc::new(answer)),
            Err(error) => {
                tracing::warn!(error, "an answer in a store cannot be read, and is passed over");
                None
            }
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// How much an answer takes, in bytes of its JSON.
fn size(answer: &ChatResponse) -> usize {
    serde_json::to_vec(&answer.message).map_or(usize::MAX, |json| json.len())
}
