use super::{History, SessionChange, SessionMetadata, SessionQuery, SessionStore, SessionSummary};
use crate::base::{Clock, Error, ErrorKind, random_id};
use crate::llm::message::Message;
use crate::store::{BoxStore, Capability, StoreLock};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

/// How many pieces of one level become one of the next.
const FAN_IN: usize = 16;

/// How many keys are asked for at a time, and how many values.
const PAGE: usize = 256;

/// How often a conversation is read that is changed at the same time.
const ATTEMPTS: usize = 4;

/// How large a piece may become that is made of others, in bytes. Larger ones stay apart.
const MAX_MERGED: usize = 1 << 20;

/// How long it may take to list conversations.
const LISTING: Duration = Duration::from_secs(10);

/// Keeps conversations in a [`Store`](crate::store::Store): in a file, or on a server that many
/// processes share.
///
/// A turn is written as a piece of its own, and then the head of the conversation, which lists the
/// pieces, is changed in one step. So a turn costs what it says, however long the conversation is,
/// and nobody ever reads half of it: a piece that no head names does not exist. Of small pieces
/// sixteen become a larger one, so that a head stays short; each message is written again with the
/// logarithm of the length, up to pieces of 1 MiB.
///
/// Each turn holds a lock of the store, so that the turns of one conversation follow each
/// other across processes; when a process dies its lock expires. Should it expire under a
/// holder that lives, the later of two writers gets a conflict, as the version has moved on.
///
/// A conversation that has lost a piece, as on a server that forgets what it has no room for, cannot
/// be gone on with: it is told as an error until it is deleted, and nothing else of it is lost.
///
/// To list conversations looks through the keys of the store, which on Redis are those of the whole database: it is for
/// a database of its own, and ends in status 503 after ten seconds.
pub struct StoreSessions {
    store: BoxStore,
    ttl: Duration,
    hold: Duration,
    clock: Clock,
}

/// What is known of a conversation without its messages.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u64,
    /// Microseconds since 1970.
    changed: u64,
    messages: usize,
    #[serde(default)]
    metadata: SessionMetadata,
    pieces: Vec<Piece>,
}

/// Messages that follow each other, under a key of their own.
#[derive(Clone, Serialize, Deserialize)]
struct Piece {
    id: String,
    /// 0 for a turn; one more than what it was made of.
    level: u8,
    /// How large it is.
    bytes: usize,
    /// When it expires, in microseconds since 1970: it must be renewed before that.
    expires: u64,
}

impl StoreSessions {
    /// Keeps each conversation for thirty days after its last turn. A lock whose holder has died is
    /// free after ten seconds.
    ///
    /// # Errors
    /// When the store cannot do what conversations need.
    pub fn new(store: impl Into<BoxStore>) -> Result<Self, Error> {
        let store = store.into();
        let needs = [Capability::Scan, Capability::Lock];
        let lacks: Vec<_> = needs
            .into_iter()
            .filter(|need| !store.can(*need))
            .map(|need| need.to_string())
            .collect();
        if !lacks.is_empty() {
            let (name, lacks) = (store.name(), lacks.join(", nor "));
            let message = format!("conversations cannot be kept in {name}, which cannot {lacks}");
            return Err(Error::bad_request(message));
        }
        let (ttl, hold) = (Duration::from_secs(30 * 24 * 60 * 60), Duration::from_secs(10));
        Ok(Self { store, ttl, hold, clock: Clock::system() })
    }

    /// Sets how long a conversation is kept after its last turn; [`Duration::MAX`] is for ever.
    ///
    /// A process that dies after it has written a turn, and before the conversation names it, leaves what
    /// it wrote behind: the messages of one turn, or a few that were to be joined, which nobody ever
    /// reads. They expire after twice this time; with [`Duration::MAX`] they stay. Ten years are for
    /// ever to most conversations, and clean up.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets after what time the lock of a process that has died is free. While the process lives
    /// its lock is renewed.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Takes the time from this clock; what the store forgets is its own clock's matter.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn now(&self) -> u64 {
        let since = self.clock.date().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// Pieces live twice as long as heads, so that none of a conversation that is used need be
    /// renewed more often than once in its time.
    fn ttl_of_pieces(&self) -> Duration {
        self.ttl.saturating_mul(2)
    }

