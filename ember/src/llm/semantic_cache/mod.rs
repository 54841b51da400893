//! Answers from earlier questions that mean the same.
//!
//! It stands in front of everything else in a client: what is answered from here reserves no
//! tokens of a budget, runs no tool and asks no provider. `key` says what must be equal, `index`
//! finds what is near, and `guard` keeps apart what is near and means something else. With a store, `log`
//! carries answers from process to process; the search stays in the memory of each.

mod words;
mod guard;
mod index;
mod key;
mod shelf;
mod entry;
mod log;
mod settings;
mod replay;

pub use settings::{SemanticCache, SemanticCacheStats, Sharing};

pub(crate) use settings::CacheOutcome;

use self::entry::Entry;
use self::guard::Marks;
use self::index::{Match, normalised};
use self::key::Key;
use self::shelf::Kept;
use super::budget::BoxBudget;
use super::chat::{ChatRequest, ChatResponse, FinishReason};
use super::embed::Embedder as _;
use super::error::{Error, ErrorKind};
use super::message::Part;
use super::stream::{ChatEvent, Keeper};
use crate::base::task;
use crate::store::{Flight, Joined, Waiting};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How many of the nearest are looked at: where guards keep the nearest apart, another may do.
const CANDIDATES: usize = 8;

/// Up to so many vectors are searched where the request is handled, which takes less than a
/// millisecond; more, on a thread that may block, so that a worker's other requests go on.
const SEARCHED_IN_PLACE: usize = 4_096;

/// Longer than any entry is kept: a hundred years.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How a question has ended that others wait for.
#[derive(Clone)]
pub(super) enum Outcome {
    /// The answer; and how near its question was, unless it was an equal one.
    Answer(Arc<ChatResponse>, Option<f32>),
    Failed(Arc<Error>),
}

/// What the cache knows of a request.
pub(super) enum Found {
    /// The answer.
    Answer(Box<ChatResponse>),
    /// Nothing: the model is to be asked, and what comes of it to be told.
    Nothing(Option<Box<Ticket>>),
}

impl SemanticCache {
    /// Finds an answer, waits for that of an equal request, or says that the model is to be asked.
    ///
    /// An embedding is billed, too: it is made for those only who have something left in their budgets.
    ///
    /// # Errors
    /// The failure of an equal request that was waited for; or that of a budget that is used up.
    pub(super) async fn look(
        &self,
        provider: &str,
        model: Option<&str>,
        request: &ChatRequest,
        budgets: &[BoxBudget],
    ) -> Result<Found, Error> {
        let Some(tenant) = &self.tenant else {
            return Ok(self.skipped("anonymous"));
        };
        let Some(key) = Key::of(tenant, provider, model, request) else {
            return Ok(self.skipped("no-question"));
        };
        if let Some(answer) = self.exact(&key).await {
            return Ok(self.hit(&answer, None));
        }
        let waiting = Waiting {
            clock: &self.clock,
            patience: self.patience,
            claims: self.log.as_ref().map(|log| &log.claims),
        };
        let look = || async { self.exact(&key).await.map(|answer| Outcome::Answer(answer, None)) };
        let flight = match self.shared.flights.join(&key.exact, &waiting, look).await {
            Joined::First(flight) => flight,
            Joined::Outcome(Outcome::Answer(answer, similarity)) => {
                return Ok(self.hit(&answer, similarity));
            }
            Joined::Outcome(Outcome::Failed(error)) => return Err(error.duplicate()),
            Joined::Alone => {
                self.missed();
                return Ok(Found::Nothing(None));
            }
        };
        for budget in budgets {
            budget.check().await?;
        }
        let era = self.log.as_ref().and_then(|log| log.era());
        let cache = self.clone();
        let mut ticket =
            Ticket { cache, flight, key, vector: None, marks: None, era, is_bounded: false };
        if let Some((answer, similarity)) = ticket.nearest().await {
            ticket.flight.land(Outcome::Answer(answer.clone(), Some(similarity)));
            return Ok(self.hit(&answer, Some(similarity)));
        }
        self.missed();
        Ok(Found::Nothing(Some(Box::new(ticket))))
    }

