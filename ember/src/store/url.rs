use super::boxed::BoxStore;
use super::memory::MemoryStore;
use crate::base::{Env, Error};

/// The schemes of addresses, and the feature that each needs.
const SCHEMES: &[(&str, Option<&str>)] = &[
    ("memory", None),
    ("sqlite", Some("sqlite")),
    ("redis", Some("redis")),
    ("rediss", Some("redis")),
    ("redis+cluster", Some("redis")),
    ("rediss+cluster", Some("redis")),
    ("memcached", Some("memcached")),
];

impl BoxStore {
    /// The store that an address names:
    ///
    /// - `memory` keeps everything in the process.
    /// - `sqlite:///var/lib/app.db` keeps it in that file, `sqlite://app.db` in one of the working
    ///   directory (feature `sqlite`).
    /// - `redis://user:password@host:6379/0` is a Redis or a Valkey, `rediss://…` one over TLS;
    ///   `redis+cluster://host:7000,host:7001` and `rediss+cluster://…` are clusters, of which some
    ///   nodes are named (feature `redis`).
    /// - `memcached://host:11211` is a Memcached (feature `memcached`).
    ///
    /// Behind a server's address `?prefix=shop:` says what its keys begin with, in place of `ember:`.
    ///
    /// # Errors
    /// When the address is wrong, with the scheme that was meant, or the feature it needs is missing.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let url = url.trim();
        // Without a scheme all of it may be a secret.
        let (scheme, rest) =
            url.split_once("://").unwrap_or((url.split(':').next().unwrap_or_default(), ""));
        let scheme = scheme.to_ascii_lowercase();
        let Some((_, feature)) = SCHEMES.iter().find(|(known, _)| *known == scheme) else {
            return Err(unknown(&scheme));
        };
        if scheme == "memory" {
            return match rest {
                "" => Ok(MemoryStore::new().into()),
                _ => Err(Error::bad_request("nothing can stand behind `memory`")),
            };
        }
        if rest.is_empty() {
            let like = match &*scheme {
                "sqlite" => "/var/lib/app.db",
                "memcached" => "host:11211",
                _ => "host:6379",
            };
            return Err(Error::bad_request(format!(
                "nothing stands behind `{scheme}://`; an address is like `{scheme}://{like}`"
            )));
        }
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        open(&scheme, address, query).unwrap_or_else(|| {
            let feature = feature.unwrap_or_default();
            Err(Error::bad_request(format!(
                "`{scheme}://` needs the feature `{feature}` of ember, and the program was built without it"
            )))
        })
    }

    /// The store that `EMBER_STORE` names; `None` if it names none, or the memory of the process, which
    /// is what there is otherwise.
    ///
    /// # Errors
    /// As [`BoxStore::from_url`], with the name of the variable.
    pub fn from_env(env: &Env) -> Option<Result<Self, Error>> {
        let url = env.var("EMBER_STORE").filter(|url| url.trim() != "memory")?;
        Some(Self::from_url(&url).map_err(|error| {
            Error::bad_request(format!("EMBER_STORE cannot be used: {}", error.message()))
        }))
    }
}

/// The address itself is not repeated, as there may be a password in it.
fn unknown(scheme: &str) -> Error {
    let near = |known: &str| strsim::jaro_winkler(known, scheme);
    let names = SCHEMES.iter().map(|(name, _)| *name);
    let nearest = names.clone().max_by(|a, b| near(a).total_cmp(&near(b)));
    let nearest = nearest.filter(|known| near(known) > 0.7);
    let hint = nearest.map(|known| format!("; did you mean `{known}`?"));
    let hint = hint.unwrap_or_else(|| ".".to_owned());
    let known: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    let known = known.join(", ");
    let is_word = !scheme.is_empty() && scheme.len() <= 32;
    let is_word = is_word && scheme.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'+');
    let what = if is_word { format!("`{scheme}`") } else { "this".to_owned() };
    Error::bad_request(format!("{what} is no kind of store{hint} There are {known}."))
}

/// Makes the store; `None` if its feature is missing.
#[allow(unused_variables, reason = "without features there is nothing to be made")]
fn open(scheme: &str, address: &str, query: &str) -> Option<Result<BoxStore, Error>> {
    match scheme {
        #[cfg(feature = "sqlite")]
        "sqlite" => Some(sqlite(address, query)),
        #[cfg(feature = "redis")]
        "redis" | "rediss" => Some(redis(scheme, address, query)),
        #[cfg(feature = "redis")]
        "redis+cluster" | "rediss+cluster" => Some(cluster(scheme, address, query)),
        #[cfg(feature = "memcached")]
        "memcached" => Some(memcached(address, query)),
        _ => None,
    }
}

