//! `replay-tool archive run|restore|check|list`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use schemas::ServiceName;
use tokio::runtime::Handle;

use super::source::SourceArgs;
use super::tables::TablesArgs;
use crate::archive::{
    Adopted, ArchiveLog, ArchiveStore, Checked, CheckedPartition, Codec, Copied, CopyPlan, Moved, Repartition,
    RestorePlan, Restored, SEGMENT_BYTES, adopt, check, check_rest, copy, partitions, resettle, restorations, restore,
};
use crate::error::ReplayError;
use crate::interrupt::Interrupt;
use crate::log::Channel;
use crate::snapshot::ServiceTables;
use grammar::{Exit, JsonOption, Table, counted, terminal_width};

/// What to do with the archive.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Copy what the topics have beyond the archive's end: up to the ends that they have now, or on and on.
    Run(RunOptions),
    /// Publish an archive into new topics, every record under its old offset.
    Restore(RestoreOptions),
    /// Read every segment and say whether the archive is whole.
    Check(LookOptions),
    /// Say what the archive holds, by its names and headers.
    List(LookOptions),
}

/// Flags of `archive run`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "copied"), (1, "copied, but retention has deleted records before they were archived, or the client library cannot read some (the offsets are named)"), (130, "interrupted; what was read until then is archived")], "With --follow, Ctrl-C or SIGTERM is the way to end, and no error. After any end, also kill -9, the next run goes on where the last whole segment ends.")
)]
pub(super) struct RunOptions {
    #[command(flatten)]
    source: SourceArgs,
    /// Where the archive lies: a folder, which is made if it is not there, or s3://bucket/prefix.
    #[arg(long, value_name = "DIR|URL")]
    to: PathBuf,
    /// Go on until Ctrl-C or SIGTERM.
    #[arg(long)]
    follow: bool,
    /// Only these topics, by their names without the prefix, with commas. Default: all of the pipeline, dead letters too.
    #[arg(long, value_name = "TOPIC", value_delimiter = ',')]
    topics: Vec<String>,
    /// A segment ends when it is so large, in bytes.
    #[arg(long, default_value_t = SEGMENT_BYTES, value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024 * 1024 * 1024))]
    segment_bytes: usize,
    /// How new segments are compressed. Every Avro tool reads deflate and null; many refuse zstandard, which is smaller and
    /// faster. Segments of all three may lie in one archive.
    #[arg(long, value_enum, default_value_t, value_name = "CODEC")]
    codec: Codec,
    /// While following, a segment ends so long after its first record, in seconds. Until then the record is only in Kafka.
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    segment_age: u64,
    /// Where a topic is not the one that was archived (deleted and made again), begin a new generation of it beside the
    /// old one. Without this flag that is an error, because the brokers could be the wrong ones.
    #[arg(long)]
    new_generation: bool,
    /// Do not tell Kafka how far this archive is (offsets of the group `<prefix>replay-archive`, by which the workers judge
    /// retention): for a copy that is not kept.
    #[arg(long)]
    no_commit: bool,
    #[command(flatten)]
    output: JsonOption,
}

/// Flags of `archive restore`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "the new topics hold what the archive does")], "After any end, also kill -9, run it again: it goes on behind what was published. Where the tables are lost too: migrate, and `rebuild --swap` from the new topics; see docs/runbook.md.")
)]
pub(super) struct RestoreOptions {
    /// --archive names the archive; --brokers and --topic-prefix say where the new topics are to be.
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    tables: TablesArgs,
    /// Then let the services go over to the new topics: their outboxes and inboxes, in one transaction each, with state as it
    /// is. Needs the --database-url of every service, and that none of its workers runs.
    #[arg(long, conflicts_with = "dry_run")]
    swap: bool,
    /// What was in front of the archived topics' names.
    #[arg(long, default_value = "", value_name = "TEXT")]
    archive_prefix: String,
    /// Restore into so many partitions. Offsets then change, and positions are numbered anew; a table of old and new places is
    /// written. Needs the --database-url of every service, which must be at rest: all published, all read, all archived.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// With --partitions: the table's file. Default: <new prefix>places.csv, here.
    #[arg(long, value_name = "FILE", requires = "partitions")]
    places: Option<PathBuf>,
    /// Replicas of the new topics; -1: as the brokers would.
    #[arg(long, default_value_t = -1, value_name = "COUNT", allow_negative_numbers = true)]
    replicas: i32,
    /// Write nothing; say what would be published.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: JsonOption,
}

