//! `replay-tool trace`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use schemas::{Codec, OrderId};
use tokio::task::JoinSet;

use super::exit::NAME;
use super::source::SourceArgs;
use super::tables::TablesArgs;
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::snapshot::ServiceView;
use crate::trace::{self, Question, Unread};
use grammar::{Exit, JsonOption, complain};

/// How long a service's database may take to say what it knows of the order.
const ANSWER: Duration = Duration::from_secs(20);

/// Flags of `trace`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "told"), (1, "there is no such order, none so far, or its history is broken (what there is is told all the same)"), (2, "wrong usage, it could not be carried out, or tables that were named could not be read (what the topics say is told all the same)")], "")
)]
pub(super) struct Options {
    /// The order.
    #[arg(value_parser = order_id)]
    order_id: OrderId,
    #[command(flatten)]
    source: SourceArgs,
    /// Where the services' tables are, to show what is committed and not yet published, and who has read how far.
    #[command(flatten)]
    tables: TablesArgs,
    /// Look only into the partition where the id belongs, by murmur2: faster where topics are large. Records of clients
    /// with another partitioner are not found then.
    #[arg(long)]
    home_partition: bool,
    /// As it is without being asked for; scripts have it.
    #[arg(long, hide = true, conflicts_with = "home_partition")]
    all_partitions: bool,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    #[command(flatten)]
    output: JsonOption,
    /// Print the trace as a Mermaid sequence diagram.
    #[arg(long, conflicts_with = "json")]
    mermaid: bool,
}

/// Read and print.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let source = options.source.source(interrupt)?;
    let codec = match &options.schema_directory {
        Some(directory) => Codec::with_directory(directory).map_err(ReplayError::arguments)?,
        None => Codec::embedded(),
    };
    let (views, unread) = views(&options).await?;
    for Unread { service, reason } in &unread {
        complain(
            NAME,
            format_args!(
                "the {service} service's tables could not be read, the trace continues without them: {reason}"
            ),
        );
    }
    let is_whole = unread.is_empty();
    let (order_id, home_only) = (options.order_id.clone(), options.home_partition && !options.all_partitions);
    let question = Question { source, order_id, codec, home_only, views, unread };
    let read = tokio::task::spawn_blocking(move || trace::trace(question));
    let trace = read.await.map_err(|_| ReplayError::Aborted { what: "the topics".to_owned() })??;
    if trace.is_unknown() && !options.output.json {
        complain(NAME, format_args!("no topic says anything about the order {}", trace.order_id));
        return Ok(if is_whole { Exit::No } else { Exit::Failed });
    }
    let printed = match (options.output.json, options.mermaid) {
        (true, _) => format!("{}\n", trace::json(&trace)),
        (false, true) => trace::mermaid(&trace),
        (false, false) => trace::text(&trace, Timestamp::now()),
    };
    grammar::say(&printed).map_err(ReplayError::output("the trace"))?;
    Ok(if is_whole { Exit::done_if(trace.has_order()) } else { Exit::Failed })
}

/// What the services' databases say of the order, all asked at once, and which of them could not be asked.
async fn views(options: &Options) -> Result<(Vec<ServiceView>, Vec<Unread>), ReplayError> {
    let (mut views, mut unread) = (Vec::new(), Vec::new());
    // Only beside the topics do tables tell what is not published yet.
    if options.source.kafka()?.is_none() {
        return Ok((views, unread));
    }
    let mut asking = JoinSet::new();
    for (service, tables) in options.tables.of_services()? {
        let (prefix, key) = (options.source.topic_prefix().to_owned(), options.order_id.clone());
        asking.spawn(async move {
            let taking = ServiceView::take(service, &tables, &prefix, key.as_str());
            match tokio::time::timeout(ANSWER, taking).await {
                Ok(Ok(view)) => Ok(view),
                Ok(Err(error)) => Err(Unread { service, reason: error.to_string() }),
                Err(_) => Err(Unread { service, reason: format!("no answer within {} s", ANSWER.as_secs()) }),
            }
        });
    }
    while let Some(asked) = asking.join_next().await {
        match asked.map_err(|_| ReplayError::Aborted { what: "a service's tables".to_owned() })? {
            Ok(view) => views.push(view),
            Err(missing) => unread.push(missing),
        }
    }
    unread.sort_by_key(|missing| missing.service);
    Ok((views, unread))
}

fn order_id(text: &str) -> Result<OrderId, String> {
    OrderId::new(text).map_err(|error| error.to_string())
}
