//! `replay-tool at` and `replay-tool diff`: the shop as it was, folded from the topics up to a moment.

use std::path::{Path, PathBuf};

use clap::Args;
use client::unique_keys;
use jiff::Timestamp;
use serde_json::json;

use super::rebuild::codec;
use super::source::SourceArgs;
use crate::error::ReplayError;
use crate::fold::Wanted;
use crate::interrupt::Interrupt;
use crate::rebuild::{Moment, Rebuild, Until};
use grammar::{Exit, JsonOption};

/// Flags of `at`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "told"), (1, "there was no such order or SKU")], "")
)]
pub(super) struct AtOptions {
    /// An RFC 3339 time (of the records' own timestamps), a vector of offsets as JSON, given or in a file, or `now`.
    #[arg(value_name = "TIME|VECTOR")]
    moment: String,
    #[command(flatten)]
    folding: FoldingArgs,
}

/// Flags of `diff`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "nothing changed in between"), (1, "something did")], "")
)]
pub(super) struct DiffOptions {
    /// The earlier moment: as for `at`.
    #[arg(value_name = "TIME1|VECTOR1")]
    first: String,
    /// The later one.
    #[arg(value_name = "TIME2|VECTOR2")]
    second: String,
    #[command(flatten)]
    folding: FoldingArgs,
}

/// What is folded, from where, and how it is told.
#[derive(Debug, Args)]
struct FoldingArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// One order, in all services.
    #[arg(long, value_name = "ID", conflicts_with = "sku")]
    order: Option<String>,
    /// One SKU: its level and its receipts.
    #[arg(long, value_name = "SKU")]
    sku: Option<String>,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
    #[command(flatten)]
    output: JsonOption,
}

impl FoldingArgs {
    fn rebuild(&self, until: Until, interrupt: &Interrupt) -> Result<Rebuild, ReplayError> {
        let source = self.source.source(interrupt)?;
        Ok(Rebuild { until, ..Rebuild::in_memory_from(source, codec(self.schema_directory.as_deref())?) })
    }

    fn wanted(&self) -> Wanted {
        match (&self.order, &self.sku) {
            (Some(order), _) => Wanted::Order(order.clone()),
            (None, Some(sku)) => Wanted::Sku(sku.clone()),
            (None, None) => Wanted::Everything,
        }
    }
}

/// Fold up to the moment and print.
pub(super) async fn at(options: AtOptions, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let rebuild = options.folding.rebuild(parse(&options.moment)?, interrupt)?;
    let wanted = options.folding.wanted();
    let moment = rebuild.moment(wanted).await?;
    let is_there = !moment.is_missing();
    print(&moment, options.folding.output.json)?;
    Ok(Exit::done_if(is_there))
}

/// Fold up to both moments and print what changed in between.
pub(super) async fn diff(options: DiffOptions, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let mut rebuild = options.folding.rebuild(parse(&options.first)?, interrupt)?;
    let wanted = options.folding.wanted();
    let first = rebuild.moment(wanted.clone()).await?;
    rebuild.until = parse(&options.second)?;
    let second = rebuild.moment(wanted).await?;
    let differences = first.differences(&second).await?;
    let text = if options.folding.output.json {
        let told = json!({
            "first": first.json(), "second": second.json(), "changes": differences,
        });
        format!("{told}\n")
    } else {
        let (first, second) = (first.to_string(), second.to_string());
        format!("{}\n{first}\n{}\n{second}\n{}", options.first, options.second, differences.between_moments())
    };
    write(&text)?;
    Ok(Exit::done_if(differences.is_empty()))
}

/// One order as it is at the moment that `rebuild` folds to.
pub(super) async fn print_order(rebuild: &Rebuild, order: &str, as_json: bool) -> Result<Exit, ReplayError> {
    let moment = rebuild.moment(Wanted::Order(order.to_owned())).await?;
    print(&moment, as_json)?;
    Ok(Exit::done_if(!moment.is_missing()))
}

/// A time, `now`, or a vector.
pub(super) fn parse(text: &str) -> Result<Until, ReplayError> {
    if text == "now" {
        return Ok(Until::End);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Until::TimeMs(time.as_millisecond()));
    }
    let is_given = text.trim_start().starts_with('{');
    let read = if is_given { Ok(text.to_owned()) } else { std::fs::read_to_string(Path::new(text)) };
    let wrong = |reason: String| {
        ReplayError::arguments(format!(
            "{text}: neither a time such as 2026-11-21T13:00:00Z nor a vector, {{\"order.events.v1\": [12, 0, 7], …}}, \
             nor a file with one: {reason}"
        ))
    };
    let read = read.map_err(|error| wrong(error.to_string()))?;
    let vector = unique_keys::parse(read.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    // A whole report of `rebuild --json` is taken as well: its services' vectors together.
    crate::rebuild::Vector::of_json(&vector).map(Until::Vector).map_err(wrong)
}

fn print(moment: &Moment, as_json: bool) -> Result<(), ReplayError> {
    write(&if as_json { format!("{}\n", moment.json()) } else { moment.to_string() })
}

fn write(text: &str) -> Result<(), ReplayError> {
    grammar::say(text).map_err(ReplayError::output("the standard output"))
}
