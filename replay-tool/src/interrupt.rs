//! Somebody wants us to stop: seen by threads that block, between two records.
//!
//! A flag and nothing else: whoever raises it waits for the threads by himself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ReplayError;

/// Shared by all clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Ask everybody to stop.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same as an error, for `?`.
    pub(crate) fn check(&self) -> Result<(), ReplayError> {
        if self.is_raised() { Err(ReplayError::Interrupted) } else { Ok(()) }
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
