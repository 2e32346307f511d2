//! The tables of the three services, each at one cut.
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

use schemas::ServiceName;

pub(crate) use connection::{Connection, company};
pub(crate) use inbox::{InboxSnapshot, read_inbox};
pub(crate) use outbox::{LaneCut, LaneRows, OutboxCut, read_cut};
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
#[derive(Debug, Default, Clone)]
pub(crate) struct Cuts {
    pub(crate) order: Cut,
    pub(crate) inventory: Cut,
    pub(crate) payment: Cut,
}

impl Cuts {
    pub(crate) fn of(&self, service: ServiceName) -> &Cut {
        match service {
            ServiceName::Order => &self.order,
            ServiceName::Inventory => &self.inventory,
            ServiceName::Payment => &self.payment,
        }
    }
}

/// The snapshots of the three services while they are open.
pub(crate) struct Snapshots {
    pub(crate) order: Session,
    pub(crate) inventory: Session,
    pub(crate) payment: Session,
}

/// What the tables hold besides the outboxes.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) rows: Rows,
    /// Orders for which a call to the provider is open.
    pub(crate) open_calls: HashSet<String>,
}

impl Snapshots {
    /// Take all three, order's first, each with its cut.
    pub(crate) async fn take<'t>(
        tables: impl Fn(ServiceName) -> &'t ServiceTables,
    ) -> Result<(Snapshots, Cuts), ReplayError> {
        let connect = |service| Session::connect(service, tables(service));
        let (mut order, mut inventory, mut payment) = tokio::try_join!(
            connect(ServiceName::Order),
            connect(ServiceName::Inventory),
            connect(ServiceName::Payment)
        )?;
        let cuts = Cuts {
            order: order.freeze().await?,
            inventory: inventory.freeze().await?,
            payment: payment.freeze().await?,
        };
        Ok((Snapshots { order, inventory, payment }, cuts))
    }

    /// Read everything, and end the snapshots: what is read afterwards is the present.
    pub(crate) async fn read_all(&self) -> Result<(Tables, [LaneRows; 3]), ReplayError> {
        let read = tokio::try_join!(self.read_tables(), self.read_outboxes())?;
        for session in self.sessions() {
            session.thaw().await?;
        }
        Ok(read)
    }

    /// The connections, in the order of `ServiceName::ALL`.
    pub(crate) fn sessions(&self) -> [&Session; 3] {
        [&self.order, &self.inventory, &self.payment]
    }

    async fn read_tables(&self) -> Result<Tables, ReplayError> {
        let (orders, contents, reservations, stock, receipts, payments, ledger, open_calls) = tokio::try_join!(
            self.order.read(),
            self.order.read(),
            self.inventory.read(),
            self.inventory.read(),
            self.inventory.read(),
            self.payment.read(),
            self.payment.read(),
            self.payment.open_calls(),
        )?;
        let rows = Rows { orders, contents, reservations, stock, receipts, payments, ledger };
        Ok(Tables { rows, open_calls })
    }

    async fn read_outboxes(&self) -> Result<[LaneRows; 3], ReplayError> {
        let (order, inventory, payment) =
            tokio::try_join!(self.order.outbox_rows(), self.inventory.outbox_rows(), self.payment.outbox_rows())?;
        Ok([order, inventory, payment])
    }

    /// End them.
    pub(crate) async fn close(self) {
        tokio::join!(self.order.close(), self.inventory.close(), self.payment.close());
    }
}