#[cfg(any(feature = "redis", feature = "memcached"))]
fn prefix(query: &str) -> Result<Option<String>, Error> {
    let mut prefix = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "prefix" {
            return Err(Error::bad_request(format!(
                "a store has no option `{name}`; there is `prefix`"
            )));
        }
        prefix = Some(value.into_owned());
    }
    Ok(prefix)
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &str, query: &str) -> Result<BoxStore, Error> {
    if !query.is_empty() {
        return Err(Error::bad_request("a file has no options, and its name no `?`"));
    }
    if path.starts_with(':') {
        return Err(Error::bad_request(format!(
            "`{path}` is no file; `memory` keeps state in the process"
        )));
    }
    Ok(super::sqlite::SqliteStore::new(path).into())
}

#[cfg(feature = "redis")]
fn redis(scheme: &str, address: &str, query: &str) -> Result<BoxStore, Error> {
    let store = super::redis::RedisStore::new(format!("{scheme}://{address}"))?;
    Ok(match prefix(query)? {
        Some(prefix) => store.key_prefix(prefix).into(),
        None => store.into(),
    })
}

#[cfg(feature = "redis")]
fn cluster(scheme: &str, address: &str, query: &str) -> Result<BoxStore, Error> {
    let scheme = scheme.trim_end_matches("+cluster");
    // Who stands before the first address holds for all.
    let (user, nodes) =
        address.rsplit_once('@').map_or(("", address), |(user, nodes)| (user, nodes));
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    let nodes = nodes.trim_end_matches('/').split(',').filter(|node| !node.is_empty());
    let store =
        super::redis::RedisStore::cluster(nodes.map(|node| format!("{scheme}://{user}{node}")))?;
    Ok(match prefix(query)? {
        Some(prefix) => store.key_prefix(prefix).into(),
        None => store.into(),
    })
}

#[cfg(feature = "memcached")]
fn memcached(address: &str, query: &str) -> Result<BoxStore, Error> {
    use super::memcached::MemcachedStore;
    let address = address.trim_end_matches('/');
    let wrong = || Error::bad_request("behind `memcached://` a host and a port are expected");
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (address, MemcachedStore::DEFAULT_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(['/', '@']) {
        return Err(wrong());
    }
    let store = MemcachedStore::new(host, port);
    Ok(match prefix(query)? {
        Some(prefix) => store.key_prefix(prefix).into(),
        None => store.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        BoxStore::from_url(url).unwrap_err().message().to_owned()
    }

    #[test]
    fn a_wrong_address_is_told_without_what_is_in_it() {
        assert_eq!(BoxStore::from_url("memory").unwrap().name(), "memory");
        let message = error("reddis://ann:s3cret@host");
        assert!(message.contains("did you mean `redis`?"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
        for url in ["default:hunter2@cache:6379", "hunter2@cache", "hunter2"] {
            let message = error(url);
            assert!(!message.contains("hunter2@") && !message.contains(":hunter2"), "{message}");
        }
        assert!(error("memory://here").contains("nothing can stand behind"));
        assert!(error("ftp://host").contains("`memcached`"));
        assert!(error("redis").contains("nothing stands behind"));
        assert!(error("sqlite://").contains("nothing stands behind"));
    }

    #[cfg(not(feature = "redis"))]
    #[test]
    fn a_missing_feature_is_named() {
        assert!(error("redis://localhost").contains("needs the feature `redis`"));
    }

    #[cfg(all(feature = "redis", feature = "sqlite", feature = "memcached"))]
    #[test]
    fn addresses_name_stores() {
        let name = |url: &str| BoxStore::from_url(url).unwrap().name();
        assert_eq!(name("sqlite:///var/lib/app.db"), "sqlite:///var/lib/app.db");
        assert_eq!(name("redis://:pw@localhost/1?prefix=a:"), "redis://localhost/1");
        assert_eq!(name("rediss+cluster://u:p@a:1,b:2"), "rediss://a:1,rediss://b:2");
        assert_eq!(name("memcached://[::1]"), "memcached://::1:11211");
        assert!(error("memcached://host:port").contains("a host and a port"));
        assert!(error("sqlite:///app.db?mode=ro").contains("no options"));
        assert!(error("sqlite://:memory:").contains("no file"));
        assert!(error("redis://host?prefx=a").contains("`prefx`"));
        assert!(error("redis://host:none").contains("no address of Redis"));
    }
}
