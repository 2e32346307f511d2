//! The file of keys as it is now: read again when it has changed, so that a key that is taken out of it is out within seconds.
//!
//! A file that cannot be read changes nothing: whoever was let in still is, and a person is told. Deliberately absent: being told of
//! changes by the system, which does not see through mounts as Kubernetes makes them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grammar::SettingError;
use tokio::sync::watch;

use crate::keys::{Caller, Keys};

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(2);

/// The file, and the keys that it had when it was read last.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    read: Mutex<Read>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Read {
    text: String,
    keys: Arc<Keys>,
    trouble: Option<String>,
}

impl KeyFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is not as it has to be.
    pub fn open(path: PathBuf) -> Result<Self, SettingError> {
        let (text, keys) = Keys::read(&path)?;
        let read = Mutex::new(Read { text, keys: Arc::new(keys), trouble: None });
        Ok(KeyFile { path, read, changed: watch::Sender::new(()) })
    }

    /// Whose key this is.
    pub fn caller(&self, key: &str) -> Option<Caller> {
        self.keys().caller(key).cloned()
    }

    /// Whether a key has this name.
    pub fn has(&self, name: &str) -> bool {
        self.keys().has(name)
    }

    /// Tells whenever other keys count than before.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Why the file as it is now is not what counts.
    pub fn trouble(&self) -> Option<String> {
        self.locked().trouble.clone()
    }

    /// Looks at it again and again, until asked to stop.
    pub async fn keep_looking(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = stopping.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(LOOK) => self.look(),
            }
        }
    }

    fn look(&self) {
        let found = Keys::read(&self.path);
        let mut read = self.locked();
        match found {
            Ok((text, _)) if text == read.text => read.trouble = None,
            Ok((text, keys)) => {
                tracing::info!(file = %self.path.display(), "the file of keys has changed");
                *read = Read { text, keys: Arc::new(keys), trouble: None };
                self.changed.send_replace(());
            }
            Err(error) => {
                let words = format!("{error}; the keys that it had before count on");
                if read.trouble.as_ref() != Some(&words) {
                    tracing::error!("{words}");
                }
                read.trouble = Some(words);
            }
        }
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.locked().keys)
    }

    fn locked(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Role, new_key};

    #[test]
    fn what_is_taken_out_is_out_and_a_file_that_cannot_be_read_changes_nothing() {
        let path = std::env::temp_dir().join(format!("keys-{}.toml", uuid::Uuid::now_v7()));
        let (one, first) = new_key("one", &[Role::OrdersRead]).unwrap();
        let (two, second) = new_key("two", &[Role::OrdersRead]).unwrap();
        std::fs::write(&path, [first, second.clone()].concat()).unwrap();
        let file = KeyFile::open(path.clone()).unwrap();
        let are_in = |file: &KeyFile| [&one, &two].map(|key| file.caller(key).is_some());
        assert_eq!((are_in(&file), file.has("one")), ([true, true], true));
        let changes = file.changes();
        std::fs::write(&path, "no keys").unwrap();
        file.look();
        assert_eq!(are_in(&file), [true, true]);
        assert!(file.trouble().unwrap().contains("count on"));
        assert!(!changes.has_changed().unwrap(), "the keys are those of before");
        std::fs::write(&path, second).unwrap();
        file.look();
        assert_eq!((are_in(&file), file.has("one"), file.trouble()), ([false, true], false, None));
        assert!(changes.has_changed().unwrap());
        std::fs::remove_file(&path).unwrap();
        file.look();
        assert_eq!(are_in(&file), [false, true], "a file that is away lets nobody else in, and nobody out");
        assert!(file.trouble().is_some());
    }
}
