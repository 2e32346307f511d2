//! A service's live tables at one cut, for comparing with what the topics tell up to exactly there.

use std::sync::Arc;

use futures_util::TryStreamExt as _;

use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::rebuild::into::StateFile;
use crate::rebuild::plan::Heads;
use crate::rebuild::run::blocking;
use crate::rows::{Copying, StateDigest, TableRow, copy_each};
use crate::snapshot::{InboxSnapshot, ServiceTables, Session};

/// A copy of a keeper's tables of state, and the last sequence of each lane in the same snapshot.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) file: Arc<StateFile>,
    pub(crate) digest: StateDigest,
    pub(crate) heads: Heads,
    /// How far it had read in the same snapshot.
    pub(crate) inbox: Arc<InboxSnapshot>,
}

impl Live {
    /// Read them; the workers may run on. `prefix` is in front of every topic's name.
    pub(crate) async fn read(keeper: Keeper, tables: &ServiceTables, prefix: &str) -> Result<Live, ReplayError> {
        let mut session = Session::connect(keeper, tables).await?;
        let cut = session.freeze().await?;
        let heads = of_topics(keeper, cut.outbox.lanes.iter().map(|(at, lane)| (at, lane.head)), prefix);
        let (file, digest) = (StateFile::temporary(&[keeper])?, StateDigest::default());
        let mut live = Live { file, digest, heads, inbox: Arc::new(cut.inbox) };
        copy_each(keeper, &mut Filling { live: &mut live, session: &session }).await?;
        session.thaw().await?;
        session.close().await;
        Ok(live)
    }
}

/// A copy under way.
struct Filling<'l> {
    live: &'l mut Live,
    session: &'l Session,
}

impl Copying for Filling<'_> {
    type Error = ReplayError;

    async fn table<R: TableRow + 'static>(&mut self) -> Result<(), ReplayError> {
        let mut batches = std::pin::pin!(self.session.batches::<R>().await?);
        while let Some(rows) = batches.try_next().await? {
            let (file, mut digest) = (Arc::clone(&self.live.file), std::mem::take(&mut self.live.digest));
            self.live.digest = blocking(move || {
                digest.add_rows(&rows);
                file.add(rows).map(|()| digest)
            })
            .await?;
        }
        Ok(())
    }
}

/// The heads of a service's lanes as they are now.
pub(crate) async fn heads_now(keeper: Keeper, tables: &ServiceTables, prefix: &str) -> Result<Heads, ReplayError> {
    let session = Session::connect(keeper, tables).await?;
    let heads = session.heads().await?;
    session.close().await;
    Ok(of_topics(keeper, heads.iter().map(|(at, head)| (at, *head)), prefix))
}

/// Of the topics that state is folded from.
fn of_topics<'h>(keeper: Keeper, heads: impl Iterator<Item = (&'h (String, i32), i64)>, prefix: &str) -> Heads {
    let of_state = keeper.topics();
    let topic_of =
        |name: &str| of_state.iter().copied().find(|topic| name.strip_prefix(prefix) == Some(topic.as_str()));
    heads.filter_map(|((name, partition), head)| Some(((topic_of(name)?, *partition), head))).collect()
}
