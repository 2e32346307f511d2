//! The epochs of an outbox lane: which sequences count.
//!
//! Sequences only ever rise. An epoch after the first begins when a database was set back: it voids what lies between the
//! last message that topic and table had in common and its own first message.

/// An epoch after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) epoch: i64,
    /// Its first sequence.
    pub(crate) first: i64,
    /// Sequences above this and below `first` are void.
    pub(crate) last_equal: i64,
}

/// The epochs of a lane; the first one, from sequence 1, is implied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Epochs(Vec<Epoch>);

impl Epochs {
    pub(crate) fn new(mut epochs: Vec<Epoch>) -> Self {
        epochs.sort_unstable_by_key(|epoch| epoch.epoch);
        Epochs(epochs)
    }

    /// The epoch of a sequence and that epoch's first sequence.
    pub(crate) fn of(&self, sequence: i64) -> (i64, i64) {
        let latest = self.0.iter().rev().find(|epoch| epoch.first <= sequence);
        latest.map_or((1, 1), |epoch| (epoch.epoch, epoch.first))
    }

    /// Whether a later epoch has voided the sequence.
    pub(crate) fn is_void(&self, sequence: i64) -> bool {
        self.voiding(sequence).is_some()
    }

    /// The next sequence that counts.
    pub(crate) fn after(&self, sequence: i64) -> i64 {
        let mut next = sequence + 1;
        // Every round leaves one of finitely many void ranges behind.
        while let Some(epoch) = self.voiding(next) {
            next = epoch.first;
        }
        next
    }

    fn voiding(&self, sequence: i64) -> Option<&Epoch> {
        self.0.iter().find(|epoch| epoch.last_equal < sequence && sequence < epoch.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_voids_what_was_published_after_the_last_common_message() {
        let epochs = Epochs::new(vec![
            Epoch { epoch: 3, first: 131, last_equal: 70 },
            Epoch { epoch: 2, first: 101, last_equal: 80 },
        ]);
        assert_eq!((epochs.after(69), epochs.after(70), epochs.after(131)), (70, 131, 132));
        assert!(epochs.is_void(71) && epochs.is_void(105) && !epochs.is_void(70) && !epochs.is_void(131));
        assert_eq!((epochs.of(70), epochs.of(131)), ((1, 1), (3, 131)));
        assert_eq!(Epochs::default().after(0), 1);
    }
}
