//! What a service has committed and not yet published about one key, and how far it has read.

use jiff::Timestamp;
use outbox::Position;
use schemas::ServiceName;
use uuid::Uuid;

use super::inbox::InboxSnapshot;
use super::outbox::read_cut;
use super::service_tables::ServiceTables;
use super::session::Session;
use crate::error::ReplayError;
use crate::log::Channel;
use crate::rows::Columns;

/// A row of an outbox.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRow {
    pub(crate) channel: Channel,
    pub(crate) partition: i32,
    pub(crate) position: Position,
    pub(crate) id: Uuid,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) time: Timestamp,
    pub(crate) causation: Option<String>,
}

/// A service as its own tables show it.
#[derive(Debug, Clone)]
pub(crate) struct ServiceView {
    pub(crate) service: ServiceName,
    /// Rows that may not be published: the recorded position lags. Those that the topics hold are to be left out.
    pub(crate) rows: Vec<OutboxRow>,
    pub(crate) inbox: InboxSnapshot,
}

/// Rows of a key beyond what is recorded as published, lane by lane.
const UNPUBLISHED: &str = "select t.name, l.partition, m.sequence, m.id, m.payload, m.time, m.causation, m.causation_text \
    from outbox_lanes l join outbox_topics t on t.id = l.topic_id \
    left join outbox_positions p on p.lane = l.lane \
    cross join lateral (select * from outbox_messages m where m.lane = l.lane \
        and m.sequence > greatest(coalesce(p.sequence, 0), l.pruned) and m.key = $1) m \
    order by l.lane, m.sequence";

impl ServiceView {
    /// Ask a service's database about a key. `prefix` stands in front of topic names.
    pub(crate) async fn take(
        service: ServiceName,
        tables: &ServiceTables,
        prefix: &str,
        key: &str,
    ) -> Result<ServiceView, ReplayError> {
        let session = Session::connect(service, tables).await?;
        let taken = ServiceView::read(&session, service, prefix, key).await;
        session.close().await;
        taken
    }

    async fn read(
        session: &Session,
        service: ServiceName,
        prefix: &str,
        key: &str,
    ) -> Result<ServiceView, ReplayError> {
        let cut = read_cut(service, session.client()).await?;
        let inbox = session.inbox().await?;
        let failed = || ReplayError::database(service, "reading unpublished messages");
        let found = session.client().query(UNPUBLISHED, &[&key.as_bytes()]).await.map_err(failed())?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            let mut columns = Columns::of(row);
            let mut read = || {
                let (topic, partition, sequence): (String, i32, i64) =
                    (columns.next()?, columns.next()?, columns.next()?);
                let (id, payload, time) = (columns.next()?, columns.next()?, columns.next()?);
                let (causation, text): (Option<Uuid>, Option<String>) = (columns.next()?, columns.next()?);
                let lane = cut.lanes.get(&(topic.clone(), partition));
                let (epoch, first) = lane.map_or((1, 1), |lane| lane.epochs.of(sequence));
                let position = Position { source: service.source().to_owned(), epoch, first, sequence };
                let causation = causation.map(|id| id.to_string()).or(text);
                let name = topic.strip_prefix(prefix).map(str::to_owned);
                let channel = Channel::all().find(|channel| Some(channel.name()) == name);
                Ok(channel.map(|channel| OutboxRow { channel, partition, position, id, payload, time, causation }))
            };
            rows.extend(read().map_err(failed())?);
        }
        Ok(ServiceView { service, rows, inbox })
    }
}
