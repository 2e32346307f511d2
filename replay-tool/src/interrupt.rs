//! Somebody wants us to stop: seen by threads that block, between two records, and by whoever waits for anything else.
//!
//! A flag and nothing else: whoever raises it waits for the threads by himself.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::ReplayError;

/// Shared by all clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    is_raised: AtomicBool,
    raised: Notify,
}

impl Interrupt {
    /// Ask everybody to stop.
    pub(crate) fn raise(&self) {
        self.0.is_raised.store(true, Ordering::Release);
        self.0.raised.notify_waiters();
    }

    /// Whether somebody asked.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.is_raised.load(Ordering::Acquire)
    }

    /// The same as an error, for `?`.
    pub(crate) fn check(&self) -> Result<(), ReplayError> {
        if self.is_raised() { Err(ReplayError::Interrupted) } else { Ok(()) }
    }

    /// Do this, unless somebody asks before it is done: then it is dropped where it waits, for a lock or an answer, say.
    pub(crate) async fn or_done<T>(
        &self,
        work: impl Future<Output = Result<T, ReplayError>>,
    ) -> Result<T, ReplayError> {
        // Registered before the flag is looked at, so that no raising comes in between.
        let mut raised = pin!(self.0.raised.notified());
        raised.as_mut().enable();
        self.check()?;
        tokio::select! {
            done = work => done,
            () = raised => Err(ReplayError::Interrupted),
        }
    }
}

/// Raises its flag when it is dropped: with the future that waits for blocking threads, or with the thread's owner.
#[derive(Debug, Default)]
pub(crate) struct RaiseOnDrop(pub(crate) Interrupt);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}
