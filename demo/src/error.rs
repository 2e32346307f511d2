//! Why the demo cannot go on, in words; and how a run ends.

use std::process::ExitCode;

/// A failure with its words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Servers of the development stack.
    #[error("{0}")]
    Stack(#[from] dev_stack::Error),
    /// Kafka or the file with orders.
    #[error("{0}")]
    Client(#[from] client::ClientError),
    /// A daemon's process ended or did not get ready.
    #[error("{name} {what}; its log ends with:\n{tail}")]
    Daemon {
        /// Which process.
        name: String,
        /// What happened.
        what: String,
        /// The end of its log.
        tail: String,
    },
    /// A file of the demo's own.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was attempted.
        action: &'static str,
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Anything else.
    #[error("{0}")]
    Words(String),
    /// A signal asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { action, path, source }
    }

    /// The exit code that goes with it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted => ExitCode::from(130),
            Self::Stack(_) | Self::Client(_) | Self::Daemon { .. } | Self::File { .. } | Self::Words(_) => {
                ExitCode::FAILURE
            }
        }
    }
}