    /// Tells whether a piece would not live as long as the head that is written now. What it was
    /// given when it was written counts, whatever is given today.
    fn is_worn(&self, piece: &Piece, now: u64) -> bool {
        piece.expires < after(now, self.ttl)
    }

    async fn head(&self, id: &str) -> Result<Option<(Head, Bytes)>, Error> {
        let Some(bytes) = self.store.get(&head_key(id)).await? else { return Ok(None) };
        Ok(Some((parse(&bytes)?, bytes)))
    }

    /// The bytes of pieces; `None` if one is gone.
    async fn read(&self, id: &str, pieces: &[Piece]) -> Result<Option<Vec<Bytes>>, Error> {
        let mut all = Vec::with_capacity(pieces.len());
        for page in pieces.chunks(PAGE) {
            let values = page.iter().map(|piece| async {
                let key = piece_key(id, piece);
                self.store.get(&key).await
            });
            for value in try_join_all(values).await? {
                let Some(value) = value else { return Ok(None) };
                all.push(value);
            }
        }
        Ok(Some(all))
    }

    async fn add(&self, id: &str, level: u8, messages: Vec<u8>, now: u64) -> Result<Piece, Error> {
        let expires = after(now, self.ttl_of_pieces());
        let piece = Piece { id: random_id()?, level, bytes: messages.len(), expires };
        self.store.set(&piece_key(id, &piece), messages, self.ttl_of_pieces()).await?;
        Ok(piece)
    }

    /// Forgets pieces that no head names. One that cannot be forgotten now expires.
    async fn forget(&self, id: &str, pieces: &[Piece]) {
        for page in pieces.chunks(PAGE) {
            let gone = page.iter().map(|piece| async {
                let key = piece_key(id, piece);
                self.store.delete(&key).await
            });
            for error in join_all(gone).await.into_iter().filter_map(Result::err) {
                tracing::debug!(error = %error, "a part of a conversation was left behind");
            }
        }
    }

    /// Makes one piece of the last sixteen as long as they are of one level and not too large, and
    /// returns the piece and those that it is made of.
    async fn merge(
        &self,
        id: &str,
        pieces: &mut Vec<Piece>,
        now: u64,
    ) -> Result<(Vec<Piece>, Vec<Piece>), Error> {
        let (mut made, mut merged) = (Vec::new(), Vec::new());
        while let Some(start) = pieces.len().checked_sub(FAN_IN)
            && let Some(level) = pieces.last().map(|piece| piece.level)
            && level < u8::MAX
            && pieces[start..].iter().all(|piece| piece.level == level)
            && pieces[start..].iter().map(|piece| piece.bytes).sum::<usize>() <= MAX_MERGED
        {
            let bytes = self.read(id, &pieces[start..]).await?.ok_or_else(lost)?;
            let piece = self.add(id, level + 1, join(&bytes), now).await?;
            merged.extend(pieces.drain(start..));
            made.push(piece.clone());
            pieces.push(piece);
        }
        Ok((made, merged))
    }

    /// Writes pieces anew that would expire before the head does.
    async fn renew(&self, id: &str, pieces: &mut [Piece], now: u64) -> Result<(), Error> {
        for piece in pieces.iter_mut().filter(|piece| self.is_worn(piece, now)) {
            let bytes = self.read(id, std::slice::from_ref(piece)).await?;
            let bytes = bytes.and_then(|mut bytes| bytes.pop()).ok_or_else(lost)?;
            piece.expires = after(now, self.ttl_of_pieces());
            // What is under the key does not change, so that whoever reads at this moment sees the same.
            self.store.set(&piece_key(id, piece), bytes, self.ttl_of_pieces()).await?;
        }
        Ok(())
    }

