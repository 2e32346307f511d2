//! When a leader must prove that it still leads: before it sends, at the latest after so many messages.
//!
//! A paused process does not notice that another has taken over. What it had read before it may still send when it
//! wakes, so that is bounded: by this count, and by the age of the last answer on the leading session. Pure.

/// Messages between two looks.
pub(crate) const FENCE_EVERY: u32 = 256;

/// Counts messages since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fence {
    since: u32,
    every: u32,
}

impl Fence {
    /// The first message is looked at.
    pub(crate) fn new(every: u32) -> Self {
        Self { since: every, every }
    }

    /// Before each message: whether to see to it that the last answer is recent enough. `waited`: time has passed since
    /// the last message.
    pub(crate) fn looks(&mut self, waited: bool) -> bool {
        self.since += 1;
        let looks = waited || self.since >= self.every;
        if looks {
            self.since = 0;
        }
        looks
    }

    /// Messages since the last look.
    #[cfg(test)]
    pub(crate) fn since(&self) -> u32 {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_the_first_message_and_then_now_and_again() {
        let mut fence = Fence::new(3);
        let looks: Vec<bool> = (0..7).map(|_| fence.looks(false)).collect();
        assert_eq!(looks, [true, false, false, true, false, false, true]);
        assert!(fence.looks(true) && !fence.looks(false) && fence.since() == 1);
    }
}
