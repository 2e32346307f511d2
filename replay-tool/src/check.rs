//! A check from beginning to end: cuts, topics and tables, the present once more, the verdict.

mod config;
mod evidence;
mod findings;
mod invariant;
mod rehearsal;
mod report;
mod scan;
mod state;
mod verdict;
mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use domain::statement::{self, StatementLine};
use schemas::{PerService, ServiceName, Time};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use config::CheckConfig;
pub use findings::{Invariant, Violation};
pub use invariant::termination::{Awaited, Wait};
pub use rehearsal::rehearse;
pub use report::{Comparison, Note, Report};
pub use scan::{ByHand, MessageCounts};

use crate::error::{ReplayError, UnreadableRun};
use crate::interrupt::{Interrupt, RaiseOnDrop};
use crate::log::{Channel, OpenTransaction};
use crate::progress::Progress;
use crate::snapshot::{Cuts, LaneRows, Session, Snapshots, at_once};
use crate::source::{Ends, Source, find_ends};
use evidence::{Evidence, Expectations, Outbox};
use findings::Findings;
use scan::{Reading, Scan, ScanPlan, Topics, wait_for_rest};

/// How many topics are read at once.
const CONCURRENT_TOPICS: usize = 4;

/// How often to look whether the pipeline has come to rest.
const SETTLE_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// Hold topics and tables against each other and against every invariant.
///
/// Reads only; the daemons may run on. Memory is in proportion to the state and to the number of messages (some 40 bytes
/// for each). Must be called within a Tokio runtime; topics are read on its blocking threads.
///
/// # Errors
/// The check could not be carried out. What does not hold is no error: it is in the report.
pub async fn check(config: CheckConfig) -> Result<Report, ReplayError> {
    // The blocking threads end when nobody waits for them any more.
    let given_up = RaiseOnDrop::default();
    check_watched(config, Watch { interrupt: &given_up.0, is_drawn: false }).await
}

/// Who looks on while a check runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch<'w> {
    /// Ends the check.
    pub(crate) interrupt: &'w Interrupt,
    /// Whether progress is drawn.
    pub(crate) is_drawn: bool,
}

impl Watch<'_> {
    fn progress(&self, what: &str, total: i64) -> Progress {
        if !self.is_drawn {
            return Progress::hidden();
        }
        Progress::new(what, u64::try_from(total).unwrap_or(0))
    }
}

/// The same, looked on.
pub(crate) async fn check_watched(config: CheckConfig, watch: Watch<'_>) -> Result<Report, ReplayError> {
    let begun = Instant::now();
    if config.expect_quiescent {
        wait_for_orders(&config).await?;
    }
    let (snapshots, cuts) = Snapshots::take(&config.tables).await?;
    let now = Time::from(jiff::Timestamp::now());
    let statement = read_statements(&config)?;
    let source = config.records.source(watch.interrupt)?;
    let (ends, open) = (ends(&source).await?, open_transactions(&source).await?);
    let scanning = scan_topics(&config, &source, &watch, &cuts, &ends);
    let ((tables, outboxes), scans) = tokio::try_join!(snapshots.read_all(), scanning)?;
    let waiting = match config.expect_quiescent {
        true => wait_for_readers(&config, snapshots.sessions(), &scans).await?,
        false => Vec::new(),
    };
    let outboxes = outboxes_now(&snapshots, outboxes).await?;
    snapshots.close().await;
    let evidence = Evidence {
        place: source.place(),
        prefix: config.records.prefix().to_owned(),
        partitions: ends.partitions,
        tables,
        cuts,
        outboxes,
        topics: Topics::of(scans),
        unreadable: unreadable(&source).await?,
        statement,
        waiting,
        expectations: Expectations { quiescent: config.expect_quiescent, nothing_stuck: config.stuck_is_violation },
        now,
    };
    let (mut of_view, mut view_behind) = (Findings::default(), None);
    if let Some(tables) = &config.view {
        view_behind = Some(view::check(&config, &source, tables, &mut of_view).await?);
    }
    let report = report(evidence, of_view, open, begun);
    Ok(Report { view_behind, ..report })
}