/// Flags of `archive check` and `archive list`.
#[derive(Debug, Args)]
#[command(
    after_help = grammar::exit_codes(&[(0, "whole"), (1, "something is missing, damaged or does not belong (each is named)")], "Where a partition should end is known from the notes of the runs: what was archived after the newest one, by a run that was killed, may be missing without a trace.")
)]
pub(super) struct LookOptions {
    /// Where the archive lies: a folder, or s3://bucket/prefix.
    #[arg(value_name = "DIR|URL")]
    place: PathBuf,
    #[command(flatten)]
    output: JsonOption,
}

/// Do it.
pub(super) async fn run(verb: Verb, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let interrupt = interrupt.clone();
    let doing = tokio::task::spawn_blocking(move || match verb {
        Verb::Run(options) => run_copy(&options, &interrupt),
        Verb::Restore(options) => run_restore(&options, &interrupt),
        Verb::Check(options) => look(&options, true, &interrupt),
        Verb::List(options) => look(&options, false, &interrupt),
    });
    doing.await.map_err(|_| ReplayError::Aborted { what: "the archive".into() })?
}

fn run_copy(options: &RunOptions, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    options.source.refuse_archive()?;
    let kafka = options.source.kafka_log(interrupt)?.ok_or_else(|| ReplayError::arguments("give --brokers"))?;
    let group = provision::topics::archive_group(options.source.topic_prefix());
    let commit_to = options.source.kafka()?.filter(|_| !options.no_commit).map(|kafka| (kafka, group));
    let plan = CopyPlan {
        kafka,
        commit_to,
        channels: channels(&options.topics)?,
        codec: options.codec,
        store: ArchiveStore::open_or_begin(&options.to)?,
        segment_bytes: options.segment_bytes,
        segment_age: Duration::from_secs(options.segment_age),
        is_following: options.follow,
        may_begin_generation: options.new_generation,
        interrupt: interrupt.clone(),
    };
    let copied = copy(&plan)?;
    print(&if options.output.json { json(&copied)? } else { copied_text(&copied) })?;
    Ok(Exit::done_if(copied.gaps.is_empty() && copied.unreadable.is_empty()))
}

fn run_restore(options: &RestoreOptions, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let (from_prefix, to_prefix) = (options.archive_prefix.clone(), options.source.topic_prefix().to_owned());
    let plan = RestorePlan {
        kafka: options.source.writable_kafka("archive restore")?,
        target: options.source.kafka_log(interrupt)?.ok_or_else(|| ReplayError::arguments("give --brokers"))?,
        archive: ArchiveLog::new(options.source.archive()?, &from_prefix, interrupt),
        from_prefix,
        to_prefix,
        is_rehearsal: options.dry_run,
        interrupt: interrupt.clone(),
    };
    let tables = options.tables.of_services_by_flags()?;
    let missing = ServiceName::ALL.iter().find(|service| tables.iter().all(|(of, _)| of != *service));
    if let Some(missing) = missing.filter(|_| options.swap) {
        return Err(ReplayError::arguments(format!("--swap needs the --database-url of the {missing} service")));
    }
    let archived = partitions(&plan.archive)?;
    match (options.partitions, missing) {
        (None, _) => run_same_partitions(options, &plan, archived, &tables),
        (Some(count), None) => run_repartition(options, plan, count, &tables),
        (Some(_), Some(missing)) => Err(ReplayError::arguments(format!(
            "--partitions needs the --database-url of the {missing} service: it must be at rest"
        ))),
    }
}

