//! Who asks: whoever has a key of this door, or a token of an issuer that it trusts.

use std::sync::Arc;

use crate::key_file::KeyFile;
use crate::keys::Caller;
use crate::tokens::{Refusal, Tokens, Trouble};

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
