//! `replay-tool dead-letters redrive`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rdkafka::error::RDKafkaErrorCode;
use schemas::{Codec, TopicName};

use super::{ActionArgs, Outcomes, codec, letters};
use crate::cli::source::SourceArgs;
use crate::dead_letters::{Allowances, Desk, Edited, Filed, MAX_REDRIVES, Ruling, rule, settled_in_words};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use grammar::Exit;

/// Flags of `dead-letters redrive`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "every letter was redriven"), (1, "some were not; each is named with its reason")], "")
)]
pub(crate) struct Options {
    #[command(flatten)]
    action: ActionArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// At most so many letters each second.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Publish this instead of the one letter that is named: what `show --json` prints, with "type" and "body" corrected.
    #[arg(long, value_name = "FILE")]
    edited: Option<PathBuf>,
    /// Also what was redriven or discarded before.
    #[arg(long)]
    again: bool,
    /// Also what the service would only set aside again.
    #[arg(long)]
    unreadable: bool,
    /// How often a message may be redriven, whatever dead letters lie between.
    #[arg(long, default_value_t = MAX_REDRIVES, value_name = "NUMBER")]
    max_redrives: u32,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// A directory of schemas beyond those compiled in, laid out as `schemas/`.
    #[arg(long, value_name = "DIRECTORY")]
    schema_directory: Option<PathBuf>,
}

/// A letter's key, in its topic: what comes after a failure must wait.
type KeyOf = (TopicName, i32, Option<Vec<u8>>);

/// Publish, one letter after the other, in the order of their topics' partitions.
pub(super) async fn run(options: Options, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let source = options.source.source(interrupt)?;
    let kafka = options.source.writable_kafka("a redrive")?;
    let codec = codec(options.schema_directory.as_ref())?;
    let found = letters(&source, &options.action.filter(options.again)?, interrupt).await?;
    let edited = edited(&options, &found, &codec)?;
    let allowed =
        Allowances { again: options.again, unreadable: options.unreadable, max_redrives: options.max_redrives };
    let desk = Desk::open(&kafka, source, options.action.signature(options.reason.as_deref()))?;
    let mut outcomes = Outcomes::new(options.action.output.json);
    let mut stopped: HashSet<KeyOf> = HashSet::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / options.rate);
    let words = if options.action.dry_run { "would be redriven" } else { "redriven" };
    for filed in &found {
        if interrupt.is_raised() {
            outcomes.end(words)?;
            return Err(ReplayError::Interrupted);
        }
        let key: KeyOf = (filed.letter.topic, filed.letter.spot.partition, filed.letter.key.clone());
        if key.2.is_some() && stopped.contains(&key) {
            outcomes.tell(filed, false, "skipped", "an earlier letter of the same key was not redriven")?;
            continue;
        }
        let redrive = match rule(filed, edited.as_ref(), allowed, &codec) {
            Ruling::Publish(redrive) => redrive,
            // Its key goes on: what came before is settled, in its order.
            Ruling::Settled(note) => {
                outcomes.tell(filed, false, "refused", &settled_in_words(&note))?;
                continue;
            }
            Ruling::Refused(objection) => {
                outcomes.tell(filed, false, "refused", &objection.in_words(&filed.letter))?;
                stopped.insert(key);
                continue;
            }
        };
        if options.action.dry_run {
            let how = if redrive.begun.is_some() { "a redrive that was interrupted would be ended" } else { "" };
            outcomes.tell(filed, true, "would be redriven", how)?;
            continue;
        }
        tick.tick().await;
        match desk.redrive(&filed.letter, edited.as_ref(), &redrive).await {
            Ok(done) => {
                let found = if done.was_there { " (an interrupted run had published it)" } else { "" };
                let place = format!("{}[{}]@{}{found}", filed.letter.topic, done.partition, done.offset);
                outcomes.tell(filed, true, "redriven", &place)?;
            }
            Err(error) if is_of_the_record(&error) => {
                outcomes.tell(filed, false, "failed", &error.to_string())?;
                stopped.insert(key);
            }
            // The next letters would only wait for the same brokers.
            Err(error) => {
                outcomes.tell(filed, false, "failed", "the brokers do not take it; the next run resumes here")?;
                outcomes.end(words)?;
                return Err(error);
            }
        }
    }
    outcomes.end(words)
}

/// Whether the broker refuses this very record, and may well take another.
fn is_of_the_record(error: &ReplayError) -> bool {
    let ReplayError::Kafka { source, .. } = error else { return false };
    source.rdkafka_error_code().is_some_and(|code| {
        [
            RDKafkaErrorCode::MessageSizeTooLarge,
            RDKafkaErrorCode::InvalidMessage,
            RDKafkaErrorCode::InvalidRecord,
            RDKafkaErrorCode::PolicyViolation,
        ]
        .contains(&code)
    })
}

/// The edited copy, of exactly one letter.
fn edited(options: &Options, found: &[Filed], codec: &Codec) -> Result<Option<Edited>, ReplayError> {
    let Some(file) = &options.edited else { return Ok(None) };
    let [filed] = found else {
        let count = found.len();
        return Err(ReplayError::arguments(format!("--edited is for one letter; {count} are meant")));
    };
    let wrong = |error: &dyn std::fmt::Display| ReplayError::arguments(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    Edited::read(&text, filed.letter.topic, codec).map(Some).map_err(|error| wrong(&error))
}
