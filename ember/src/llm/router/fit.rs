//! Whether a model can serve a request.

use super::model::RoutedModel;
use super::needs::Needs;
use crate::llm::catalog::Capability;
use crate::llm::error::{Error, ErrorKind};
use std::fmt;

/// Something that a model lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    Tools,
    JsonSchema,
    Images,
    Reasoning,
    Window,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tools => "tools",
            Self::JsonSchema => "answers of a JSON schema",
            Self::Images => "images",
            Self::Reasoning => "reasoning",
            Self::Window => "a window for so long a conversation",
        })
    }
}

impl Needs {
    /// What a model is known to lack. What is not known is not held against it.
    pub(super) fn lacking(&self, model: &RoutedModel) -> Vec<Lack> {
        let missing = |capability: &&Capability| model.can(**capability) == Some(false);
        let capabilities = self.capabilities.iter().filter(missing);
        let mut lacking: Vec<_> = capabilities.map(|capability| lack_of(*capability)).collect();
        if model.window.is_some_and(|window| self.clearly_exceeds(window)) {
            lacking.push(Lack::Window);
        }
        lacking
    }

    /// Tells whether a model is known to have all that is needed, its window included.
    pub(super) fn surely_met(&self, model: &RoutedModel) -> bool {
        let can = |capability: &Capability| model.can(*capability) == Some(true);
        self.capabilities.iter().all(can)
            && model.window.is_some_and(|window| self.prompt <= window)
    }

    /// The error of a request that none of these models can serve.
    pub(super) fn unmet<'a>(&self, models: impl Iterator<Item = &'a RoutedModel>) -> Error {
        let mut all: Vec<_> = models.map(|model| (model, self.lacking(model))).collect();
        // One that would do for a shorter conversation makes that the reason.
        if all.iter().any(|(_, lacking)| lacking[..] == [Lack::Window]) {
            let windows = all.iter().filter_map(|(model, _)| model.window).max();
            let message = format!(
                "the conversation has about {} tokens, and no model reads more than {}",
                self.prompt,
                windows.unwrap_or_default()
            );
            return Error::new(ErrorKind::ContextLength, message);
        }
        all.sort_by_key(|(_, lacking)| lacking.len());
        let told: Vec<_> = all
            .iter()
            .map(|(model, lacking)| {
                let lacking: Vec<_> = lacking.iter().map(Lack::to_string).collect();
                format!("`{}` lacks {}", model.name, lacking.join(" and "))
            })
            .collect();
        let message = format!("no model can serve this request: {}", told.join("; "));
        let error = Error::new(ErrorKind::InvalidRequest, message);
        match self.forces_tool && all.iter().any(|(_, lacking)| lacking.contains(&Lack::Tools)) {
            // Whoever has forced the tool only to get an answer of a form can ask in another way.
            true => error.with_code("tool_choice"),
            false => error,
        }
    }

    /// An estimate may be off by a quarter; within that, the provider has the word.
    fn clearly_exceeds(&self, window: u64) -> bool {
        self.prompt > window.saturating_add(window / 4)
    }
}

fn lack_of(capability: Capability) -> Lack {
    match capability {
        Capability::JsonSchema => Lack::JsonSchema,
        Capability::Vision => Lack::Images,
        Capability::Reasoning => Lack::Reasoning,
        _ => Lack::Tools,
    }
}