fn run_same_partitions(
    options: &RestoreOptions,
    plan: &RestorePlan,
    count: i32,
    tables: &[(ServiceName, ServiceTables)],
) -> Result<Exit, ReplayError> {
    if !options.dry_run {
        make_topics(plan, count, options.replicas)?;
    }
    let restored = restore(plan)?;
    let mut adopted = Vec::new();
    if options.swap {
        let moved = moved(plan)?;
        for (service, tables) in tables {
            adopted.push(Handle::current().block_on(adopt(*service, tables, &moved))?);
        }
    }
    told(options, &restored, &adopted)
}

/// The same into another number of partitions.
fn run_repartition(
    options: &RestoreOptions,
    plan: RestorePlan,
    count: i32,
    tables: &[(ServiceName, ServiceTables)],
) -> Result<Exit, ReplayError> {
    let runtime = Handle::current();
    if plan.from_prefix == plan.to_prefix {
        return Err(ReplayError::arguments("--partitions needs another --topic-prefix than the archive's"));
    }
    let mut known = HashMap::new();
    for (service, tables) in tables {
        known.extend(runtime.block_on(restorations(*service, tables))?);
    }
    let mapping = options.places.clone().unwrap_or_else(|| PathBuf::from(format!("{}places.csv", plan.to_prefix)));
    let repartition = Repartition { plan, count, restorations: known, mapping };
    let mut survey = repartition.survey()?;
    let topics = survey.placed();
    // Nothing is made before it is known that the services can go over.
    for (service, tables) in tables {
        runtime.block_on(check_rest(*service, tables, &topics))?;
    }
    if options.dry_run {
        return told(options, &survey.restored, &[]);
    }
    make_topics(&repartition.plan, count, options.replicas)?;
    repartition.publish(&mut survey)?;
    let mut adopted = Vec::new();
    for (service, tables) in tables.iter().filter(|_| options.swap) {
        adopted.push(runtime.block_on(resettle(*service, tables, &topics))?);
    }
    told(options, &survey.restored, &adopted)
}

fn make_topics(plan: &RestorePlan, count: i32, replicas: i32) -> Result<(), ReplayError> {
    let made = provision::topics::create(&plan.kafka, &plan.to_prefix, count, replicas, jiff::Timestamp::now());
    Handle::current().block_on(made).map(drop).map_err(ReplayError::arguments)
}

fn told(options: &RestoreOptions, restored: &Restored, adopted: &[Adopted]) -> Result<Exit, ReplayError> {
    let keeps_offsets = options.partitions.is_none();
    let told = serde_json::json!({ "topics": restored, "services": adopted });
    let text = || restored_text(restored, options.dry_run, keeps_offsets, adopted);
    print(&if options.output.json { json(&told)? } else { text() })?;
    Ok(Exit::Done)
}

/// Old and new names, and where each partition ends.
fn moved(plan: &RestorePlan) -> Result<Vec<Moved>, ReplayError> {
    let of = |channel: Channel| {
        let ends = plan.archive.bounds(channel)?.iter().map(|bounds| bounds.end).collect();
        Ok(Moved { from: plan.archive.topic(channel), to: plan.target.topic(channel), ends })
    };
    Channel::all().map(of).collect()
}

fn restored_text(restored: &Restored, is_rehearsal: bool, keeps_offsets: bool, adopted: &[Adopted]) -> String {
    let Restored { partitions, records, were_there, without_headers } = restored;
    let done = if is_rehearsal { "would be published" } else { "published" };
    let place = if keeps_offsets { "each under its old offset" } else { "each where its key belongs now" };
    let mut text =
        format!("{} {done} in {}, {place}\n", counted(*records, "record"), counted(*partitions as u64, "partition"));
    if *were_there > 0 {
        put(&mut text, format_args!("{were_there} were there already"));
    }
    if *without_headers > 0 {
        put(&mut text, format_args!("{without_headers} were archived without headers, and have none now"));
    }
    for Adopted { service, written, read, set_back } in adopted {
        put(
            &mut text,
            format_args!("{service}: writes to {written} and reads {read} under new names, {set_back} set back"),
        );
    }
    text
}