fn report(evidence: Evidence, of_view: Findings, open: Vec<OpenTransaction>, begun: Instant) -> Report {
    let unreadable = evidence.unreadable.iter().map(|(_, run)| Note::Unreadable(run.clone()));
    let notes = open.into_iter().map(Note::OpenTransaction).chain(unreadable).collect();
    let mut verdict = evidence.judge();
    verdict.findings.append(of_view);
    let (violations, violations_found) = verdict.findings.into_list();
    Report {
        orders: verdict.orders,
        rejected: verdict.rejected,
        stuck: verdict.stuck,
        waits: verdict.waits,
        by_hand: verdict.by_hand,
        dead_letters: verdict.dead_letters.into_iter().collect(),
        messages: verdict.messages,
        violations,
        violations_found,
        notes,
        comparison: verdict.comparison,
        view_behind: None,
        elapsed: begun.elapsed(),
    }
}

/// The outboxes with their heads as they are now that the topics are read.
async fn outboxes_now(
    snapshots: &Snapshots,
    mut rows: PerService<LaneRows>,
) -> Result<PerService<Outbox>, ReplayError> {
    let sessions = snapshots.sessions();
    let mut heads = at_once(|service| sessions[service].heads()).await?;
    Ok(PerService::of(|service| Outbox {
        rows: std::mem::take(&mut rows[service]),
        heads_now: std::mem::take(&mut heads[service]),
    }))
}

/// Blocks, so it goes to a blocking thread.
async fn ends(source: &Source) -> Result<Ends, ReplayError> {
    let source = source.clone();
    let found = tokio::task::spawn_blocking(move || find_ends(&source)).await;
    found.map_err(|_| ReplayError::Aborted { what: "the topics' ends".into() })?
}

/// What nobody is given yet. Blocks, so it goes to a blocking thread.
async fn open_transactions(source: &Source) -> Result<Vec<OpenTransaction>, ReplayError> {
    let source = source.clone();
    let found = tokio::task::spawn_blocking(move || source.open_transactions(Channel::all())).await;
    found.map_err(|_| ReplayError::Aborted { what: "the topics' open transactions".into() })?
}

/// What was met that cannot be read. Blocks, so it goes to a blocking thread.
async fn unreadable(source: &Source) -> Result<Vec<(Channel, UnreadableRun)>, ReplayError> {
    let source = source.clone();
    let find = move || {
        let mut all = Vec::new();
        for channel in Channel::all() {
            all.extend(source.unreadable(channel)?.into_iter().map(|run| (channel, run)));
        }
        Ok(all)
    };
    let found = tokio::task::spawn_blocking(find).await;
    found.map_err(|_| ReplayError::Aborted { what: "what cannot be read of the topics".into() })?
}

/// Read all topics, a few at a time, and then what some of them lack.
async fn scan_topics(
    config: &CheckConfig,
    source: &Source,
    watch: &Watch<'_>,
    cuts: &Cuts,
    ends: &Ends,
) -> Result<Vec<Scan>, ReplayError> {
    let permits = Arc::new(Semaphore::new(CONCURRENT_TOPICS));
    let progress = watch.progress("records read", ends.ends.values().sum());
    let mut reading = JoinSet::new();
    for channel in Channel::all() {
        let topic = source.topic(channel);
        let scan = Scan::new(channel, &topic, plans(channel, source, cuts, ends), config.codec.clone());
        let mut next = Reading::new(source, channel, scan);
        let (permits, progress) = (permits.clone(), progress.clone());
        reading.spawn(async move {
            let aborted = || ReplayError::Aborted { what: topic.clone() };
            let _permit = permits.acquire_owned().await.map_err(|_| aborted())?;
            let read = tokio::task::spawn_blocking(move || next.read_on(&progress).map(|_| next));
            read.await.map_err(|_| aborted())?
        });
    }
    let mut readings = Vec::with_capacity(reading.len());
    while let Some(read) = reading.join_next().await {
        readings.push(read.map_err(|_| ReplayError::Aborted { what: "a topic".into() })??);
    }
    progress.finish();
    let waiting = watch.progress("waiting for what is committed and not there yet: records read", 0);
    let (patience, interrupt) = (config.patience, watch.interrupt.clone());
    let waited = tokio::task::spawn_blocking(move || {
        let waited = wait_for_rest(&mut readings, patience, &interrupt, &waiting);
        waiting.finish();
        waited.map(|()| readings.into_iter().map(Reading::into_scan).collect())
    });
    waited.await.map_err(|_| ReplayError::Aborted { what: "the topics".into() })?
}

