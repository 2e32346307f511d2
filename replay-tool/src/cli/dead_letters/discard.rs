//! `replay-tool dead-letters discard`.

use clap::Args;

use super::{ActionArgs, Outcomes, letters};
use crate::cli::source::SourceArgs;
use crate::dead_letters::Desk;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use grammar::Exit;

/// Flags of `dead-letters discard`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "every letter was discarded"), (1, "some were not; each is named with its reason")], "")
)]
pub(crate) struct Options {
    #[command(flatten)]
    action: ActionArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT", required = true)]
    reason: String,
}

/// Write a note behind each letter.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let source = options.source.source(interrupt)?;
    let kafka = options.source.writable_kafka("discarding")?;
    let found = letters(&source, &options.action.filter(false)?, interrupt).await?;
    let desk = Desk::open(&kafka, source, options.action.signature(Some(&options.reason)))?;
    let mut outcomes = Outcomes::new(options.action.output.json);
    let words = if options.action.dry_run { "would be discarded" } else { "discarded" };
    for filed in &found {
        if interrupt.is_raised() {
            outcomes.end(words)?;
            return Err(ReplayError::Interrupted);
        }
        let state = filed.state();
        if state.is_handled() {
            outcomes.tell(filed, false, "refused", &format!("it is {} already", state.as_str()))?;
        } else if options.action.dry_run {
            outcomes.tell(filed, true, "would be discarded", "")?;
        } else {
            match desk.discard(&filed.letter).await {
                Ok(()) => outcomes.tell(filed, true, "discarded", "")?,
                // The next notes would only wait for the same brokers.
                Err(error) => {
                    outcomes.tell(filed, false, "failed", "the brokers do not take it; the next run goes on here")?;
                    outcomes.end(words)?;
                    return Err(error);
                }
            }
        }
    }
    outcomes.end(words)
}
