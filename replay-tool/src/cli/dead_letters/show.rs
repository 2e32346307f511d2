//! `replay-tool dead-letters show`.

use std::path::PathBuf;

use clap::Args;

use super::{FilterArgs, codec, letters};
use crate::cli::exit::NAME;
use crate::cli::source::SourceArgs;
use crate::dead_letters::{show_json, show_text};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use grammar::{Exit, JsonOption, complain};

/// Flags of `dead-letters show`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "shown"), (1, "there is no such letter")], "")
)]
pub(crate) struct Options {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Only those that nobody has redriven or discarded.
    #[arg(long)]
    open: bool,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    #[command(flatten)]
    output: JsonOption,
}

/// Read and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let source = options.source.source(interrupt)?;
    let codec = codec(options.schema_directory.as_ref())?;
    let found = letters(&source, &options.filter.filter(options.open), interrupt).await?;
    if found.is_empty() {
        complain(NAME, "there is no such dead letter");
        return Ok(Exit::No);
    }
    let mut text = String::new();
    for filed in &found {
        if options.output.json {
            text.push_str(&format!("{}\n", show_json(filed, &codec)));
        } else {
            let space = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{space}{}", show_text(filed, &codec)));
        }
    }
    grammar::say(&text).map_err(ReplayError::output("the letters"))?;
    Ok(Exit::Done)
}
