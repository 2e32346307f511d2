//! Why a test failed before it could assert anything: any error, in words, with the place where it came up.
//!
//! One type for all libraries' errors, so that a test is a plain function with `?`.

use std::error::Error;
use std::panic::Location;

/// Result of everything in this package.
pub type Outcome<T = ()> = Result<T, Trouble>;

/// An error in words.
pub struct Trouble {
    text: String,
    at: &'static Location<'static>,
}

/// An error of our own.
#[track_caller]
pub fn trouble(text: impl Into<String>) -> Trouble {
    Trouble { text: text.into(), at: Location::caller() }
}

impl Trouble {
    /// The same, saying first what was attempted.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }
}

impl<E: Error> From<E> for Trouble {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let words = cause.to_string();
            if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
            source = cause.source();
        }
        trouble(text)
    }
}

/// What the test harness prints.
impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (at {})", self.text, self.at)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
