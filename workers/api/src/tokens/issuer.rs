//! An issuer's keys as they were seen last: looked up at the start, every few minutes, and when a token names one that is not known.
//!
//! One task looks; requests only say that they miss a key, and wait for the look that begins after that, not for one of their own. Where
//! a look fails, the last good keys stay, and `/readyz`, the log and a metric say so.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use outbox::Backoff;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::source::Source;
use super::{Refusal, Trouble, signatures};
use crate::metrics;

/// Between two looks, while they succeed.
const PERIOD: Duration = Duration::from_secs(300);

/// The same at least, however many keys are missed.
const BETWEEN: Duration = Duration::from_secs(3);

/// Between two looks that fail.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a request waits for a key that it misses: for a look that has begun, and another one.
const PATIENCE: Duration = Duration::from_secs(8);

/// A key that the issuer shows.
#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
struct Seen {
    keys: Vec<Key>,
    at: Option<Timestamp>,
    /// Of the last look, where it failed.
    trouble: Option<String>,
}

impl Seen {
    /// The key of this id; without an id the only one that can be meant.
    fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
        .map(|key| &key.key)
    }
}

/// The issuer, as requests see it; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Issuer {
    name: Arc<str>,
    seen: watch::Receiver<Seen>,
    missed: Arc<Notify>,
}

impl Issuer {
    /// Its name, which tokens have as `iss`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The key that a token names, looked up again where it is not known.
    pub(super) async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, Refusal> {
        let mut seen = self.seen.clone();
        if let Some(key) = seen.borrow_and_update().key(id, algorithm) {
            return Ok(key.clone());
        }
        // However many miss one, it is one look more.
        self.missed.notify_one();
        let looked = async {
            // One that had begun before, and the one that was asked for.
            for _ in 0..2 {
                seen.changed().await.ok()?;
                if let Some(key) = seen.borrow_and_update().key(id, algorithm) {
                    return Some(key.clone());
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, looked).await.ok().flatten();
        let is_troubled = self.seen.borrow().trouble.is_some();
        found.ok_or(if is_troubled { Refusal::CannotTell } else { Refusal::KeyNotShown })
    }

    /// What the last look lacked.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let seen = self.seen.borrow();
        let words = seen.trouble.as_ref()?;
        Some(Trouble {
            words: match seen.at {
                Some(at) => {
                    format!("the keys of {} could not be looked up ({words}); those of {at} are used", self.name)
                }
                None => format!("the keys of {} could not be looked up ({words}): no token is believed", self.name),
            },
            has_keys: seen.at.is_some(),
        })
    }
}

/// Looks for an issuer's keys.
#[derive(Debug)]
pub struct Keeper {
    source: Source,
    tell: watch::Sender<Seen>,
    missed: Arc<Notify>,
    backoff: Backoff,
}

impl Keeper {
    pub(super) fn new(name: &str, source: Source) -> (Issuer, Self) {
        signatures::install();
        let (tell, seen) = watch::channel(Seen::default());
        let missed = Arc::<Notify>::default();
        let issuer = Issuer { name: name.into(), seen, missed: Arc::clone(&missed) };
        (issuer, Keeper { source, tell, missed, backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE) })
    }

    /// Looks for the first time.
    ///
    /// # Errors
    /// In words: a file that a person has named is missing or wrong. What the network lacks may come later.
    pub async fn begin(&mut self) -> Result<(), String> {
        self.look().await;
        let trouble = self.tell.borrow().trouble.clone();
        trouble.filter(|_| self.source.is_file()).map_or(Ok(()), Err)
    }

    /// Looks again and again until asked to stop.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            let is_troubled = self.tell.borrow().trouble.is_some();
            let pause = if is_troubled { self.backoff.wait() } else { PERIOD };
            let last = Instant::now();
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(pause) => {}
                () = self.missed.notified() => {}
            }
            tokio::select! {
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep_until(last + BETWEEN) => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let read = self.source.read().await.map_err(|error| error.to_string()).and_then(|bytes| keys(&bytes));
        metrics::issuer_asked(read.is_ok());
        match read {
            Ok(keys) => {
                self.backoff.succeeded();
                metrics::issuer_keys(keys.len());
                let ids = |keys: &[Key]| -> Vec<Option<String>> { keys.iter().map(|key| key.id.clone()).collect() };
                let is_news = self.tell.borrow().trouble.is_some() || ids(&self.tell.borrow().keys) != ids(&keys);
                if is_news {
                    tracing::info!(from = self.source.shown(), keys = keys.len(), "the issuer's keys are known");
                }
                self.tell.send_replace(Seen { keys, at: Some(Timestamp::now()), trouble: None });
            }
            Err(words) => {
                tracing::warn!(from = self.source.shown(), error = words, "the issuer's keys cannot be looked up");
                self.tell.send_modify(|seen| seen.trouble = Some(words));
            }
        }
    }
}