    /// Puts a head in place of what was expected; tells whether it stands there.
    ///
    /// A store that was asked twice, because its first answer got lost, says that something else
    /// stands there, and so it may be with one that gave no answer in time: what stands there tells.
    async fn put_head(
        &self,
        id: &str,
        expected: Option<Bytes>,
        head: &Bytes,
    ) -> Result<bool, Error> {
        let key = head_key(id);
        match self.store.compare_and_set(&key, expected, head.clone(), self.ttl).await {
            Ok(true) => Ok(true),
            Ok(false) => Ok(self.store.get(&key).await?.as_ref() == Some(head)),
            Err(error) => match self.store.get(&key).await {
                Ok(Some(present)) if present == *head => Ok(true),
                _ => Err(error),
            },
        }
    }

    /// Adds to a page what belongs on it, and drops what does not fit any more.
    async fn collect(
        &self,
        ids: &[String],
        page: &SessionQuery,
        found: &mut Vec<SessionSummary>,
    ) -> Result<(), Error> {
        let heads = try_join_all(ids.iter().map(|id| self.head(id))).await?;
        for (id, head) in ids.iter().zip(heads) {
            // It may have been forgotten between the list and this.
            let Some((head, _)) = head else { continue };
            let changed = SystemTime::UNIX_EPOCH + Duration::from_micros(head.changed);
            if page.includes(changed, id) {
                let summary = SessionSummary::new(id, changed).messages(head.messages);
                found.push(summary.metadata(head.metadata));
            }
        }
        found.sort_by(|a, b| b.changed.cmp(&a.changed).then_with(|| a.id.cmp(&b.id)));
        found.truncate(page.limit);
        Ok(())
    }
}

/// The braces keep a conversation on one node of a cluster, where its writes stay in their order: a
/// replica that takes over never has a head without its pieces.
fn head_key(id: &str) -> String {
    format!("conversation:{{{id}}}")
}

fn piece_key(id: &str, piece: &Piece) -> String {
    format!("turn:{{{id}}}:{}", piece.id)
}

/// What the keys of heads begin with whose ids begin so.
fn head_keys(prefix: &str) -> String {
    format!("conversation:{{{prefix}")
}

/// A moment after another, in microseconds; the last there is for what lasts for ever.
fn after(now: u64, time: Duration) -> u64 {
    now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn changed() -> Error {
    Error::conflict("The conversation was changed or forgotten during this turn.")
}

fn lost() -> Error {
    let message = "The conversation has lost a part. Only deleting it begins it anew.";
    Error::new(ErrorKind::Internal, message)
}

/// What is stored is ours; what cannot be read was written by something else.
fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(Error::internal)
}

/// One list in JSON of several, none of which is empty.
fn join(lists: &[Bytes]) -> Vec<u8> {
    let mut all = Vec::with_capacity(lists.iter().map(Bytes::len).sum());
    for list in lists {
        let inner = list.strip_prefix(b"[").and_then(|list| list.strip_suffix(b"]"));
        all.push(if all.is_empty() { b'[' } else { b',' });
        all.extend_from_slice(inner.unwrap_or_default());
    }
    all.push(b']');
    all
}

impl SessionStore for StoreSessions {
    type Lock = StoreLock;

    async fn load(&self, id: &str) -> Result<History, Error> {
        let mut seen = None;
        for _ in 0..ATTEMPTS {
            let Some((head, _)) = self.head(id).await? else { return Ok(History::default()) };
            if let Some(pieces) = self.read(id, &head.pieces).await? {
                let mut messages = Vec::with_capacity(head.messages);
                for piece in pieces {
                    messages.extend(parse::<Vec<Message>>(&piece)?);
                }
                return Ok(History::new(messages, head.version).metadata(head.metadata));
            }
            // A turn that ended at this moment has put others in their place.
            if seen == Some(head.version) {
                return Err(lost());
            }
            seen = Some(head.version);
        }
        Err(Error::conflict("The conversation is changed too often to be read."))
    }

