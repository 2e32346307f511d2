//! How a run ends, for every verb alike.

use std::process::ExitCode;

use crate::error::ReplayError;

/// Below the help of every verb.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 something was found that should not be (violations, \
    differences, gaps), 2 it could not be carried out, 130 interrupted.";

/// What a verb that was carried out has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All is well.
    Fine,
    /// Something was found that should not be; it has been printed.
    Found,
    /// A part of what was asked for could not be had; the rest has been printed.
    Partly,
}

impl Ended {
    pub(super) fn fine_if(is_fine: bool) -> Self {
        if is_fine { Ended::Fine } else { Ended::Found }
    }
}

/// The arguments were wrong, or it could not be carried out.
pub(super) const FAILED: u8 = 2;
/// As shells call a process that SIGINT has ended.
pub(super) const INTERRUPTED: u8 = 130;

/// The exit code of a run; errors are told on stderr.
pub(super) fn code(ended: Result<Ended, ReplayError>) -> ExitCode {
    match ended {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Found) => 1.into(),
        // Whoever asks by the exit code alone must not take a part for the whole.
        Ok(Ended::Partly) => FAILED.into(),
        Err(ReplayError::Interrupted) => {
            eprintln!("interrupted");
            INTERRUPTED.into()
        }
        // Whoever read our output has seen enough, as `head` does.
        Err(ReplayError::Output { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => FAILED.into(),
        Err(error) => {
            eprintln!("error: {error}");
            FAILED.into()
        }
    }
}
