//! `replay-tool dead-letters`: look at them, publish them again, or mark them as settled.

mod discard;
mod list;
mod redrive;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use schemas::{Codec, TopicName};

use crate::dead_letters::{Filed, Filter, Signature, read_shelf};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::Spot;
use crate::source::Source;
use grammar::{Exit, JsonOption};

/// What to do with dead letters.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// One line for each letter: where it lies, what is wrong with it, what was done about it.
    List(list::Options),
    /// Everything about letters: headers, cause, and the body as JSON, or its bytes where it cannot be decoded.
    Show(show::Options),
    /// Publish letters again to the topic that they were sent to. Writes to the topics.
    Redrive(redrive::Options),
    /// Mark letters as settled, without publishing or deleting anything. Writes to the dead-letter topics.
    Discard(discard::Options),
}

/// Carry it out.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    match options.verb {
        Verb::List(options) => list::run(options, interrupt).await,
        Verb::Show(options) => show::run(options, interrupt).await,
        Verb::Redrive(options) => redrive::run(options, interrupt).await,
        Verb::Discard(options) => discard::run(options, interrupt).await,
    }
}

/// Which letters are meant.
#[derive(Debug, Clone, Args)]
pub(super) struct FilterArgs {
    /// A letter, or the record that it was: order.commands.v1-dlt[3]@17, order.commands.v1[3]@40.
    #[arg(value_name = "LETTER")]
    letters: Vec<Spot>,
    /// Sent to this topic; may be repeated.
    #[arg(long = "topic", value_name = "TOPIC", value_parser = topic)]
    topics: Vec<TopicName>,
    /// Set aside for this cause: undecodable, key, unpositioned, refused, unreadable; may be repeated.
    #[arg(long = "cause", value_name = "CAUSE")]
    causes: Vec<String>,
    /// With exactly this key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// On this partition.
    #[arg(long, value_name = "NUMBER")]
    partition: Option<i32>,
    /// Set aside at this time or later (RFC 3339, as 2026-11-21T12:00:00Z).
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Set aside before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl FilterArgs {
    fn filter(&self, is_open: bool) -> Filter {
        Filter {
            spots: self.letters.clone(),
            topics: self.topics.clone(),
            causes: self.causes.clone(),
            key: self.key.clone(),
            partition: self.partition,
            since: self.since,
            until: self.until,
            is_open,
        }
    }
}

/// Read all letters, and give those that are meant.
async fn letters(source: &Source, filter: &Filter, interrupt: &Interrupt) -> Result<Vec<Filed>, ReplayError> {
    let (source, topics) = (source.clone(), filter.reading());
    let reading = tokio::task::spawn_blocking(move || read_shelf(&source, &topics));
    let aborted = |_| ReplayError::Aborted { what: "the dead letters".to_owned() };
    let shelf = interrupt.or_done(async { reading.await.map_err(aborted)? }).await?;
    Ok(shelf.finish().into_iter().filter(|filed| filter.takes(filed)).collect())
}

fn topic(text: &str) -> Result<TopicName, String> {
    let name = text.strip_suffix("-dlt").unwrap_or(text);
    TopicName::parse(name).ok_or_else(|| {
        let names = TopicName::ALL.map(TopicName::as_str).join(", ");
        format!("there is no such topic; there are {names}")
    })
}

fn codec(directory: Option<&PathBuf>) -> Result<Codec, ReplayError> {
    match directory.map(PathBuf::as_path) {
        Some(directory) => Codec::with_directory(Path::new(directory)).map_err(ReplayError::arguments),
        None => Ok(Codec::embedded()),
    }
}

/// Which letters, and who does something about them.
#[derive(Debug, Args)]
pub(super) struct ActionArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Every open letter, where no filter is given.
    #[arg(long)]
    all: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Who does it, for the record. Default: the user of the operating system.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    output: JsonOption,
}

impl ActionArgs {
    /// The letters to act on: all that are meant, handled ones only where they were named or `again` is given.
    fn filter(&self, again: bool) -> Result<Filter, ReplayError> {
        let filter = self.filter.filter(!again && self.filter.letters.is_empty());
        if filter.is_everything() && !self.all {
            return Err(ReplayError::arguments("name letters, give a filter, or --all"));
        }
        Ok(filter)
    }

    fn signature(&self, reason: Option<&str>) -> Signature {
        Signature { by: self.by.clone().unwrap_or_else(grammar::os_user), reason: reason.map(str::to_owned) }
    }
}

/// What became of the letters, printed one by one, or as one object at the end.
#[derive(Debug)]
pub(super) struct Outcomes {
    is_json: bool,
    told: Vec<serde_json::Value>,
    done: u64,
    refused: u64,
}

impl Outcomes {
    fn new(is_json: bool) -> Self {
        Outcomes { is_json, told: Vec::new(), done: 0, refused: 0 }
    }

    /// One letter, and what became of it; `is_done` unless it was refused or failed.
    fn tell(&mut self, filed: &Filed, is_done: bool, outcome: &str, detail: &str) -> Result<(), ReplayError> {
        *(if is_done { &mut self.done } else { &mut self.refused }) += 1;
        let (spot, key) = (filed.letter.spot.to_string(), filed.letter.key_in_words());
        if self.is_json {
            self.told.push(serde_json::json!({ "letter": spot, "key": key, "outcome": outcome, "detail": detail }));
            return Ok(());
        }
        let line = format!("{spot}  {key}  {outcome}{}{detail}\n", if detail.is_empty() { "" } else { ": " });
        grammar::say(&line).map_err(ReplayError::output("the outcome"))
    }

    /// The sum; refused or failed letters are something that should not be.
    fn end(self, words: &str) -> Result<Exit, ReplayError> {
        let text = match self.is_json {
            true => {
                let (done, refused) = (self.done, self.refused);
                format!("{}\n", serde_json::json!({ "outcomes": self.told, "done": done, "not_done": refused }))
            }
            false => format!("{} {words}, {} not\n", self.done, self.refused),
        };
        grammar::say(&text).map_err(ReplayError::output("the outcome"))?;
        Ok(Exit::done_if(self.refused == 0))
    }
}