/// The keys in a set (JWKS) that can verify tokens; whatever else is there is somebody else's.
fn keys(bytes: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|error| format!("no set of keys (JWKS): {error}"))?;
    let keys: Vec<Key> =
        set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok().and_then(usable)).collect();
    match keys.is_empty() {
        true => Err("it shows no key of RS256, PS256, ES256 or EdDSA that can be used".to_owned()),
        false => Ok(keys),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's, which may grow: what is not named is refused")]
fn usable(shown: Jwk) -> Option<Key> {
    let Jwk { common, algorithm } = &shown;
    let of_its_kind: &[Algorithm] = match algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        // A shared secret among them: whoever can verify with it can sign.
        _ => &[],
    };
    let is_to_verify = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|may| may.contains(&KeyOperations::Verify));
    let named = common.key_algorithm;
    let is_meant = |algorithm: &Algorithm| named.is_none_or(|named| Algorithm::try_from(named) == Ok(*algorithm));
    let key = DecodingKey::from_jwk(&shown).ok()?;
    let can = |algorithm: &Algorithm| is_meant(algorithm) && signatures::is_usable(&key, *algorithm);
    let algorithms: Vec<Algorithm> = of_its_kind.iter().copied().filter(can).collect();
    (is_to_verify && !algorithms.is_empty()).then(|| Key { id: common.key_id.clone(), algorithms, key })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::{RSAKeyParameters, RSAKeyType};
    use openssl::base64::encode_block;
    use openssl::rsa::Rsa;
    use serde_json::json;

    use super::*;

    fn rsa(bits: u32, further: Value) -> Value {
        let base64url = |bytes: &[u8]| encode_block(bytes).replace('+', "-").replace('/', "_").replace(['=', '\n'], "");
        let key = Rsa::generate(bits).unwrap();
        let (n, e) = (base64url(&key.n().to_vec()), base64url(&key.e().to_vec()));
        let mut shown = serde_json::to_value(RSAKeyParameters { key_type: RSAKeyType::RSA, n, e }).unwrap();
        for (name, value) in further.as_object().unwrap() {
            shown[name] = value.clone();
        }
        shown
    }

    fn read(shown: &[Value]) -> Result<Vec<Key>, String> {
        keys(json!({ "keys": shown }).to_string().as_bytes())
    }

    #[test]
    fn a_key_is_for_the_algorithms_of_its_kind_and_the_one_that_it_names() {
        let shown =
            [rsa(2048, json!({ "kid": "any" })), rsa(2048, json!({ "kid": "one", "alg": "PS256", "use": "sig" }))];
        let seen = Seen { keys: read(&shown).unwrap(), ..Seen::default() };
        let known = |id, algorithm| seen.key(Some(id), algorithm).is_some();
        assert!(known("any", Algorithm::RS256) && known("any", Algorithm::PS256));
        assert!(known("one", Algorithm::PS256) && !known("one", Algorithm::RS256));
        assert!(
            !known("any", Algorithm::ES256) && !known("any", Algorithm::HS256) && !known("other", Algorithm::RS256)
        );
        // Without an id it has to be the only one.
        assert!(seen.key(None, Algorithm::RS256).is_some() && seen.key(None, Algorithm::PS256).is_none());
    }

    #[test]
    fn what_cannot_verify_safely_is_passed_over_and_nothing_else_left_is_an_error() {
        let unusable = [
            rsa(1024, json!({ "kid": "short" })),
            rsa(2048, json!({ "use": "enc" })),
            rsa(2048, json!({ "key_ops": ["encrypt"] })),
            rsa(2048, json!({ "alg": "RS512" })),
            json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }),
            json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" }),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
            json!({ "kty": "of tomorrow" }),
            json!(7),
        ];
        for shown in &unusable {
            assert!(read(std::slice::from_ref(shown)).is_err(), "{shown}");
        }
        let all = [&unusable[..], &[rsa(2048, json!({}))]].concat();
        assert_eq!(read(&all).unwrap().len(), 1);
        assert!(keys(b"<html>").unwrap_err().contains("JWKS"));
    }
}
