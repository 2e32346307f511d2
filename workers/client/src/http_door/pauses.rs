//! How long to wait before a request is sent again: what the answer asks for, else longer each time.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// The pauses of one request.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    made: u32,
}

impl Pauses {
    /// The next one; `asked` is what the answer asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = FIRST.saturating_mul(2_u32.saturating_pow(self.made)).min(LONGEST);
        self.made += 1;
        asked.unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_longest_and_what_is_asked_for_counts() {
        let mut pauses = Pauses::default();
        let made: Vec<u128> = (0..8).map(|_| pauses.next(None).as_millis()).collect();
        assert_eq!(made, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pauses.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
    }
}
