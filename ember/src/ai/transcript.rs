use crate::base::Error;
use crate::llm::{Message, Role, SessionChange, SessionMetadata, Turn};
use std::time::Duration;
use tokio::time::timeout;

/// How long the store may take for a turn whose reader has gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is said in a conversation, and how much of it the store knows.
pub(super) struct Transcript {
    /// Until this is dropped.
    turn: Option<Turn>,
    messages: Vec<Message>,
    /// How many of the messages are in the store as they are here; `None` when they differ.
    stored: Option<usize>,
    /// What is noted of the conversation.
    metadata: SessionMetadata,
    /// The store has other notes.
    noted: bool,
    /// What is not stored yet will be, even if nobody waits for that.
    owed: bool,
}

impl Transcript {
    /// What was said before a turn, all of it stored.
    pub(super) fn new(turn: Turn, messages: Vec<Message>) -> Self {
        let (stored, metadata) = (Some(messages.len()), turn.metadata().clone());
        Self { turn: Some(turn), stored, messages, metadata, noted: false, owed: false }
    }

    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(super) fn add(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Forgets what was said after so many messages.
    pub(super) fn go_back(&mut self, length: usize) {
        if length < self.messages.len() {
            self.edit(|messages| messages.truncate(length));
        }
    }

    /// Stores a turn that goes on after so many messages. Where that fails, or nobody waits for it any
    /// more, it is as if it had not been.
    ///
    /// With `owed` it is stored even if nobody waits for that.
    pub(super) async fn commit(
        &mut self,
        place: usize,
        turn: [Message; 2],
        owed: bool,
    ) -> Result<(), Error> {
        let place = place.min(self.messages.len());
        let (stored, owed_before) = (self.stored, self.owed);
        let cut = self.messages.split_off(place);
        if !cut.is_empty() {
            self.stored = None;
        }
        self.messages.extend(turn);
        self.owed |= owed;
        let mut commit =
            Commit { transcript: self, place, cut, stored, owed: owed_before, stays: owed };
        let saved = commit.transcript.save().await;
        commit.stays = saved.is_ok();
        saved
    }

    /// Changes what was said before.
    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut Vec<Message>)) {
        edit(&mut self.messages);
        self.stored = None;
    }

    pub(super) fn metadata(&self) -> &SessionMetadata {
        &self.metadata
    }

    /// Changes what is noted of the conversation.
    pub(super) fn note(&mut self, note: impl FnOnce(&mut SessionMetadata)) {
        note(&mut self.metadata);
        self.noted = true;
    }

    /// Stores what is not stored yet when this is dropped, at the latest.
    pub(super) fn owe(&mut self) {
        self.owed = true;
    }

    /// What is not stored when this is dropped is as if it had not been.
    pub(super) fn disown(&mut self) {
        self.owed = false;
    }

    /// Stores the messages and the notes as they are now.
    pub(super) async fn save(&mut self) -> Result<(), Error> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        let mut change = match self.stored {
            Some(stored) if stored == self.messages.len() && !self.noted => {
                self.owed = false;
                return Ok(());
            }
            Some(stored) => SessionChange::append(self.messages[stored..].to_vec()),
            None => SessionChange::replace(self.messages.clone()),
        };
        change.metadata = self.noted.then(|| self.metadata.clone());
        turn.write(change).await?;
        self.noted = false;
        self.stored = Some(self.messages.len());
        self.owed = false;
        Ok(())
    }

    /// Where the turns of a conversation begin: the questions.
    pub(super) fn questions(&self) -> impl Iterator<Item = (usize, &Message)> {
        let all = self.messages.iter().enumerate();
        all.filter(|(_, message)| message.role == Role::User)
    }
}

/// A turn that is being stored, and taken back when this is dropped unless it stays.
struct Commit<'a> {
    transcript: &'a mut Transcript,
    /// The turn stands from here on, in place of this.
    place: usize,
    cut: Vec<Message>,
    stored: Option<usize>,
    owed: bool,
    stays: bool,
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        if !self.stays {
            let Transcript { messages, stored, owed, .. } = &mut *self.transcript;
            messages.truncate(self.place);
            messages.append(&mut self.cut);
            (*stored, *owed) = (self.stored, self.owed);
        }
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        if !self.owed {
            return;
        }
        let Some(turn) = self.turn.take() else { return };
        let background = turn.background();
        let mut rest = Self {
            turn: Some(turn),
            messages: std::mem::take(&mut self.messages),
            stored: self.stored,
            metadata: std::mem::take(&mut self.metadata),
            noted: self.noted,
            owed: false,
        };
        let begun = background.spawn(async move {
            match timeout(PATIENCE, rest.save()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a turn whose reader has gone is lost"),
                Err(_) => {
                    tracing::warn!("a turn whose reader has gone is lost: the store is silent")
                }
            }
        });
        if !begun {
            tracing::warn!(
                "a turn whose reader has gone is lost: nothing is left to store it with"
            );
        }
    }
}
