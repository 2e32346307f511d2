//! The wish to stop, as all parts of a relay see it.

use tokio::sync::watch;

/// Whether the relay was asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// The wish and the switch that expresses it.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Returns once it was asked to stop; at once if it was before.
    pub(crate) async fn asked(&mut self) {
        // An error means that nobody is left who could ask: as good as being asked.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}
