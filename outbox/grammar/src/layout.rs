//! One layout of `--help`, and one way to read arguments.

use std::ffi::OsString;

use clap::builder::{Resettable, Str, StyledStr};
use clap::{Arg, ArgAction, Command, Parser};

use crate::exit::Exit;

/// Columns of a page of help, on every terminal: the same text everywhere.
pub(crate) const WIDTH: usize = 80;

/// Above the options that every verb of a program has.
const SHARED: &str = "Options of every verb";

/// A program's definition, laid out as all are: one line for an option where it fits, and `-h` the same as `--help`.
pub fn layout(command: Command) -> Command {
    let command = flat(command.term_width(WIDTH).disable_help_flag(true));
    let help = Arg::new("help").short('h').long("help").global(true).action(ArgAction::HelpShort).help("Print help");
    command.arg(help)
}

/// Reads a program's arguments, its own name first.
///
/// # Errors
/// How it ends: help and version were asked for and are printed, or the usage is wrong and that is told.
pub fn parse<P: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<P, Exit> {
    let matches = layout(P::command()).try_get_matches_from(arguments).map_err(|error| told(&error))?;
    P::from_arg_matches(&matches).map_err(|error| told(&error))
}

/// Prints what clap has to say, which may be what was asked for.
pub(crate) fn told(error: &clap::Error) -> Exit {
    // Nobody is there to be told when that stream is closed.
    drop(error.print());
    if error.use_stderr() { Exit::Failed } else { Exit::Done }
}

/// The long text of every option and verb in the place of the short one, so that there is one.
fn flat(command: Command) -> Command {
    let about = command.get_long_about().or(command.get_about()).cloned();
    let command = command.about(Resettable::from(about)).long_about(none());
    let command = command.mut_args(|arg| {
        let help = arg.get_long_help().or(arg.get_help()).cloned();
        // What the environment holds here and now is no part of the page. What a verb has of its own stands first on it.
        let heading = arg.get_help_heading().or(arg.is_global_set().then_some(SHARED)).map(str::to_owned);
        let arg = arg.help_heading(Resettable::from(heading.map(Str::from)));
        arg.help(Resettable::from(help)).long_help(none()).hide_env_values(true)
    });
    command.mut_subcommands(flat)
}

fn none() -> Resettable<StyledStr> {
    Resettable::Reset
}
