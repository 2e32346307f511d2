//! The relay of this process, as a task of the daemon: started with it, stopped last.

use outbox::Outbox;

use crate::config::Config;
use crate::runtime::Database;

/// A relay that runs.
pub(crate) struct Running {}
#[derive(Clone)]
pub(crate) struct RelayStatus;
impl RelayStatus {
    pub(crate) fn obstacle(&self) -> Option<String> {
        None
    }
}
impl Running {
    pub(crate) fn start(_o: &Outbox, _d: &Database, _c: &Config) -> Result<Self, String> {
        Ok(Running {})
    }
    pub(crate) fn status(&self) -> RelayStatus {
        RelayStatus
    }
    pub(crate) async fn stop(self) -> Result<(), String> {
        Ok(())
    }
}
