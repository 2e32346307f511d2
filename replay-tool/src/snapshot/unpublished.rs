//! What a service has committed and not yet published about one key, and how far it has read.

use jiff::Timestamp;
use outbox::Position;
use outbox::cut::{self, Unpublished};
use schemas::ServiceName;
use uuid::Uuid;

use super::inbox::InboxSnapshot;
use super::service_tables::ServiceTables;
use super::session::Session;
use crate::error::ReplayError;
use crate::log::Channel;

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
        let (client, schema) = (session.client(), session.schema());
        let failed = ReplayError::outbox(service);
        let cut = cut::read(client, schema).await.map_err(&failed)?;
        let inbox = session.inbox().await?;
        let found = cut::unpublished(client, schema, key.as_bytes()).await.map_err(&failed)?;
        let row_of = |row: Unpublished| {
            let name = row.topic.strip_prefix(prefix)?;
            let channel = Channel::all().find(|channel| channel.name() == name)?;
            let lane = cut.lanes.get(&(row.topic.clone(), row.partition));
            let (epoch, first) = lane.map_or((1, 1), |lane| lane.epochs.of(row.sequence));
            let position = Position { source: service.source().to_owned(), epoch, first, sequence: row.sequence };
            Some(OutboxRow {
                channel,
                partition: row.partition,
                position,
                id: row.id,
                payload: row.payload,
                time: row.time,
                causation: row.causation.map(|cause| cause.to_string()),
            })
        };
        Ok(ServiceView { service, rows: found.into_iter().filter_map(row_of).collect(), inbox })
    }
}
