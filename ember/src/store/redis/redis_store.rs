use super::link::{Link, Target};
use super::scripts;
use crate::base::Error;
use crate::store::capability::Capability;
use crate::store::draw::{Bucket, Draw, DrawId, Drawn};
use crate::store::failure::away;
use crate::store::level::MEMORY;
use crate::store::store::{ScanPage, Store};
use bytes::Bytes;
use redis::cluster::ClusterClient;
use redis::{Client, Cmd, IntoConnectionInfo as _, cmd};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a lock that is free is remembered, so that its tokens grow whatever the server's clock does.
const MEMORY_OF_LOCKS: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest value that a server takes: 512 MB, unless it was told otherwise.
const MAX_VALUE: usize = 512 << 20;

/// Keeps values in Redis, or Valkey: one server, or a cluster, over TLS or not. Clones share the
/// connection.
///
/// The connection is made when it is first needed. Every operation ends within the
/// [time limit](RedisStore::timeout): once for connecting, if it must, and once for the answer.
#[derive(Clone)]
pub struct RedisStore {
    link: Arc<Link>,
    target: Target,
    shown: String,
    prefix: String,
    timeout: Duration,
}

impl RedisStore {
    /// How long connecting, and an answer, may take unless it is told otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

    /// A server, by `redis://user:password@host:6379/0`, or `rediss://…` for TLS.
    ///
    /// # Errors
    /// When that is no such address.
    pub fn new(url: impl AsRef<str>) -> Result<Self, Error> {
        let url = url.as_ref();
        prepare_tls(url);
        let client = Client::open(url).map_err(|error| wrong(&error))?;
        Ok(Self::with_target(Target::Server(Arc::new(client)), without_password(url)))
    }

    /// A cluster, by the addresses of some of its nodes; they tell of the others.
    ///
    /// # Errors
    /// When one is no address of Redis, or there is none.
    pub fn cluster<U: AsRef<str>>(nodes: impl IntoIterator<Item = U>) -> Result<Self, Error> {
        let nodes: Vec<_> = nodes.into_iter().map(|node| node.as_ref().to_owned()).collect();
        let shown: Vec<_> = nodes.iter().map(|node| without_password(node)).collect();
        nodes.iter().for_each(|node| prepare_tls(node));
        let infos = nodes.iter().map(|node| node.as_str().into_connection_info());
        let infos = infos.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&error))?;
        let client =
            ClusterClient::builder(infos).retries(3).build().map_err(|error| wrong(&error))?;
        Ok(Self::with_target(Target::Cluster(Arc::new(client)), shown.join(",")))
    }

    fn with_target(target: Target, shown: String) -> Self {
        let timeout = Self::DEFAULT_TIMEOUT;
        let link = Arc::new(Link::new(target.clone(), timeout));
        Self { link, target, shown, prefix: "ember:".to_owned(), timeout }
    }

    /// Sets what all keys on the server begin with; `ember:` unless it is told otherwise. Two
    /// applications with one prefix share their state.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long connecting, and an answer, may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.link = Arc::new(Link::new(self.target.clone(), timeout));
        self
    }

    fn key(&self, key: &str) -> String {
        format!("{}v:{key}", self.prefix)
    }

    /// Locks and values of one key do not know each other.
    fn lock_key(&self, key: &str) -> String {
        format!("{}l:{key}", self.prefix)
    }

    /// Where it is remembered what was done to a bucket by an id: in the same slot of a cluster as the
    /// bucket. A few keys with braces have no such place, and nothing is remembered.
    fn memory_key(&self, key: &str, id: DrawId) -> Option<String> {
        let key = self.key(key);
        let memory = format!("{}d:{{{}}}:{id}", self.prefix, slot_part(&key));
        (!self.link.is_cluster() || slot_part(&memory) == slot_part(&key)).then_some(memory)
    }

    fn script(text: &str, key: String) -> Cmd {
        let mut eval = cmd("EVAL");
        eval.arg(text).arg(1).arg(key);
        eval
    }

    /// By which rule the server forgets keys that have not expired, if it does and says so.
    async fn eviction(&self) -> Option<String> {
        let mut info = cmd("INFO");
        info.arg("memory");
        let text: String = self.link.send(info).await.ok()?;
        let of = |name| text.lines().find_map(|line: &str| line.trim().strip_prefix(name));
        let is_bounded = of("maxmemory:").is_some_and(|most| most != "0");
        let policy = of("maxmemory_policy:").filter(|policy| *policy != "noeviction");
        policy.filter(|_| is_bounded).map(str::to_owned)
    }

    /// The nodes of a cluster that have keys of their own, in an order that stays while they do.
    async fn primaries(&self) -> Result<Vec<(String, u16)>, Error> {
        let mut slots = cmd("CLUSTER");
        slots.arg("SLOTS");
        let slots: Vec<Vec<redis::Value>> = self.link.send(slots).await?;
        let primary = |slot: Vec<redis::Value>| {
            let redis::Value::Array(node) = slot.into_iter().nth(2)? else { return None };
            let mut parts = node.into_iter();
            let (host, port) = (parts.next()?, parts.next()?);
            Some((redis::from_redis_value(host).ok()?, redis::from_redis_value(port).ok()?))
        };
        let mut nodes: Vec<_> = slots.into_iter().filter_map(primary).collect();
        nodes.sort_unstable();
        nodes.dedup();
        Ok(nodes)
    }
}

