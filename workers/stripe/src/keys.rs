//! The secret key of an account: from a file, which is read again when it has changed, or from the environment.
//!
//! It is never shown: not in `Debug`, in no error, in no log. What the provider says is searched for it before anybody sees it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use grammar::{HIDDEN, Secret, SettingError};

/// How often a key's file is looked at, at most.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Where a key comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that holds it.
    File(PathBuf),
    /// It was given by the environment.
    Given(Secret),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl KeySource {
    /// Where it comes from, for people.
    pub fn shown(&self) -> String {
        match self {
            KeySource::File(path) => path.display().to_string(),
            KeySource::Given(_) => HIDDEN.to_owned(),
        }
    }
}

/// A key as it is now.
#[derive(Debug)]
pub(crate) struct Key {
    source: KeySource,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    secret: Secret,
    file: Option<Stamp>,
    looked_at: Instant,
}

/// What changes when a file is replaced, or written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

impl Key {
    /// The key of this source.
    ///
    /// # Errors
    /// Its file cannot be read, or there is no key in it.
    pub(crate) fn read(source: KeySource) -> Result<Self, SettingError> {
        let (secret, file) = match &source {
            KeySource::File(path) => (of_file(path)?, Stamp::of(path)),
            KeySource::Given(secret) => (secret.clone(), None),
        };
        Ok(Key { source, known: Mutex::new(Known { secret, file, looked_at: Instant::now() }) })
    }

    /// The key as it is now. A file that cannot be read (any more) leaves the old one.
    pub(crate) fn now(&self) -> Secret {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let KeySource::File(path) = &self.source
            && known.looked_at.elapsed() >= LOOK_PERIOD
        {
            known.looked_at = Instant::now();
            known.renew(path);
        }
        known.secret.clone()
    }

    /// The provider refused the key: the next request looks at the file, however soon.
    pub(crate) fn doubt(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.looked_at = known.looked_at.checked_sub(LOOK_PERIOD).unwrap_or(known.looked_at);
    }

    /// The text without the key.
    pub(crate) fn scrubbed(&self, text: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        text.replace(known.secret.expose(), HIDDEN)
    }
}

impl Known {
    fn renew(&mut self, path: &Path) {
        let stamp = Stamp::of(path);
        if stamp == self.file {
            return;
        }
        match of_file(path) {
            Ok(secret) => {
                if secret != self.secret {
                    tracing::info!(file = %path.display(), "the provider's key was renewed");
                }
                (self.secret, self.file) = (secret, stamp);
            }
            Err(error) => tracing::warn!(%error, "the provider's key cannot be renewed; the old one stays"),
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), number: metadata.ino() })
    }
}

fn of_file(path: &Path) -> Result<Secret, SettingError> {
    let secret = Secret::given(None, Some(path))?;
    let text = secret.as_ref().map_or("", Secret::expose).trim();
    // It becomes a header: what is none would be found out at the first order.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SettingError::File {
            what: "the provider's key",
            path: path.display().to_string(),
            reason: "there is no key in it, or more than a key".into(),
        });
    }
    Ok(Secret::from(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Written(PathBuf);

    impl Written {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("stripe-key-{name}-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Written(path)
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            // A test that failed may have removed it.
            drop(std::fs::remove_file(&self.0));
        }
    }

    #[test]
    fn a_key_is_read_again_when_its_file_changes_and_stays_while_there_is_none() {
        let file = Written::new("renewed", "sk_test_old\n");
        let key = Key::read(KeySource::File(file.0.clone())).unwrap();
        std::fs::write(&file.0, "sk_test_newer\n").unwrap();
        assert_eq!(key.now().expose(), "sk_test_old", "not looked at within a second");
        key.doubt();
        assert_eq!(key.now().expose(), "sk_test_newer");
        for broken in ["", "two words"] {
            std::fs::write(&file.0, broken).unwrap();
            key.doubt();
            assert_eq!(key.now().expose(), "sk_test_newer");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::read(KeySource::Given(Secret::from("sk_test_planted".to_owned()))).unwrap();
        let shown = [format!("{key:?}"), format!("{:?}", key.source), key.scrubbed("Invalid key sk_test_planted!")];
        assert!(shown.iter().all(|text| !text.contains("planted")), "{shown:?}");
        let file = Written::new("broken", "sk_test_planted and more");
        let error = Key::read(KeySource::File(file.0.clone())).unwrap_err().to_string();
        assert!(!error.contains("planted"), "{error}");
    }
}
