//! `replay-tool verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use schemas::ServiceName;

use grammar::{Exit, JsonOption};

use super::exit;
use super::rebuild::codec;
use super::source::SourceArgs;
use super::tables::TablesArgs;
use crate::check::{CheckConfig, Watch, check_watched};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::keeper::Keeper;
use crate::snapshot::{Connection, ServiceTables};

/// Flags of `verify`.
#[derive(Debug, Args)]
#[command(after_help = exit::exit_codes())]
pub(super) struct Options {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    tables: TablesArgs,
    /// Statements of the payment simulator, as evidence of what was charged; may be repeated.
    #[arg(long = "statement", value_name = "FILE", num_args = 1..)]
    statements: Vec<PathBuf>,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    /// Nothing may be under way: unfinished orders and waiting records are violations.
    #[arg(long)]
    quiescent: bool,
    /// A stuck order is a violation.
    #[arg(long)]
    stuck_is_violation: bool,
    /// How long, in seconds, to wait for messages that are committed and not in the topics or the archive yet.
    ///
    /// The time begins anew with each one that comes; when it is over, the rest counts as missing. 0: do not wait for any.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    patience_s: u64,
    #[command(flatten)]
    output: JsonOption,
}

/// Check and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let is_json = options.output.json;
    let view = view(&options.tables).await?;
    let report = check_watched(CheckConfig { view, ..config(options)? }, Watch { interrupt, is_drawn: true }).await?;
    let text = match is_json {
        true => serde_json::to_string(&report).map_err(ReplayError::arguments)? + "\n",
        false => report.to_string(),
    };
    grammar::say(&text).map_err(ReplayError::output("the report"))?;
    Ok(Exit::done_if(report.is_clean()))
}

/// The read model's tables, where it has any; who names it means that it has.
async fn view(tables: &TablesArgs) -> Result<Option<ServiceTables>, ReplayError> {
    let given = tables.given()?.into_iter().find(|(keeper, _)| *keeper == Keeper::View);
    let Some((keeper, given)) = given else { return Ok(None) };
    let connection = Connection::open(keeper, &given.database_url, &given.schema).await?;
    let is_there = view::is_there(&connection.client, &given.schema).await;
    let is_there = is_there.map_err(connection.failed("looking for the read model"))?;
    connection.close().await;
    match is_there || tables.names_view() {
        true => Ok(Some(given)),
        false => Ok(None),
    }
}

fn config(options: Options) -> Result<CheckConfig, ReplayError> {
    let mut config = CheckConfig::new(options.source.records()?, "");
    for (service, tables) in options.tables.of_services()? {
        config.tables[service] = tables;
    }
    let without = |service: &ServiceName| config.tables[*service].database_url.is_empty();
    if let Some(service) = ServiceName::ALL.into_iter().find(without) {
        let reason = format!(
            "no --database-url (or DATABASE_URL) for the {service} service; give {service}=URL, or one URL for all"
        );
        return Err(ReplayError::arguments(reason));
    }
    config.statements = options.statements;
    config.expect_quiescent = options.quiescent;
    config.stuck_is_violation = options.stuck_is_violation;
    config.patience = Duration::from_secs(options.patience_s);
    config.codec = codec(options.schema_directory.as_deref())?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &str) -> Result<CheckConfig, String> {
        let words = std::iter::once("verify").chain(arguments.split_whitespace());
        let options = Program::try_parse_from(words).map_err(|error| error.to_string())?.options;
        config(options).map_err(|error| error.to_string())
    }

    #[test]
    fn one_url_serves_all_and_a_service_can_have_its_own() {
        let config =
            parsed("--brokers b:1 --database-url postgres://all/x?a=b --database-url payment=postgres://own/y")
                .unwrap();
        assert_eq!(config.tables[ServiceName::Order].database_url, "postgres://all/x?a=b");
        assert_eq!(config.tables[ServiceName::Payment].database_url, "postgres://own/y");
        let schema = |service| config.tables[service].schema.as_str();
        assert_eq!((schema(ServiceName::Inventory), schema(ServiceName::Payment)), ("inventory", "payments"));
    }

    #[test]
    fn a_service_without_a_url_is_named() {
        let error = parsed("--brokers b:1 --database-url order=postgres://own/y").unwrap_err();
        assert!(error.contains("inventory"), "{error}");
    }

    #[test]
    fn a_schema_of_no_service_is_a_mistake() {
        let error = parsed("--brokers b:1 --database-url postgres://all/x --schema shop").unwrap_err();
        assert!(error.contains("SERVICE=NAME"), "{error}");
    }
}