fn plans(channel: Channel, source: &Source, cuts: &Cuts, ends: &Ends) -> Vec<ScanPlan> {
    let (topic, awaits_resume) = (source.topic(channel), source.is_behind_readers());
    let plan = |partition: i32| {
        let place = (topic.clone(), partition);
        let cut = channel.writer().and_then(|writer| cuts[writer].outbox.lanes.get(&place)).cloned();
        let resume = channel.reader().map_or(0, |reader| cuts[reader].inbox.resume(&topic, partition));
        let restoration =
            channel.reader().map(|reader| cuts[reader].inbox.restoration(&topic, partition)).unwrap_or_default();
        let end = ends.ends.get(&(channel, partition)).copied().unwrap_or(0);
        let parked = match (channel, channel.reader()) {
            (Channel::Messages(topic), Some(reader)) => cuts[reader].inbox.parked(topic),
            (Channel::Messages(_) | Channel::DeadLetters(_), _) => HashSet::new(),
        };
        ScanPlan { cut: cut.unwrap_or_default(), resume, awaits_resume, restoration, parked, end }
    };
    (0..ends.partitions).map(plan).collect()
}

fn read_statements(config: &CheckConfig) -> Result<Option<Vec<StatementLine>>, ReplayError> {
    if config.statements.is_empty() {
        return Ok(None);
    }
    let mut lines = Vec::new();
    for path in &config.statements {
        let read = std::fs::read_to_string(path);
        let text = read.map_err(|source| ReplayError::Statement { path: path.clone(), source })?;
        let parsed = statement::parse(&text);
        lines.append(&mut parsed.map_err(|source| ReplayError::StatementLine { path: path.clone(), source })?);
    }
    Ok(Some(lines))
}

/// Give the last orders time to finish before the snapshots are taken; what is still unfinished then is in the report.
async fn wait_for_orders(config: &CheckConfig) -> Result<(), ReplayError> {
    let order = Session::connect(ServiceName::Order, &config.tables[ServiceName::Order]).await?;
    let payment = Session::connect(ServiceName::Payment, &config.tables[ServiceName::Payment]).await?;
    let begun = Instant::now();
    while begun.elapsed() < config.settle {
        let open: Vec<String> = payment.open_calls().await?;
        if order.unfinished_orders().await? == 0 && open.is_empty() {
            break;
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
    tokio::join!(order.close(), payment.close());
    Ok(())
}

/// Give the readers time to take what was read beyond them; what still waits then is in the report.
async fn wait_for_readers(
    config: &CheckConfig,
    sessions: &PerService<Session>,
    scans: &[Scan],
) -> Result<Vec<(String, i32, u64)>, ReplayError> {
    let begun = Instant::now();
    loop {
        let inboxes = at_once(|service| sessions[service].inbox()).await?;
        let mut waiting = Vec::new();
        for scan in scans {
            let Some(inbox) = scan.channel.reader().map(|reader| &inboxes[reader]) else { continue };
            let topic = format!("{}{}", config.records.prefix(), scan.channel.name());
            for (number, partition) in (0..).zip(&scan.partitions).filter(|(_, partition)| partition.waiting > 0) {
                if inbox.resume(&topic, number) < partition.next_offset {
                    waiting.push((topic.clone(), number, partition.waiting));
                }
            }
        }
        if waiting.is_empty() || begun.elapsed() >= config.settle {
            return Ok(waiting);
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
}
