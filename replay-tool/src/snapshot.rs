//! The tables of all services, each at one cut.
//!
//! A cut is a snapshot of a service's database and the head of each of its outbox lanes in that same snapshot: folding
//! every lane to exactly its head gives the state that the snapshot holds. Order's snapshot is taken first, so whatever a
//! finished order has led to is in the others' snapshots too. Reading takes no lock that stops anybody but a TRUNCATE.

mod connection;
mod inbox;
mod outbox;
mod service_tables;
mod session;
mod unpublished;

use std::collections::HashSet;

pub(crate) use ::outbox::cut::{Cut as OutboxCut, LaneCut};
use futures_util::future::{join_all, try_join_all};
use schemas::{PerService, ServiceName};

pub(crate) use connection::{Connection, check_schema, company};
pub(crate) use inbox::{InboxSnapshot, read_inbox};
pub(crate) use outbox::LaneRows;
pub use service_tables::ServiceTables;
pub(crate) use session::Session;
pub(crate) use unpublished::{OutboxRow, ServiceView};

use crate::error::ReplayError;
use crate::rows::Rows;

/// What one service's snapshot tells about the topics: what it has sent, and what it has taken.
#[derive(Debug, Default, Clone)]
pub(crate) struct Cut {
    pub(crate) outbox: OutboxCut,
    pub(crate) inbox: InboxSnapshot,
}

/// The cuts of all services.
pub(crate) type Cuts = PerService<Cut>;

/// The snapshots of all services while they are open.
pub(crate) struct Snapshots(PerService<Session>);

/// What the tables hold besides the outboxes.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) rows: Rows,
    /// Orders for which a call to the provider is open.
    pub(crate) open_calls: HashSet<String>,
}

impl Snapshots {
    /// Take all, order's first, each with its cut.
    pub(crate) async fn take(tables: &PerService<ServiceTables>) -> Result<(Snapshots, Cuts), ReplayError> {
        let mut sessions = at_once(|service| Session::connect(service, &tables[service])).await?;
        let mut cuts = Cuts::default();
        for service in ServiceName::ALL {
            cuts[service] = sessions[service].freeze().await?;
        }
        Ok((Snapshots(sessions), cuts))
    }

    /// Read everything, and end the snapshots: what is read afterwards is the present.
    pub(crate) async fn read_all(&self) -> Result<(Tables, PerService<LaneRows>), ReplayError> {
        let outboxes = at_once(|service| self.0[service].outbox_rows(service));
        let read = tokio::try_join!(self.read_tables(), outboxes)?;
        for (_, session) in self.0.iter() {
            session.thaw().await?;
        }
        Ok(read)
    }

    /// The connections.
    pub(crate) fn sessions(&self) -> &PerService<Session> {
        &self.0
    }

    async fn read_tables(&self) -> Result<Tables, ReplayError> {
        let open_calls = self.0[ServiceName::Payment].open_calls();
        let (rows, open_calls) = tokio::try_join!(Rows::read(&self.0), open_calls)?;
        Ok(Tables { rows, open_calls })
    }

    /// End them.
    pub(crate) async fn close(self) {
        join_all(self.0.into_iter().map(|(_, session)| session.close())).await;
    }
}

/// Ask something of all services at once.
pub(crate) async fn at_once<T, A>(ask: impl FnMut(ServiceName) -> A) -> Result<PerService<T>, ReplayError>
where
    A: Future<Output = Result<T, ReplayError>>,
{
    let answers = try_join_all(ServiceName::ALL.map(ask)).await?;
    PerService::try_from(answers).map_err(|_| ReplayError::Aborted { what: "the services' answers".into() })
}
