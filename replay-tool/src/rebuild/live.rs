//! A service's live tables at one cut, for comparing with what the topics tell up to exactly there.

use schemas::ServiceName;

use super::plan::{Heads, topics_of};
use crate::config::ServiceTables;
use crate::error::ReplayError;
use crate::snapshot::{Rows, Session};

/// A service's tables of state, and the last sequence of each lane in the same snapshot.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) rows: Rows,
    pub(crate) heads: Heads,
}

impl Live {
    /// Read them; the workers may run on. `prefix` is in front of every topic's name.
    pub(crate) async fn read(service: ServiceName, tables: &ServiceTables, prefix: &str) -> Result<Live, ReplayError> {
        let mut session = Session::connect(service, tables).await?;
        let cut = session.freeze().await?;
        let mut rows = Rows::default();
        match service {
            ServiceName::Order => {
                rows.orders = session.read().await?;
                rows.contents = session.read().await?;
            }
            ServiceName::Inventory => {
                rows.reservations = session.read().await?;
                rows.stock = session.read().await?;
                rows.receipts = session.read().await?;
            }
            ServiceName::Payment => {
                rows.payments = session.read().await?;
                rows.ledger = session.read().await?;
            }
        }
        session.thaw().await?;
        session.close().await;
        Ok(Live { rows, heads: of_topics(service, cut.outbox.lanes.iter().map(|(at, lane)| (at, lane.head)), prefix) })
    }
}

/// The heads of a service's lanes as they are now.
pub(crate) async fn heads_now(
    service: ServiceName,
    tables: &ServiceTables,
    prefix: &str,
) -> Result<Heads, ReplayError> {
    let session = Session::connect(service, tables).await?;
    let heads = session.heads().await?;
    session.close().await;
    Ok(of_topics(service, heads.iter().map(|(at, head)| (at, *head)), prefix))
}

/// Of the topics that state is folded from.
fn of_topics<'h>(service: ServiceName, heads: impl Iterator<Item = (&'h (String, i32), i64)>, prefix: &str) -> Heads {
    let topic_of =
        |name: &str| topics_of(service).iter().copied().find(|topic| name.strip_prefix(prefix) == Some(topic.as_str()));
    heads.filter_map(|((name, partition), head)| Some(((topic_of(name)?, *partition), head))).collect()
}