    /// The answer to the same request, of this process or of another one.
    async fn exact(&self, key: &Key) -> Option<Arc<ChatResponse>> {
        let shelf = &self.shared.shelf;
        if let Some(log) = &self.log {
            let Self { clock, max_entries, max_bytes, .. } = self;
            let (max_entries, max_bytes) = (*max_entries, *max_bytes);
            let reader = log::Reader { shelf, clock, max_entries, max_bytes };
            log.catch_up(&self.name_of_space(key), key, &reader).await;
        }
        shelf.exact(key, self.clock.now())
    }

    /// What the space of a question is called in the store.
    fn name_of_space(&self, key: &Key) -> String {
        log::name_of_space(self.shared.embedder.name(), key)
    }

    fn hit(&self, answer: &ChatResponse, similarity: Option<f32>) -> Found {
        let answer = answer.replayed(similarity.map_or(1.0, |near| near.clamp(0.0, 1.0)));
        self.count_hit(similarity);
        Found::Answer(Box::new(answer))
    }

    fn skipped(&self, why: &'static str) -> Found {
        self.count_skipped(why);
        Found::Nothing(None)
    }

    /// The vector of a question. Without one, the model is asked: a cache must not be what fails.
    async fn embed(&self, question: &str) -> Option<Vec<f32>> {
        let question = [question];
        let work = self.shared.embedder.embed(&question);
        let embedded = tokio::select! {
            embedded = work => embedded,
            () = self.clock.sleep(self.embed_timeout) => {
                self.count_failure();
                tracing::warn!(limit = ?self.embed_timeout, "a question was not embedded in time; the model is asked");
                return None;
            }
        };
        match embedded {
            Ok(mut embeddings) => {
                self.count_usage(embeddings.usage);
                let vector = embeddings.vectors.pop().and_then(normalised);
                if vector.is_none() {
                    self.count_failure();
                    tracing::warn!(
                        "no vector with a direction came for a question; the model is asked"
                    );
                }
                vector
            }
            Err(error) => {
                self.count_failure();
                tracing::warn!(%error, "a question was not embedded; the model is asked");
                None
            }
        }
    }
}

/// The turn to ask the model. Dropped without an answer, it leaves the turn to another.
pub(super) struct Ticket {
    cache: SemanticCache,
    flight: Flight<Outcome>,
    key: Key,
    /// The vector of the question, where it has one.
    vector: Option<Vec<f32>>,
    marks: Option<Marks>,
    /// The era of the store in which it was asked.
    era: Option<String>,
    /// A budget has bounded the answer.
    is_bounded: bool,
}

impl Ticket {
    /// The answer to the nearest question that means the same.
    async fn nearest(&mut self) -> Option<(Arc<ChatResponse>, f32)> {
        let Self { cache, key, .. } = self;
        let question = key.question.as_deref().filter(|text| text.len() <= cache.max_question)?;
        let vector = cache.embed(question).await?;
        let marks = cache.guards.then(|| Marks::of(question));
        let matches = match cache.shared.shelf.space(key) {
            Some(index) => search(index, vector.clone(), cache.threshold).await,
            None => Vec::new(),
        };
        let picked = cache.shared.shelf.pick(&matches, marks.as_ref(), cache.clock.now());
        cache.count_guards(&picked.guards);
        (self.vector, self.marks) = (Some(vector), marks);
        picked.answer
    }

    /// The request as it is sent is another one than was asked: says so.
    pub(super) fn sent(&mut self, request: &ChatRequest) {
        self.is_bounded = request.billing.asked().is_some();
    }

