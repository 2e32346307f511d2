//! The epochs of one lane: which sequences count, and which comes after which.
//!
//! Sequences only ever rise, across epochs too. An epoch after the first voids what lies between the last message that
//! both the topic and the restored table hold and the epoch's first message. Pure.

/// An epoch after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) epoch: i64,
    /// Its first sequence.
    pub(crate) first: i64,
    /// Sequences above this and below `first` are void.
    pub(crate) last_equal: i64,
}

/// All epochs of a lane. The first, (1, from 1), is implied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<Epoch>);

impl Epochs {
    /// From the recorded epochs after the first, in any order.
    pub(crate) fn new(mut epochs: Vec<Epoch>) -> Self {
        epochs.sort_unstable_by_key(|epoch| epoch.epoch);
        Self(epochs)
    }

    pub(crate) fn push(&mut self, epoch: Epoch) {
        self.0.push(epoch);
    }

    /// How many there are after the first.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The epoch that writers are in now.
    pub(crate) fn current(&self) -> i64 {
        self.0.last().map_or(1, |epoch| epoch.epoch)
    }

    /// Epoch and its first sequence for a sequence, whether void or not.
    pub(crate) fn of(&self, sequence: i64) -> (i64, i64) {
        self.0.iter().rev().find(|epoch| epoch.first <= sequence).map_or((1, 1), |epoch| (epoch.epoch, epoch.first))
    }

    /// Whether a sequence was voided by a later epoch.
    pub(crate) fn is_void(&self, sequence: i64) -> bool {
        self.voids(sequence).is_some()
    }

    /// The sequence that follows `sequence`, passing over void ones.
    pub(crate) fn after(&self, sequence: i64) -> i64 {
        let mut next = sequence + 1;
        // Each round leaves one void range, and ranges lie below the first of the last epoch, so this ends.
        while let Some(epoch) = self.voids(next) {
            next = epoch.first;
        }
        next
    }

    fn voids(&self, sequence: i64) -> Option<&Epoch> {
        self.0.iter().find(|epoch| epoch.last_equal < sequence && sequence < epoch.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twice_restored() -> Epochs {
        Epochs::new(vec![
            Epoch { epoch: 4, first: 131, last_equal: 70 },
            Epoch { epoch: 2, first: 101, last_equal: 80 },
        ])
    }

    #[test]
    fn without_a_restore_nothing_is_void() {
        let epochs = Epochs::default();
        assert_eq!((epochs.current(), epochs.of(7), epochs.after(7)), (1, (1, 1), 8));
        assert!(!epochs.is_void(7));
    }

    #[test]
    fn a_later_restore_also_voids_the_epoch_between() {
        let epochs = twice_restored();
        assert_eq!(epochs.current(), 4);
        assert_eq!(epochs.after(69), 70);
        assert_eq!(epochs.after(70), 131);
        assert_eq!(epochs.after(131), 132);
        assert!(epochs.is_void(71) && epochs.is_void(105) && epochs.is_void(130));
        assert!(!epochs.is_void(70) && !epochs.is_void(131));
        assert_eq!((epochs.of(70), epochs.of(105), epochs.of(140)), ((1, 1), (2, 101), (4, 131)));
    }
}
