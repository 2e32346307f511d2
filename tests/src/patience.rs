//! Waiting for a condition: looked at again and again, until a deadline.
//!
//! The limits are for a slow machine that is busy with other things; a healthy run never comes near them.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Outcome, trouble};

/// Long enough for anything that happens at all.
pub const LONG: Duration = Duration::from_secs(120);

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(150);

/// Looks until `look` gives a value; an error of it means "not yet", and the last one says what was missing.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Outcome<T>) -> Outcome<T> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut seen = trouble("it was never looked at to the end");
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(missing)) => seen = missing,
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(seen.during(&format!("{what}: not within {limit:?}")));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
