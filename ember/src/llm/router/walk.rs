//! One call on its way from model to model.

use super::billed::Billed;
use super::failover::{Failures, Verdict};
use super::model::RoutedModel;
use super::origins::Calls;
use super::{ModelRouter, Shared};
use crate::llm::chat::ChatRequest;
use crate::llm::error::{Error, ErrorKind};
use crate::llm::events::ModelFailed;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{Instant as Deadline, timeout_at};

/// A call, the models that it may still ask, and those that have failed.
pub(super) struct Walk {
    shared: Arc<Shared>,
    asked: Arc<ChatRequest>,
    places: VecDeque<usize>,
    failures: Failures,
    /// When the call must be over; `None` if that is further away than time goes.
    deadline: Option<Deadline>,
}

/// A model that is being asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    place: usize,
    started: Instant,
    /// When the next model has its turn; `None` if there is none, or that is further away than time goes.
    turn_ends: Option<Deadline>,
}

impl Attempt {
    /// The place of the model in the list of all.
    pub(super) fn place(self) -> usize {
        self.place
    }

    pub(super) fn started(self) -> Instant {
        self.started
    }
}

impl Walk {
    pub(super) fn new(router: &ModelRouter, request: &ChatRequest) -> Result<Self, Error> {
        let places = router.plan(request)?.into();
        let shared = router.shared.clone();
        let deadline = Deadline::now().checked_add(shared.deadline);
        let asked = Arc::new(request.clone());
        if asked.billing.is_open() {
            asked.billing.routed();
        }
        Ok(Self { shared, asked, places, failures: Failures::default(), deadline })
    }

    /// The next model to ask, and what it is asked.
    ///
    /// # Errors
    /// When there is none, or no time is left for it: the error of the call.
    pub(super) fn next(&mut self) -> Result<(Attempt, ChatRequest), Error> {
        let is_over = self.deadline.is_some_and(|deadline| deadline <= Deadline::now());
        if is_over && !self.failures.is_empty() {
            self.places.clear();
        }
        while let Some(place) = self.places.pop_front() {
            let model = &self.shared.models[place];
            if self.failures.admits(model) && model.gauge.enter() {
                let Shared { env, catalog, clock, .. } = &*self.shared;
                let request = model.request(&self.asked, env, catalog);
                let turn_ends = self.upcoming().and(self.halfway());
                return Ok((Attempt { place, started: clock.now(), turn_ends }, request));
            }
        }
        Err(std::mem::take(&mut self.failures).into_error())
    }

    /// Counts what a model uses, for as long as its answer is not the one that is told.
    pub(super) fn billed(&self, attempt: Attempt) -> Billed {
        Billed::new(self.model(attempt), &self.asked)
    }

    pub(super) fn model(&self, attempt: Attempt) -> &RoutedModel {
        &self.shared.models[attempt.place]
    }

    /// A model has answered, and waits for the results of these calls.
    pub(super) fn called(&self, attempt: Attempt, calls: &Calls) {
        let Shared { origins, clock, .. } = &*self.shared;
        origins.keep(&self.asked.messages, calls, attempt.place, clock);
    }

    /// How long a model has been at it.
    pub(super) fn elapsed(&self, attempt: Attempt) -> Duration {
        self.shared.clock.now().saturating_duration_since(attempt.started)
    }

    /// The next model that may be asked.
    fn upcoming(&self) -> Option<&RoutedModel> {
        let models = self.places.iter().map(|place| &self.shared.models[*place]);
        models.into_iter().find(|model| self.failures.admits(model))
    }

    /// The moment in the middle of the time that is left for the call.
    fn halfway(&self) -> Option<Deadline> {
        let now = Deadline::now();
        self.deadline.map(|deadline| now + deadline.saturating_duration_since(now) / 2)
    }

    /// Does something within the time that a model has: half of what is left for the call where there is
    /// another one to ask, or else all of it.
    ///
    /// # Errors
    /// When the time has passed: the model has failed.
    pub(super) async fn within<T>(
        &self,
        attempt: Attempt,
        work: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let Some(until) = attempt.turn_ends.or(self.deadline) else { return Ok(work.await) };
        if let Ok(outcome) = timeout_at(until, work).await {
            return Ok(outcome);
        }
        let seconds = self.shared.deadline.as_secs_f64();
        let message = match attempt.turn_ends {
            Some(_) => {
                // There is another one in its place: the next calls need not wait for this one.
                self.model(attempt).gauge.rest();
                format!(
                    "it took half of what was left of the {seconds} seconds that the models have together"
                )
            }
            None => format!("the models had {seconds} seconds together, which have passed"),
        };
        Err(Error::new(ErrorKind::Timeout, message))
    }

    /// A model has failed before anything of its answer was seen.
    ///
    /// # Errors
    /// When no other is to be asked: the error of the call.
    pub(super) async fn failed(&mut self, attempt: Attempt, error: Error) -> Result<(), Error> {
        let verdict = Verdict::of(&error);
        let model = &self.shared.models[attempt.place];
        match verdict {
            Verdict::Next | Verdict::NextAndAlarm => model.gauge.failed(&error),
            Verdict::LargerWindow | Verdict::Stop => model.gauge.refused(),
        }
        let told = error.duplicate();
        self.failures.push(model, error);
        let next = match verdict {
            Verdict::Stop => None,
            _ => self.upcoming().map(|model| model.name.as_str()),
        };
        let (name, error) = (model.name.as_str(), &told);
        match verdict {
            Verdict::NextAndAlarm => {
                tracing::error!(target: "ember::llm", model = name, next, %error, "a model cannot be used as it is configured");
            }
            _ => {
                tracing::warn!(target: "ember::llm", model = name, next, %error, "a model has failed")
            }
        }
        self.tell(attempt, &told, next).await;
        match verdict {
            Verdict::Stop => Err(std::mem::take(&mut self.failures).into_error()),
            _ => Ok(()),
        }
    }

    /// A model has failed in the middle of its answer.
    pub(super) async fn broken(&self, attempt: Attempt, error: &Error) {
        let model = self.model(attempt);
        model.gauge.failed(error);
        tracing::warn!(target: "ember::llm", model = model.name, %error, "a model has failed in the middle of its answer");
        self.tell(attempt, error, None).await;
    }

    async fn tell(&self, attempt: Attempt, error: &Error, next: Option<&str>) {
        let make = || ModelFailed {
            request: self.asked.clone(),
            model: self.model(attempt).name.clone(),
            next: next.map(str::to_owned),
            error: Arc::new(error.duplicate()),
            duration: self.elapsed(attempt),
        };
        self.shared.events.emit(make).await;
    }
}