    /// Tells the other processes of an answer. Those that wait for it do so until they can read it, and
    /// nobody else waits for the store.
    fn share(self, answer: &ChatResponse) {
        let Self { cache, flight, key, vector, era, .. } = self;
        let (Some(log), Some(era)) = (cache.log.clone(), era) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let expires = cache.clock.date().checked_add(cache.ttl);
        let space = cache.name_of_space(&key);
        let entry = Entry {
            exact: key.exact,
            question: key.question.zip(vector),
            answer: answer.clone(),
            expires: expires.unwrap_or_else(|| cache.clock.date() + FAR),
        };
        let Some(entry) = entry.write() else { return };
        task::spawn(&runtime, async move {
            if log.append(&space, entry, cache.ttl, &era, &cache.clock).await.is_none() {
                tracing::debug!("an answer was not shared with other processes");
            }
            drop(flight);
        });
    }

    /// Tells whether an answer is complete, said in words, and the same whoever asks.
    fn may_keep(&self, answer: &ChatResponse) -> bool {
        let is_said = |part: &Part| matches!(part, Part::Text(_) | Part::Reasoning(_));
        answer.finish.reason == FinishReason::Stop
            && answer.message.content.iter().all(is_said)
            && !answer.text().trim().is_empty()
            && (answer.steps.is_empty() || self.cache.tool_answers)
            // What there was no room for under the bound of one caller is left out for that one only.
            && (answer.dropped.is_empty() || !self.is_bounded)
    }
}

impl Keeper for Ticket {
    fn max_answer(&self) -> usize {
        self.cache.max_answer
    }

    fn size_of(&self, event: &ChatEvent) -> usize {
        match event {
            ChatEvent::Text(piece) | ChatEvent::Reasoning(piece) => piece.len(),
            // What led to an answer is not kept with it.
            _ => 0,
        }
    }

    fn answered(self, answer: &ChatResponse) {
        let cache = &self.cache;
        let size = serde_json::to_vec(&answer.message).map_or(usize::MAX, |json| json.len());
        if !self.may_keep(answer) || size > cache.max_answer {
            return self.flight.alone();
        }
        let mut answer = answer.clone();
        // What led to it is no part of an answer that is given to others.
        answer.steps.clear();
        let answer = Arc::new(answer);
        let now = cache.clock.now();
        let kept = Kept {
            key: self.key.clone(),
            answer: answer.clone(),
            size,
            vector: self.vector.clone(),
            marks: self.marks.clone(),
            expires: cache.clock.after(cache.ttl),
        };
        cache.shared.shelf.insert(kept, cache.max_entries, cache.max_bytes, now);
        self.flight.land(Outcome::Answer(answer.clone(), None));
        self.share(&answer);
    }

    fn failed(self, error: &Error) {
        // The others are told if they would have met with the same. Otherwise the turn is left to another.
        if is_the_callers_own(error) {
            return;
        }
        if self.is_bounded {
            // It may be the bound that was refused, and others may have more to spend.
            self.flight.alone();
        } else {
            self.flight.land(Outcome::Failed(Arc::new(error.duplicate())));
        }
    }

    fn gave_up(self) {
        self.flight.alone();
    }
}

/// Tells whether an error comes of what one caller has, such as its budget, and not of the question.
fn is_the_callers_own(error: &Error) -> bool {
    use ErrorKind::{BudgetExceeded, Cancelled, Config, Session, ToolLimit};
    matches!(error.kind(), BudgetExceeded | Cancelled | Config | Session | ToolLimit)
}

/// Searches a space.
async fn search(index: Arc<index::Index>, vector: Vec<f32>, threshold: f32) -> Vec<Match> {
    if index.len() <= SEARCHED_IN_PLACE {
        return index.nearest(&vector, threshold, CANDIDATES);
    }
    let work = move || index.nearest(&vector, threshold, CANDIDATES);
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

pub(super) use replay::{kept_stream, replayed_stream};
