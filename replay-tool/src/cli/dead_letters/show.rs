//! `replay-tool dead-letters show`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{FilterArgs, codec, letters};
use crate::cli::exit::Ended;
use crate::cli::source::SourceArgs;
use crate::dead_letters::{show_json, show_text};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;

/// Flags of `dead-letters show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 shown, 1 there is no such letter, 2 it could not be carried out, 130 interrupted."
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
    /// Print one JSON object for each letter, on a line of its own.
    #[arg(long)]
    json: bool,
}

/// Read and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Ended, ReplayError> {
    let source = options.source.source(interrupt)?;
    let codec = codec(options.schema_directory.as_ref())?;
    let found = letters(&source, &options.filter.filter(options.open), interrupt).await?;
    if found.is_empty() {
        eprintln!("there is no such dead letter");
        return Ok(Ended::Found);
    }
    let mut text = String::new();
    for filed in &found {
        if options.json {
            text.push_str(&format!("{}\n", show_json(filed, &codec)));
        } else {
            let space = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{space}{}", show_text(filed, &codec)));
        }
    }
    std::io::stdout().write_all(text.as_bytes()).map_err(ReplayError::output("the letters"))?;
    Ok(Ended::Fine)
}