    async fn write(&self, id: &str, version: u64, change: SessionChange) -> Result<u64, Error> {
        let SessionChange { messages, replaces, metadata } = change;
        let present = self.head(id).await?;
        if present.as_ref().map_or(0, |(head, _)| head.version) != version {
            return Err(changed());
        }
        let (before, expected) = present.unzip();
        let mut before = before.unwrap_or(Head {
            version: 0,
            changed: 0,
            messages: 0,
            metadata: SessionMetadata::new(),
            pieces: Vec::new(),
        });
        let now = self.now();
        let (mut pieces, mut unneeded) = match replaces {
            true => (Vec::new(), std::mem::take(&mut before.pieces)),
            false => (std::mem::take(&mut before.pieces), Vec::new()),
        };
        let count = if replaces { 0 } else { before.messages } + messages.len();
        let mut made = Vec::new();
        if !messages.is_empty() {
            let bytes = serde_json::to_vec(&messages).map_err(Error::internal)?;
            made.push(self.add(id, 0, bytes, now).await?);
            pieces.extend(made.last().cloned());
        }
        self.renew(id, &mut pieces, now).await?;
        let mut fewer = pieces.clone();
        match self.merge(id, &mut fewer, now).await {
            Ok((new, merged)) => {
                made.extend(new);
                unneeded.extend(merged);
                pieces = fewer;
            }
            // They can stay as they are.
            Err(error) => tracing::debug!(error = %error, "a conversation was not tidied up"),
        }
        let head = Head {
            // The time, so that no number comes again even for a conversation that was forgotten.
            version: now.max(version + 1),
            changed: now,
            messages: count,
            metadata: metadata.unwrap_or(before.metadata),
            pieces,
        };
        let bytes = Bytes::from(serde_json::to_vec(&head).map_err(Error::internal)?);
        // If this fails nobody knows whether it happened: what was written before must stay.
        if !self.put_head(id, expected, &bytes).await? {
            self.forget(id, &made).await;
            return Err(changed());
        }
        self.forget(id, &unneeded).await;
        Ok(head.version)
    }

    async fn delete(&self, id: &str) -> Result<bool, Error> {
        let Some((head, _)) = self.head(id).await? else { return Ok(false) };
        let was_there = self.store.delete(&head_key(id)).await?;
        self.forget(id, &head.pieces).await;
        Ok(was_there)
    }

    async fn exists(&self, id: &str) -> Result<bool, Error> {
        self.store.exists(&head_key(id)).await
    }

    async fn list(&self, page: SessionQuery) -> Result<Vec<SessionSummary>, Error> {
        let listing = tokio::time::timeout(LISTING, self.look_through(&page));
        listing.await.unwrap_or_else(|_| {
            let message = format!("The conversations could not be listed within {LISTING:?}.");
            Err(Error::new(ErrorKind::Unavailable, message))
        })
    }

    async fn lock(&self, id: &str) -> Result<StoreLock, Error> {
        self.store.lock(&head_key(id), self.hold).await
    }
}

