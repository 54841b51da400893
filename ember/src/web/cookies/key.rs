use crate::base::Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Okm, Salt};
use ring::hmac::{self, HMAC_SHA256};
use std::fmt;

/// The least length of a secret, in bytes.
const MIN_SECRET: usize = 32;

/// What signs and encrypts cookies: a component of the application.
///
/// Two keys are derived from the secret (HKDF-SHA256, RFC 5869): one signs (HMAC-SHA256), one
/// encrypts (AES-256-GCM). Both kinds of cookies are bound to their name. All processes of a
/// service need the same secret; nothing ever shows it.
///
/// ```
/// use ember::web::cookies::CookieKey;
///
/// # fn secret() -> String { "s".repeat(64) }
/// # fn old_secret() -> String { "o".repeat(64) }
/// # fn run() -> ember::Result {
/// let key = CookieKey::new(secret())?.or_old(old_secret())?;
/// assert_eq!(format!("{key:?}"), "CookieKey(…)");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
pub struct CookieKey {
    /// The first one writes, all read.
    keys: Vec<Pair>,
}

#[derive(Clone)]
struct Pair {
    signing: hmac::Key,
    sealing: LessSafeKey,
}

impl CookieKey {
    /// A key from a secret of at least 32 bytes, as random as can be; 64 are usual.
    ///
    /// # Errors
    /// When the secret is shorter.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        Ok(Self { keys: vec![Pair::derive(secret.as_ref())?] })
    }

    /// A new random key: cookies are lost when the process ends, and no other process reads them.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn random() -> Result<Self, Error> {
        let mut secret = [0; 64];
        fill(&mut secret)?;
        Self::new(secret)
    }

    /// Accepts cookies that were written under an earlier secret as well, while it is replaced.
    ///
    /// # Errors
    /// As [`CookieKey::new`].
    pub fn or_old(mut self, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.keys.push(Pair::derive(secret.as_ref())?);
        Ok(self)
    }

    /// Signs a value: the signature, a dot, the value.
    pub(super) fn sign(&self, name: &str, value: &str) -> String {
        let signed = self.keys.first().map(|key| hmac::sign(&key.signing, &message(name, value)));
        let tag = signed.as_ref().map_or(&[][..], AsRef::as_ref);
        format!("{}.{value}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Returns the value if its signature is right.
    pub(super) fn verify(&self, name: &str, signed: &str) -> Option<String> {
        let (tag, value) = signed.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        let message = message(name, value);
        // The comparison takes the same time wherever the difference is.
        let is_right = |key: &Pair| hmac::verify(&key.signing, &message, &tag).is_ok();
        self.keys.iter().any(is_right).then(|| value.to_owned())
    }

    /// Encrypts a value: the nonce, the text, the tag.
    ///
    /// A random nonce of 96 bits is safe for 2³² cookies under one secret.
    pub(super) fn seal(&self, name: &str, value: &str) -> Result<String, Error> {
        let key = self.keys.first().ok_or_else(|| Error::internal("a cookie key without keys"))?;
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        let mut text = value.as_bytes().to_vec();
        key.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut text,
            )
            .map_err(|Unspecified| Error::internal("a cookie could not be encrypted"))?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat()))
    }

    /// Returns the value if it was encrypted under this key and name.
    pub(super) fn open(&self, name: &str, sealed: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().find_map(|key| {
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let aad = Aad::from(name.as_bytes());
            let value = key.sealing.open_in_place(nonce, aad, &mut text).ok()?;
            String::from_utf8(value.to_vec()).ok()
        })
    }
}

impl Pair {
    fn derive(secret: &[u8]) -> Result<Self, Error> {
        if secret.len() < MIN_SECRET {
            let length = secret.len();
            return Err(Error::internal(format!(
                "the secret of a cookie key has {length} bytes and needs at least {MIN_SECRET}"
            )));
        }
        let secret = Salt::new(HKDF_SHA256, b"ember cookies").extract(secret);
        let failed = |Unspecified| Error::internal("a cookie key could not be derived");
        let signing = secret.expand(&[b"sign"], HMAC_SHA256).map_err(failed)?;
        let sealing = secret.expand(&[b"seal"], &AES_256_GCM).map_err(failed)?;
        Ok(Self { signing: key(signing), sealing: LessSafeKey::new(key::<UnboundKey, _>(sealing)) })
    }
}

fn key<'a, K: From<Okm<'a, L>>, L: KeyType>(material: Okm<'a, L>) -> K {
    material.into()
}

/// What is signed: the name as well, so that no value can be moved to another cookie.
fn message(name: &str, value: &str) -> Vec<u8> {
    let length = (name.len() as u64).to_be_bytes();
    [&length[..], name.as_bytes(), value.as_bytes()].concat()
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::getrandom(bytes).map_err(|error| Error::internal(error.to_string()))
}

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(byte: u8) -> CookieKey {
        CookieKey::new([byte; 64]).unwrap()
    }

    #[test]
    fn what_was_signed_is_known_again() {
        let signed = key_of(1).sign("user", "ann.b");
        assert_eq!(key_of(1).verify("user", &signed).as_deref(), Some("ann.b"));
        assert_eq!(key_of(2).verify("user", &signed), None, "another key");
        assert_eq!(key_of(1).verify("admin", &signed), None, "another name");
        assert_eq!(key_of(1).verify("user", &signed.replace("ann", "bob")), None);
        for nonsense in ["", ".", "ann", ".ann", "AAAA.ann", "é.ann"] {
            assert_eq!(key_of(1).verify("user", nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_was_sealed_is_read_under_its_key_and_name_only() {
        let sealed = key_of(1).seal("user", "ann ☃").unwrap();
        assert!(!sealed.contains("ann"));
        assert_ne!(sealed, key_of(1).seal("user", "ann ☃").unwrap(), "never the same twice");
        assert_eq!(key_of(1).open("user", &sealed).as_deref(), Some("ann ☃"));
        assert_eq!(key_of(2).open("user", &sealed), None);
        assert_eq!(key_of(1).open("admin", &sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key_of(1).open("user", std::str::from_utf8(&forged).unwrap()), None, "{at}");
        }
        for nonsense in ["", "AAAA", "not base64!"] {
            assert_eq!(key_of(1).open("user", nonsense), None);
        }
    }

    #[test]
    fn an_old_secret_still_reads() {
        let (signed, sealed) = (key_of(1).sign("a", "x"), key_of(1).seal("a", "x").unwrap());
        let key = key_of(2).or_old([1; 64]).unwrap();
        assert_eq!(key.verify("a", &signed).as_deref(), Some("x"));
        assert_eq!(key.open("a", &sealed).as_deref(), Some("x"));
        assert_eq!(key_of(1).verify("a", &key.sign("a", "x")), None, "and does not write");
    }

    #[test]
    fn short_secrets_are_refused_and_none_is_shown() {
        assert!(CookieKey::new([0; 31]).unwrap_err().to_string().contains("31 bytes"));
        assert_eq!(format!("{:?}", CookieKey::random().unwrap()), "CookieKey(…)");
    }
}
