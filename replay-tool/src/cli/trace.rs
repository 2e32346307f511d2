//! `replay-tool trace`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use schemas::{Codec, OrderId};

use super::exit::{self, Ended};
use super::source::SourceArgs;
use super::tables::TablesArgs;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::snapshot::ServiceView;
use crate::trace::{self, Question};

/// Flags of `trace`.
#[derive(Debug, Args)]
#[command(after_help = exit::EXIT_CODES)]
pub(super) struct Options {
    /// The order.
    #[arg(value_parser = order_id)]
    order_id: OrderId,
    #[command(flatten)]
    source: SourceArgs,
    /// Where the services' tables are, to show what is committed and not yet published, and who has read how far.
    #[command(flatten)]
    tables: TablesArgs,
    /// Look into every partition: for commands of clients with another partitioner.
    #[arg(long)]
    all_partitions: bool,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    /// Print the trace as one JSON object.
    #[arg(long, conflicts_with = "mermaid")]
    json: bool,
    /// Print the trace as a Mermaid sequence diagram.
    #[arg(long)]
    mermaid: bool,
}

/// Read and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Ended, ReplayError> {
    let source = options.source.source(interrupt)?;
    let codec = match &options.schema_directory {
        Some(directory) => Codec::with_directory(directory).map_err(ReplayError::arguments)?,
        None => Codec::embedded(),
    };
    let mut views = Vec::new();
    // Only beside the topics do tables tell what is not published yet.
    if options.source.kafka()?.is_some() {
        for (service, tables) in options.tables.given()? {
            let (prefix, key) = (options.source.topic_prefix(), options.order_id.as_str());
            views.push(ServiceView::take(service, &tables, prefix, key).await?);
        }
    }
    let (order_id, all_partitions) = (options.order_id.clone(), options.all_partitions);
    let question = Question { source, order_id, codec, all_partitions, views };
    let read = tokio::task::spawn_blocking(move || trace::trace(question));
    let trace = read.await.map_err(|_| ReplayError::Aborted { what: "the topics".to_owned() })??;
    if trace.is_unknown() && !options.json {
        eprintln!("no topic says anything about the order {}", trace.order_id);
        return Ok(Ended::Found);
    }
    let printed = match (options.json, options.mermaid) {
        (true, _) => format!("{}\n", trace::json(&trace)),
        (false, true) => trace::mermaid(&trace),
        (false, false) => trace::text(&trace, Timestamp::now()),
    };
    std::io::stdout().write_all(printed.as_bytes()).map_err(ReplayError::output("the trace"))?;
    Ok(Ended::fine_if(!trace.is_unknown()))
}

fn order_id(text: &str) -> Result<OrderId, String> {
    OrderId::new(text).map_err(|error| error.to_string())
}
