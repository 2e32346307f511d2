//! How a run of any program ends.
//!
//! Whoever asks by the exit code alone must be able to tell "no" from "nobody answered": a script that takes brokers that are
//! away for an unknown order places it again.

use std::process::ExitCode;

use crate::layout::WIDTH;
use crate::table::wrapped;

/// The ends that all programs have. A program may have further codes of its own, from 3 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done, and all is well.
    Done,
    /// It was carried out, and the answer is no: something was found, or what was asked for is not there.
    No,
    /// Wrong usage, or it could not be carried out: brokers, database, credentials, topics, files.
    Failed,
    /// Ended by a signal before it was done.
    Interrupted,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Failed => 2,
            // As shells call a process that SIGINT has ended.
            Exit::Interrupted => 130,
        }
    }

    /// Done if it is well, else no.
    pub fn done_if(is_well: bool) -> Self {
        if is_well { Exit::Done } else { Exit::No }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Columns before the meaning of a code.
const INDENT: usize = 7;

/// The section at the end of a verb's help. `own` says what 0, 1 and a program's own codes mean there; what all verbs have
/// alike is added. `note` stands below.
pub fn exit_codes(own: &[(u8, &str)], note: &str) -> String {
    let shared = [
        (Exit::Failed.code(), "wrong usage, or it could not be carried out (stderr says why)"),
        (Exit::Interrupted.code(), "interrupted"),
    ];
    let is_told = |code: u8| own.iter().any(|(of, _)| *of == code);
    let mut codes: Vec<(u8, &str)> = own.to_vec();
    codes.extend(shared.into_iter().filter(|(code, _)| !is_told(*code)));
    codes.sort_by_key(|(code, _)| *code);
    let mut text = "Exit codes:".to_owned();
    for (code, meaning) in codes {
        for (line, words) in wrapped(meaning, WIDTH - INDENT).iter().enumerate() {
            let number = if line == 0 { code.to_string() } else { String::new() };
            text.push_str(&format!("\n  {number:<3}  {words}"));
        }
    }
    if !note.is_empty() {
        text.push_str("\n\n");
        text.push_str(&wrapped(note, WIDTH).join("\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_and_not_carried_out_are_never_the_same() {
        let codes = [Exit::Done, Exit::No, Exit::Failed, Exit::Interrupted].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 130]);
    }

    #[test]
    fn what_a_verb_has_of_its_own_stands_among_what_all_have() {
        let text = exit_codes(
            &[
                (0, "told"),
                (3, "told in part, as far as the topics that could be read go back into the past, and no further"),
            ],
            "More.",
        );
        let expected = "Exit codes:\n  0    told\n  2    wrong usage, or it could not be carried out (stderr says why)\n  \
                        3    told in part, as far as the topics that could be read go back into the\n       past, and no further\n  130  interrupted\n\nMore.";
        assert_eq!(text, expected);
    }
}