fn look(options: &LookOptions, is_thorough: bool, interrupt: &Interrupt) -> Result<Exit, ReplayError> {
    let checked = check(&ArchiveStore::open(&options.place)?, is_thorough, interrupt)?;
    print(&if options.output.json { json(&checked)? } else { checked_text(&checked) })?;
    Ok(Exit::done_if(checked.is_whole()))
}

fn channels(names: &[String]) -> Result<Vec<Channel>, ReplayError> {
    if names.is_empty() {
        return Ok(Channel::all().collect());
    }
    let named = |name: &String| {
        let found = Channel::all().find(|channel| channel.name() == *name);
        found.ok_or_else(|| ReplayError::arguments(format!("--topics {name}: the pipeline has no such topic")))
    };
    names.iter().map(named).collect()
}

fn json(told: &impl serde::Serialize) -> Result<String, ReplayError> {
    Ok(serde_json::to_string(told).map_err(ReplayError::arguments)? + "\n")
}

fn print(text: &str) -> Result<(), ReplayError> {
    grammar::say(text).map_err(ReplayError::output("the standard output"))
}

fn copied_text(copied: &Copied) -> String {
    let Copied { records, segments, bytes, .. } = copied;
    let mut text = format!(
        "{} in {}, {}\n",
        counted(*records, "record"),
        counted(*segments, "new segment"),
        counted(*bytes, "byte")
    );
    for folder in &copied.new_generations {
        put(&mut text, format_args!("{folder}: another topic than before; a new generation was begun"));
    }
    for place in &copied.without_headers {
        put(&mut text, format_args!("{place}: a header's name is not UTF-8; archived without headers"));
    }
    for run in &copied.unreadable {
        put(&mut text, format_args!("{run}; noted, and gone on behind them"));
    }
    for open in &copied.open_transactions {
        put(&mut text, format_args!("left out until it ends: {open}"));
    }
    for gap in &copied.gaps {
        let (topic, partition) = (&gap.topic, gap.partition);
        put(
            &mut text,
            format_args!(
                "{topic}[{partition}]: offsets {} to {} were deleted before they were archived",
                gap.from, gap.last
            ),
        );
    }
    text
}

fn checked_text(checked: &Checked) -> String {
    let name = |part: &CheckedPartition| match part.generation {
        1 => part.topic.clone(),
        generation => format!("{}@{generation}", part.topic),
    };
    let mut table = Table::new(["topic", "partition", "segments", "first", "end", "records", "bytes"]);
    for part in &checked.partitions {
        let CheckedPartition { partition, segments, first, end, records, bytes, .. } = part;
        let numbers = [
            partition.to_string(),
            segments.to_string(),
            first.to_string(),
            end.to_string(),
            records.to_string(),
            bytes.to_string(),
        ];
        table.row(std::iter::once(name(part)).chain(numbers));
    }
    let mut text = table.text(terminal_width());
    for run in &checked.unreadable {
        put(&mut text, format_args!("{run}; noted when it was archived, no gap"));
    }
    for name in &checked.leftovers {
        put(&mut text, format_args!("{name}: half-written, by a run that was killed or is under way; harmless"));
    }
    for finding in &checked.findings {
        put(&mut text, format_args!("{}: {}", finding.place, finding.detail));
    }
    let listed = u64::try_from(checked.findings.len()).unwrap_or(u64::MAX);
    if checked.findings_found > listed {
        put(&mut text, format_args!("and {} more", checked.findings_found - listed));
    }
    put(&mut text, format_args!("{}", if checked.is_whole() { "whole" } else { "not whole" }));
    text
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = writeln!(text, "{line}");
}