impl StoreSessions {
    /// The conversations that the keys of the store tell of.
    async fn look_through(&self, page: &SessionQuery) -> Result<Vec<SessionSummary>, Error> {
        let (mut found, mut cursor, mut seen) = (Vec::new(), None::<String>, BTreeSet::new());
        let begin = head_keys(&page.prefix);
        loop {
            let keys = self.store.scan(&begin, cursor.as_deref(), PAGE).await?;
            let ids = keys
                .keys
                .iter()
                .filter_map(|key| key.strip_prefix(&head_keys(""))?.strip_suffix('}'));
            // A store may tell a key twice.
            let ids: Vec<_> =
                ids.filter(|&id| seen.insert(id.to_owned())).map(str::to_owned).collect();
            for ids in ids.chunks(PAGE) {
                self.collect(ids, page, &mut found).await?;
            }
            cursor = keys.cursor;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }
}

impl fmt::Debug for StoreSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSessions")
            .field("store", &self.store)
            .field("ttl", &self.ttl)
            .field("hold", &self.hold)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, secs};
    use crate::store::flaky::Flaky;
    use crate::store::{MemoryStore, Store as _};

    fn said(number: usize) -> Message {
        Message::user(format!("turn {number}"))
    }

    async fn keys(store: &MemoryStore) -> usize {
        store.scan("", None, usize::MAX).await.unwrap().keys.len()
    }

    #[tokio::test]
    async fn many_turns_stay_in_order_in_few_pieces() {
        let kept = MemoryStore::new();
        let sessions = StoreSessions::new(kept.clone()).unwrap();
        let mut version = 0;
        for number in 0..300 {
            let change = SessionChange::append(vec![said(number)]);
            version = sessions.write("a", version, change).await.unwrap();
        }
        let history = sessions.load("a").await.unwrap();
        assert_eq!(history.messages, (0..300).map(said).collect::<Vec<_>>());
        assert_eq!(history.version, version);
        // 300 = 1 · 256 + 2 · 16 + 12, and the head.
        assert_eq!(keys(&kept).await, 1 + 2 + 12 + 1);
        let change = SessionChange::replace(vec![said(7)]);
        sessions.write("a", version, change).await.unwrap();
        assert_eq!(sessions.load("a").await.unwrap().messages, [said(7)]);
        assert_eq!(keys(&kept).await, 2);
        assert!(sessions.delete("a").await.unwrap());
        assert_eq!(keys(&kept).await, 0);
    }

    #[tokio::test]
    async fn a_version_is_written_once_and_never_comes_again() {
        let kept = MemoryStore::new();
        let sessions = StoreSessions::new(kept.clone()).unwrap();
        let change = || SessionChange::append(vec![said(1)]);
        let first = sessions.write("a", 0, change()).await.unwrap();
        assert_eq!(sessions.write("a", 0, change()).await.unwrap_err().status(), 409);
        let second = sessions.write("a", first, change()).await.unwrap();
        assert_eq!(sessions.write("a", first, change()).await.unwrap_err().status(), 409);
        assert!(second > first);
        assert_eq!(keys(&kept).await, 3, "what was refused left nothing");
        assert!(sessions.delete("a").await.unwrap());
        assert_eq!(sessions.write("a", second, change()).await.unwrap_err().status(), 409);
        assert!(sessions.write("a", 0, change()).await.unwrap() > second);
    }

    #[tokio::test]
    async fn what_was_written_is_not_taken_for_that_of_another() {
        let store = Flaky::new(MemoryStore::new()).capable(Capability::ALL);
        store.deny_what_it_did();
        let sessions = StoreSessions::new(store).unwrap();
        let first = sessions.write("a", 0, SessionChange::append(vec![said(1)])).await.unwrap();
        sessions.write("a", first, SessionChange::append(vec![said(2)])).await.unwrap();
        assert_eq!(sessions.load("a").await.unwrap().messages, [said(1), said(2)]);
        let late = sessions.write("a", first, SessionChange::append(vec![said(3)])).await;
        assert_eq!(late.unwrap_err().status(), 409);
        assert_eq!(sessions.load("a").await.unwrap().messages, [said(1), said(2)]);
    }

    #[tokio::test]
    async fn what_is_used_does_not_expire_and_what_is_not_does() {
        let hands = ManualClock::new();
        let kept = MemoryStore::new().clock(hands.clock());
        let sessions =
            StoreSessions::new(kept.clone()).unwrap().ttl(secs(100)).clock(hands.clock());
        let mut version = 0;
        for number in 0..10 {
            let change = SessionChange::append(vec![said(number)]);
            version = sessions.write("a", version, change).await.unwrap();
            hands.advance(secs(90));
        }
        assert_eq!(sessions.load("a").await.unwrap().messages.len(), 10);
        hands.advance(secs(10));
        assert_eq!(sessions.load("a").await.unwrap(), History::default());
    }

    #[tokio::test]
    async fn a_conversation_that_lost_a_part_is_an_error_until_it_is_deleted() {
        let kept = MemoryStore::new();
        let sessions = StoreSessions::new(kept.clone()).unwrap();
        let first = sessions.write("a", 0, SessionChange::append(vec![said(1)])).await.unwrap();
        sessions.write("a", first, SessionChange::append(vec![said(2)])).await.unwrap();
        let lost = kept.scan("turn:{a}:", None, 1).await.unwrap().keys.remove(0);
        assert!(kept.delete(&lost).await.unwrap());
        let error = sessions.load("a").await.unwrap_err();
        assert_eq!(error.status(), 500);
        assert!(error.message().contains("deleting"), "{error}");
        assert_eq!(keys(&kept).await, 2, "nothing else is lost");
        assert!(sessions.delete("a").await.unwrap());
        sessions.write("a", 0, SessionChange::append(vec![said(3)])).await.unwrap();
        assert_eq!(sessions.load("a").await.unwrap().messages, [said(3)]);
    }

    #[tokio::test]
    async fn pieces_live_as_long_as_the_head_also_when_it_is_given_longer() {
        let hands = ManualClock::new();
        let kept = MemoryStore::new().clock(hands.clock());
        let sessions =
            |ttl| StoreSessions::new(kept.clone()).unwrap().ttl(ttl).clock(hands.clock());
        let short = sessions(secs(10));
        let version = short.write("a", 0, SessionChange::append(vec![said(1)])).await.unwrap();
        hands.advance(secs(5));
        let long = sessions(Duration::MAX);
        long.write("a", version, SessionChange::append(vec![said(2)])).await.unwrap();
        hands.advance(secs(1_000_000));
        assert_eq!(long.load("a").await.unwrap().messages, [said(1), said(2)]);
    }

    #[tokio::test]
    async fn large_turns_stay_apart() {
        let kept = MemoryStore::new();
        let sessions = StoreSessions::new(kept.clone()).unwrap();
        let mut version = 0;
        for _ in 0..20 {
            let change = SessionChange::append(vec![Message::user("x".repeat(MAX_MERGED / 15))]);
            version = sessions.write("a", version, change).await.unwrap();
        }
        assert_eq!(keys(&kept).await, 1 + 20);
        assert_eq!(sessions.load("a").await.unwrap().messages.len(), 20);
    }

    #[tokio::test]
    async fn conversations_are_listed_the_latest_first() {
        let hands = ManualClock::new();
        let sessions = StoreSessions::new(MemoryStore::new()).unwrap().clock(hands.clock());
        for id in ["ann/1", "bob/1", "ann/2", "ann/3"] {
            hands.advance(secs(1));
            let metadata = [("id".to_owned(), id.into())].into_iter().collect();
            let change = SessionChange::append(vec![said(1), said(2)]).metadata(metadata);
            sessions.write(id, 0, change).await.unwrap();
        }
        let page = sessions.list(SessionQuery::new("ann/", 2)).await.unwrap();
        let ids: Vec<_> = page.iter().map(|summary| summary.id.as_str()).collect();
        assert_eq!(ids, ["ann/3", "ann/2"]);
        assert_eq!((page[0].messages, &page[0].metadata["id"]), (2, &"ann/3".into()));
        let rest = SessionQuery::new("ann/", 2).after(page[1].changed, "ann/2");
        let rest = sessions.list(rest).await.unwrap();
        assert_eq!((rest.len(), rest[0].id.as_str()), (1, "ann/1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_takes_too_long_is_given_up() {
        let flaky = Flaky::new(MemoryStore::new()).capable(Capability::ALL);
        let sessions = StoreSessions::new(flaky.clone());
        let sessions = sessions.unwrap();
        flaky.take_its_time(11_000);
        let error = sessions.list(SessionQuery::new("", 2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("10s"), "{error}");
    }
}
