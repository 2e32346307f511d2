//! A new epoch for lanes, because a person says so: after a restore, without waiting for a relay to notice.
//!
//! A relay that takes over compares topic and table and begins an epoch by itself where they differ. This does the same
//! comparison, and begins the epoch also where they do not differ: for a restore whose loss the topic has lost too, or
//! for a table that has a hole. What the table holds after the last message that both have is appended again, above all
//! sequences ever used, and published by the next leader. What consumers have already acted on cannot be called back.

use rdkafka::ClientConfig;
use serde::Serialize;

use super::{Lead, OperateError, Selection, lead};
use crate::database::Database;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::RelayConfig;
use crate::relay::restore::{NewEpoch, begin_epoch};
use crate::relay::resume::Decision;
use crate::relay::session::Session;
use crate::relay::takeover::{Depth, Survey, survey};
use crate::sql;
use crate::store::Outbox;

/// Which lanes, and how. Made by [`RebaseConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RebaseConfig {
    /// Database schema of the outbox.
    pub schema: String,
    /// Any librdkafka properties: brokers, TLS, SASL.
    pub kafka: ClientConfig,
    /// Only these lanes. Default: all.
    pub selection: Selection,
    /// Take this sequence for the last equal one, if it is lower than what is found: everything after it is published
    /// again. For one lane only. Default: what is found.
    pub after: Option<i64>,
    /// Only lanes whose topic holds what the table does not. Default: all that are chosen.
    pub only_where_different: bool,
    /// What to do about a relay that leads. Default: refuse.
    pub lead: Lead,
    /// Only tell what would be done.
    pub dry_run: bool,
}

impl RebaseConfig {
    /// All lanes, if no relay leads.
    pub fn new(schema: impl Into<String>, kafka: ClientConfig) -> Self {
        let selection = Selection::default();
        Self {
            schema: schema.into(),
            kafka,
            selection,
            after: None,
            only_where_different: false,
            lead: Lead::OnlyIfFree,
            dry_run: false,
        }
    }
}

/// A lane and its new epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebasedLane {
    /// Full topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// The epoch before.
    pub from_epoch: i64,
    /// The new one.
    pub to_epoch: i64,
    /// The last message that topic and table have in common; what lies after it, before the new epoch, is void.
    pub last_equal: i64,
    /// Highest sequence that the topic holds: what lies after the last equal message up to here is void.
    pub void_up_to: i64,
    /// First sequence of the new epoch; none in a dry run.
    pub first: Option<i64>,
    /// Messages that are appended again: those that the table holds after the last equal one.
    pub appended_again: i64,
    /// Topic and table differ: a relay would have begun this epoch by itself.
    pub differs: bool,
}

/// What a rebase did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebaseReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// The lanes.
    pub lanes: Vec<RebasedLane>,
}

/// Begins a new epoch on the lanes chosen.
///
/// # Errors
/// When another relay leads and may not be ended, or when tables or topics cannot be read.
pub async fn rebase(database: &Database, config: RebaseConfig) -> Result<RebaseReport, OperateError> {
    let looking = super::connect(database, &config.schema).await?;
    let outbox = Outbox::open_recorded(&looking, &config.schema).await?;
    let session = match config.dry_run {
        true => Session::open(database, &config.schema).await?,
        false => lead::take(database, &config.schema, config.lead).await?,
    };
    let relay = RelayConfig::new(database.clone(), config.kafka.clone());
    let survey = survey(&outbox, &relay, &session, Depth::Whole).await?;
    let lanes = begin(&session, &config, &survey).await;
    survey.close().await?;
    let lanes = lanes?;
    if lanes.is_empty() && !config.only_where_different {
        return Err(OperateError::NoSuchLane(config.selection.to_string()));
    }
    Ok(RebaseReport { dry_run: config.dry_run, lanes })
}

/// Rows that were truncated cannot be appended again.
async fn check_rows(
    session: &Session,
    quoted: &str,
    lane: Lane,
    last_equal: i64,
    found: i64,
) -> Result<(), OperateError> {
    let text = format!("select pruned from {quoted}.outbox_lanes where lane = $1");
    let rows = session.query("looking which rows are gone", &text, &[&lane]).await?;
    let pruned: i64 = rows.first().map_or(0, |row| row.get(0));
    if last_equal < found && last_equal < pruned { Err(OperateError::RowsGone { pruned }) } else { Ok(()) }
}

async fn begin(session: &Session, config: &RebaseConfig, survey: &Survey) -> Result<Vec<RebasedLane>, OperateError> {
    let quoted = sql::quoted_schema(&config.schema)?;
    let count = format!(
        "select count(*) from {quoted}.outbox_messages m where m.lane = $1 and m.sequence > $2 and not exists ( \
           select from {quoted}.outbox_epochs e \
           where e.lane = m.lane and e.last_equal < m.sequence and m.sequence < e.first)"
    );
    let mut lanes = Vec::new();
    let chosen = survey.lanes().filter(|(_, place, ..)| config.selection.holds(&place.topic, place.partition));
    let chosen: Vec<_> = chosen.collect();
    if config.after.is_some() && chosen.len() > 1 {
        return Err(OperateError::NotOneLane { lanes: chosen.len() });
    }
    for (lane, place, epochs, fold) in chosen {
        let decided = fold.decide_new_epoch();
        let Decision::NewEpoch { epoch, last_equal: found, above } = decided else { continue };
        let differs = fold.decide() == decided;
        if config.only_where_different && !differs {
            continue;
        }
        let last_equal = config.after.map_or(found, |after| after.min(found));
        check_rows(session, &quoted, lane, last_equal, found).await?;
        let rows = session.query("counting what is appended again", &count, &[&lane, &last_equal]).await?;
        let appended_again = rows.first().map(|row| row.get(0));
        let first = match config.dry_run {
            true => None,
            false => {
                let new = NewEpoch { lane, epoch, last_equal, above };
                let begun = begin_epoch(session, &config.schema, new).await?;
                tracing::error!(topic = %place.topic, partition = place.partition, epoch, last_equal,
                    first = begun.first, "a new epoch begins, as was asked for");
                Some(begun.first)
            }
        };
        lanes.push(RebasedLane {
            topic: place.topic.to_string(),
            partition: place.partition,
            from_epoch: epochs.current(),
            to_epoch: epoch,
            last_equal,
            void_up_to: above,
            first,
            appended_again: appended_again.ok_or(OutboxError::CorruptRow { what: "no count" })?,
            differs,
        });
    }
    Ok(lanes)
}