/// The part of a key that tells its slot in a cluster: what stands between its first braces, or all of it.
fn slot_part(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key)
}

fn shown((host, port): &(String, u16)) -> String {
    format!("{host}:{port}")
}

fn wrong(error: &redis::RedisError) -> Error {
    // What kind of error it is to the library says nothing to whoever has written the address.
    let text = error.to_string();
    let why = text.split(" - ").next().unwrap_or_default();
    let like = "`redis://user:password@host:6379/0`, or `rediss://…` for TLS";
    Error::bad_request(format!("this is no address of Redis ({why}); one is like {like}"))
}

/// An address as it may be shown.
fn without_password(url: &str) -> String {
    // A path to a socket has the password behind it.
    let url = url.split('?').next().unwrap_or_default();
    match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{}", &url[at + 1..]),
        _ => url.to_owned(),
    }
}

/// Says by what TLS computes, where nobody has said it: the library knows only one way here, and a
/// program with two must choose.
fn prepare_tls(url: &str) {
    if url.starts_with("rediss") && rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been first, whose choice is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Milliseconds, at least one; 0 is for ever.
fn milliseconds(ttl: Duration) -> u64 {
    /// A thousand years: what is longer is for ever.
    const LONGEST: u128 = 1000 * 365 * 24 * 60 * 60 * 1000;
    let ttl = ttl.as_nanos().div_ceil(1_000_000).max(1);
    if ttl > LONGEST { 0 } else { u64::try_from(ttl).unwrap_or(0) }
}

/// Milliseconds to hold a lock, and to remember it.
fn hold_of(hold: Duration) -> (u64, u64) {
    /// Thirty years, so that moments in microseconds stay below 2^53.
    const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let hold = hold.min(LONGEST);
    (milliseconds(hold), milliseconds(hold + MEMORY_OF_LOCKS))
}

fn checked(value: &Bytes) -> Result<(), Error> {
    if value.len() >= MAX_VALUE {
        return Err(Error::payload_too_large("This is too large to be kept."));
    }
    Ok(())
}

impl Store for RedisStore {
    fn name(&self) -> String {
        self.shown.clone()
    }

    fn capabilities(&self) -> &'static [Capability] {
        Capability::ALL
    }

    async fn check(&self) -> Result<String, Error> {
        let mut info = cmd("INFO");
        info.arg("server");
        if self.link.is_cluster() {
            let nodes = self.primaries().await?;
            let Some(first) = nodes.first() else {
                return Err(away("the cluster has no node with keys"));
            };
            let text: String = self.link.send_to(info, first.clone()).await?;
            return Ok(format!("{} cluster of {} at {}", product(&text), nodes.len(), self.shown));
        }
        let text: String = self.link.send(info).await?;
        let forgets = self.eviction().await.map(|policy| {
            format!(" (it forgets what it has no room for: maxmemory-policy {policy})")
        });
        Ok(format!("{} at {}{}", product(&text), self.shown, forgets.unwrap_or_default()))
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        let mut get = cmd("GET");
        get.arg(self.key(key));
        let value: Option<Vec<u8>> = self.link.send(get).await?;
        Ok(value.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), Error> {
        checked(&value)?;
        let mut set = cmd("SET");
        set.arg(self.key(key)).arg(&value[..]);
        match milliseconds(ttl) {
            0 => {}
            ttl => {
                set.arg("PX").arg(ttl);
            }
        }
        self.link.send(set).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let mut delete = cmd("DEL");
        delete.arg(self.key(key));
        Ok(self.link.send::<u64>(delete).await? > 0)
    }

    async fn exists(&self, key: &str) -> Result<bool, Error> {
        let mut exists = cmd("EXISTS");
        exists.arg(self.key(key));
        Ok(self.link.send::<u64>(exists).await? > 0)
    }

    async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<Bytes>,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool, Error> {
        checked(&value)?;
        let mut eval = Self::script(scripts::COMPARE_AND_SET, self.key(key));
        eval.arg(u8::from(expected.is_some())).arg(expected.as_deref().unwrap_or_default());
        eval.arg(&value[..]).arg(milliseconds(ttl));
        Ok(self.link.send::<u64>(eval).await? > 0)
    }

    async fn draw(&self, key: &str, bucket: Bucket, draw: Draw) -> Result<Drawn, Error> {
        let mut eval = match draw.id().and_then(|id| self.memory_key(key, id)) {
            None => Self::script(scripts::DRAW, self.key(key)),
            Some(memory) => {
                let mut eval = cmd("EVAL");
                eval.arg(scripts::DRAW).arg(2).arg(self.key(key)).arg(memory);
                eval
            }
        };
        eval.arg(bucket.most()).arg(bucket.micros());
        match draw {
            // What is more than can be counted is more than there is.
            Draw::Take(amount) | Draw::TakeOnce(amount, _) => eval.arg("take").arg(amount),
            Draw::Adjust(amount) | Draw::AdjustOnce(amount, _) => eval.arg("adjust").arg(amount),
            Draw::Undo(_) => eval.arg("undo").arg(0),
        };
        eval.arg(milliseconds(bucket.ttl)).arg(milliseconds(MEMORY));
        let (taken, left, growing): (u64, i64, u64) = self.link.send(eval).await?;
        Ok(Drawn::new(taken > 0, left, Duration::from_micros(growing)))
    }

    async fn scan(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, Error> {
        let nodes = if self.link.is_cluster() { self.primaries().await? } else { Vec::new() };
        // A cursor is that of the server, behind the address of the node where there are several.
        let (node, at) = match cursor {
            None => (0, 0),
            Some(cursor) => {
                let (node, at) = cursor.rsplit_once('@').unwrap_or(("", cursor));
                let Ok(at) = at.parse::<u64>() else {
                    return Err(Error::bad_request("This is no cursor of a scan."));
                };
                let known = nodes.iter().position(|known| shown(known) == node);
                match known {
                    Some(node) => (node, at),
                    None if nodes.is_empty() => (0, at),
                    None => return Err(away(format!("{node} has left the cluster"))),
                }
            }
        };
        let mut scan = cmd("SCAN");
        scan.arg(at).arg("MATCH").arg(format!("{}*", literal(&self.key(prefix))));
        scan.arg("COUNT").arg(limit.clamp(10, 1000));
        let (next, keys): (u64, Vec<Vec<u8>>) = match nodes.get(node) {
            Some(address) => self.link.send_to(scan, address.clone()).await?,
            None if self.link.is_cluster() => {
                return Err(away("the cluster has no node with keys"));
            }
            None => self.link.send(scan).await?,
        };
        let begin = self.key("");
        let keys = keys.into_iter().filter_map(|key| {
            // A key that is no text is not one of ours.
            Some(String::from_utf8(key).ok()?.strip_prefix(&begin)?.to_owned())
        });
        let cursor = match (next, nodes.get(node), nodes.get(node + 1)) {
            (0, _, Some(following)) => Some(format!("{}@0", shown(following))),
            (0, _, None) => None,
            (next, Some(present), _) => Some(format!("{}@{next}", shown(present))),
            (next, None, _) => Some(next.to_string()),
        };
        Ok(ScanPage::new(keys.collect(), cursor))
    }

    async fn try_lock(&self, key: &str, hold: Duration) -> Result<Option<u64>, Error> {
        let (hold, memory) = hold_of(hold);
        let mut eval = Self::script(scripts::LOCK, self.lock_key(key));
        eval.arg(hold).arg(memory);
        let token: u64 = self.link.send(eval).await?;
        Ok(Some(token).filter(|token| *token > 0))
    }

    async fn renew(&self, key: &str, token: u64, hold: Duration) -> Result<bool, Error> {
        let (hold, memory) = hold_of(hold);
        let mut eval = Self::script(scripts::RENEW, self.lock_key(key));
        eval.arg(token).arg(hold).arg(memory);
        Ok(self.link.send::<u64>(eval).await? > 0)
    }

    async fn unlock(&self, key: &str, token: u64) -> Result<bool, Error> {
        let mut eval = Self::script(scripts::RENEW, self.lock_key(key));
        eval.arg(token).arg(0).arg(milliseconds(MEMORY_OF_LOCKS));
        Ok(self.link.send::<u64>(eval).await? > 0)
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

/// A prefix for `MATCH`, in which nothing stands for anything else.
fn literal(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for char in prefix.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern
}

/// Which server it is, by what it tells of itself.
fn product(info: &str) -> String {
    let of = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name));
    match (of("valkey_version:"), of("redis_version:")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "Redis".to_owned(),
    }
}

/// Without passwords.
impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("url", &self.shown)
            .field("key_prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let store = RedisStore::new("redis://ann:s3cr%40t@localhost:6379/1").unwrap();
        assert_eq!(store.name(), "redis://localhost:6379/1");
        assert!(!format!("{store:?}").contains("s3cr"));
        if cfg!(unix) {
            let store = RedisStore::new("unix:///run/redis.sock?pass=s3cret").unwrap();
            assert_eq!(store.name(), "unix:///run/redis.sock");
        }
        let error = RedisStore::new("redis://ann:s3cret@localhost:no-port").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(RedisStore::cluster(Vec::<String>::new()).is_err());
    }

    #[test]
    fn what_is_remembered_of_a_bucket_stands_in_its_slot() {
        let store = RedisStore::cluster(["redis://localhost"]).unwrap();
        let id = DrawId::random();
        let of = |key: &str| store.memory_key(key, id);
        assert_eq!(of("a b"), Some(format!("ember:d:{{ember:v:a b}}:{id}")));
        assert_eq!(of("POST /{a}/{b}"), Some(format!("ember:d:{{a}}:{id}")));
        assert_eq!(slot_part("{}{a}"), "{}{a}", "an empty tag is none");
        for key in ["x{", "x{a", "{a}", "x{}y{b}", "}x{"] {
            assert!(of(key).is_none_or(|memory| slot_part(&memory) == slot_part(&store.key(key))));
        }
        assert_eq!(of("a}b"), None);
        assert!(RedisStore::new("redis://x").unwrap().memory_key("a}b", id).is_some());
    }

    #[test]
    fn a_prefix_is_taken_literally() {
        assert_eq!(literal("a*[b]?\\"), "a\\*\\[b\\]\\?\\\\");
    }

    #[test]
    fn what_is_longer_than_anything_is_for_ever() {
        assert_eq!(milliseconds(Duration::MAX), 0);
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_micros(1500)), 2);
    }
}
