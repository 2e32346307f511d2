//! `replay-tool dead-letters list`.

use clap::Args;
use serde_json::json;

use super::{FilterArgs, letters};
use crate::cli::source::SourceArgs;
use crate::dead_letters::{list_json, list_text};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use grammar::{Exit, JsonOption};

/// Flags of `dead-letters list`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "listed, also where there are none")], "")
)]
pub(crate) struct Options {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Only those that nobody has redriven or discarded.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    output: JsonOption,
}

/// Read and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let source = options.source.source(interrupt)?;
    let found = letters(&source, &options.filter.filter(options.open), interrupt).await?;
    let handled = found.iter().filter(|filed| filed.state().is_handled()).count();
    let open = found.len() - handled;
    let text = match (options.output.json, found.is_empty()) {
        (true, _) => format!("{}\n", json!({ "letters": list_json(&found), "open": open, "handled": handled })),
        (false, true) => "no dead letters\n".to_owned(),
        (false, false) => format!("{}\n{open} open, {handled} handled\n", list_text(&found)),
    };
    grammar::say(&text).map_err(ReplayError::output("the list"))?;
    Ok(Exit::Done)
}
