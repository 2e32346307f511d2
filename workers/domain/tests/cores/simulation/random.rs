//! Chance that can be repeated: from a seed, or from choices that proptest made and can shrink.

/// A source of choices.
pub(super) enum Random {
    Seeded(u64),
    Given { choices: Vec<u16>, next: usize },
}

impl Random {
    pub(super) fn seeded(seed: u64) -> Self {
        Random::Seeded(seed)
    }

    pub(super) fn given(choices: Vec<u16>) -> Self {
        Random::Given { choices, next: 0 }
    }

    /// How many choices are left; a seed never ends.
    pub(super) fn is_exhausted(&self) -> bool {
        match self {
            Random::Seeded(_) => false,
            Random::Given { choices, next } => *next >= choices.len(),
        }
    }

    /// A number below `end`, which is above 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        match self {
            Random::Seeded(state) => splitmix64(state) % end,
            Random::Given { choices, next } => {
                let choice = choices.get(*next).copied().unwrap_or(0);
                *next += 1;
                u64::from(choice) % end
            }
        }
    }

    pub(super) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap())).unwrap()
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == n - 1
    }

    pub(super) fn number(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from + 1).unwrap())).unwrap()
    }
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
