//! `replay-tool reconcile`.

use std::path::PathBuf;

use clap::Args;
use grammar::{Exit, JsonOption};
use schemas::ServiceName;

use super::exit;
use super::tables::TablesArgs;
use crate::error::ReplayError;
use crate::reconcile::reconcile;

/// Flags of `reconcile`.
#[derive(Debug, Args)]
#[command(after_help = exit::exit_codes())]
pub(super) struct Options {
    /// The provider's balance transactions: JSON lines of its API, or CSV of its reports, with Stripe's column names.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Orders that the file does not name are none of its business: for a file of a part of the time.
    #[arg(long)]
    listed_only: bool,
    #[command(flatten)]
    tables: TablesArgs,
    #[command(flatten)]
    output: JsonOption,
}

/// Compare and print.
pub(super) async fn run(options: Options) -> Result<Exit, ReplayError> {
    let given = options.tables.of_services()?.into_iter().find(|(service, _)| *service == ServiceName::Payment);
    let Some((_, tables)) = given else {
        return Err(ReplayError::arguments("no --database-url (or DATABASE_URL) for the payment service"));
    };
    let found = reconcile(&options.from, &tables, options.listed_only).await?;
    let text = match options.output.json {
        true => serde_json::to_string(&found).map_err(ReplayError::arguments)? + "\n",
        false => found.to_string(),
    };
    grammar::say(&text).map_err(ReplayError::output("the differences"))?;
    Ok(Exit::done_if(found.is_clean()))
}
