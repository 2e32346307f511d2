//! How a run ends, for every verb alike.

use grammar::{Exit, complain};

use crate::error::ReplayError;

/// The program's name.
pub(crate) const NAME: &str = "replay-tool";

/// Below the help of most verbs.
pub(super) fn exit_codes() -> String {
    let found = "something was found that should not be (violations, differences, gaps)";
    grammar::exit_codes(&[(0, "all is well"), (1, found)], "")
}

/// How a run ends; errors are told on stderr. Whoever asks by the exit code alone must not take a part for the whole: a verb
/// that could have only a part says that it has failed.
pub(super) fn code(ended: Result<Exit, ReplayError>) -> Exit {
    match ended {
        Ok(exit) => exit,
        Err(ReplayError::Interrupted) => {
            complain(NAME, "interrupted");
            Exit::Interrupted
        }
        // Whoever read our output has seen enough, as `head` does.
        Err(ReplayError::Output { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => Exit::Failed,
        Err(error) => {
            complain(NAME, error);
            Exit::Failed
        }
    }
}
