//! Who asks: whoever has a key of this door, or a token of an issuer that it trusts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::key_file::KeyFile;
use crate::keys::Caller;
use crate::tokens::{Refusal, Tokens, Trouble};

/// How often it is looked whether a token is still good.
const TOKEN_ASKED_AGAIN: Duration = Duration::from_secs(5);

/// Tells when who has given something may be another one, or nobody any more.
pub struct Changes(Option<watch::Receiver<()>>);

impl Changes {
    /// Waits for the next.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some(file) => match file.changed().await {
                Ok(()) => {}
                // Nobody looks at the file any more: the process ends.
                Err(_) => std::future::pending().await,
            },
            None => tokio::time::sleep(TOKEN_ASKED_AGAIN).await,
        }
    }
}

/// Whom the door knows.
#[derive(Debug, Default)]
pub struct Who {
    keys: Option<Arc<KeyFile>>,
    tokens: Option<Tokens>,
}

impl Who {
    /// Whoever has one of these.
    pub fn new(keys: Option<Arc<KeyFile>>, tokens: Option<Tokens>) -> Self {
        Who { keys, tokens }
    }

    /// Whether it knows nobody, so that whoever is on this machine may do everything.
    pub fn is_anybody(&self) -> bool {
        self.keys.is_none() && self.tokens.is_none()
    }

    /// Whoever has given this.
    ///
    /// # Errors
    /// Nobody is believed to have it, and why.
    pub async fn caller(&self, given: &str) -> Result<Caller, Refusal> {
        if let Some(caller) = self.keys.as_ref().and_then(|keys| keys.caller(given)) {
            return Ok(caller);
        }
        // A key has no dots.
        let tokens = self.tokens.as_ref().filter(|_| given.contains('.')).ok_or(Refusal::Unknown)?;
        let caller = tokens.caller(given).await?;
        // Both are tenants of idempotency keys, and what commands say: one name is one caller.
        match self.keys.as_ref().is_some_and(|keys| keys.has(caller.name())) {
            true => Err(Refusal::NameOfKey),
            false => Ok(caller),
        }
    }

    /// When to ask again for whoever has given this: a key is one until the file of keys changes, a token for a while.
    pub fn changes(&self, given: &str) -> Changes {
        let keys = self.keys.as_ref().filter(|keys| keys.caller(given).is_some());
        let mut file = keys.map(|keys| keys.changes());
        // What has changed since it was let in was told before.
        file.iter_mut().for_each(watch::Receiver::mark_changed);
        Changes(file)
    }

    /// What is in the way of everybody: no key of the issuer is known, and this door has none of its own.
    pub fn obstacle(&self) -> Option<String> {
        self.trouble().filter(|trouble| self.is_locked(trouble)).map(|trouble| trouble.words)
    }

    /// What a person should know, although it is in nobody's way yet.
    pub fn note(&self) -> Option<String> {
        let of_file = self.keys.as_ref().and_then(|keys| keys.trouble());
        of_file.or_else(|| self.trouble().filter(|trouble| !self.is_locked(trouble)).map(|trouble| trouble.words))
    }

    fn trouble(&self) -> Option<Trouble> {
        self.tokens.as_ref().and_then(Tokens::trouble)
    }

    fn is_locked(&self, trouble: &Trouble) -> bool {
        !trouble.has_keys && self.keys.is_none()
    }
}
