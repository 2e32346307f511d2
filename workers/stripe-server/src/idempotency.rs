//! The answers that are kept under their keys, and which keys are being worked on.

use std::collections::HashMap;

use serde_json::Value;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// What is known of a key.
#[derive(Debug)]
enum Entry {
    BeingWorkedOn,
    Answered { fingerprint: String, kept: Kept },
}

/// All keys, by account.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: HashMap<(String, String), Entry>,
    tries: HashMap<(String, String), i32>,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Begun {
    /// Do it.
    Fresh,
    /// Give this answer again.
    Again(Kept),
    /// The key is being worked on.
    InUse,
    /// The key came with other parameters before.
    Differs,
}

impl Keys {
    /// Count a try: how many there were before it.
    pub(crate) fn count(&mut self, account: &str, key: &str) -> i32 {
        let tries = self.tries.entry(pair(account, key)).or_default();
        *tries += 1;
        *tries - 1
    }

    pub(crate) fn begin(&mut self, account: &str, key: &str, fingerprint: &str) -> Begun {
        match self.entries.get(&pair(account, key)) {
            None => {
                self.entries.insert(pair(account, key), Entry::BeingWorkedOn);
                Begun::Fresh
            }
            Some(Entry::BeingWorkedOn) => Begun::InUse,
            Some(Entry::Answered { fingerprint: kept, .. }) if kept != fingerprint => Begun::Differs,
            Some(Entry::Answered { kept, .. }) => Begun::Again(kept.clone()),
        }
    }

    /// It is done: this is the answer from now on.
    pub(crate) fn keep(&mut self, account: &str, key: &str, fingerprint: &str, kept: Kept) {
        self.entries.insert(pair(account, key), Entry::Answered { fingerprint: fingerprint.to_owned(), kept });
    }

    /// Nothing was done: the key is as new.
    pub(crate) fn forget(&mut self, account: &str, key: &str) {
        if matches!(self.entries.get(&pair(account, key)), Some(Entry::BeingWorkedOn)) {
            self.entries.remove(&pair(account, key));
        }
    }
}

fn pair(account: &str, key: &str) -> (String, String) {
    (account.to_owned(), key.to_owned())
}
