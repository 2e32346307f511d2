//! Aggregates by id, each taken on event by event. One whose events contradict each other has no state any more.

use std::collections::HashMap;
use std::hash::Hash;

use domain::decision::Inconsistent;
use foldhash::fast::RandomState;

/// Aggregates by id; none where events contradict each other. Boxed, because a map that grows moves what is in it. Hashed
/// by foldhash, which is seeded like the standard library's hash and takes a fraction of its time.
#[derive(Debug)]
pub(crate) struct Aggregates<K, S>(HashMap<K, Box<Option<S>>, RandomState>);

impl<K, S> Default for Aggregates<K, S> {
    fn default() -> Self {
        Aggregates(HashMap::default())
    }
}

impl<K: Clone + Eq + Hash, S> Aggregates<K, S> {
    /// Take an aggregate one event on. It is not asked for once events have contradicted each other: that was told when it
    /// came.
    pub(super) fn step(
        &mut self,
        id: &K,
        evolve: impl FnOnce(Option<S>) -> Result<Option<S>, Inconsistent>,
    ) -> Result<(), Inconsistent> {
        match self.0.get_mut(id) {
            Some(slot) if slot.is_none() => {}
            // What cannot go on leaves nothing behind.
            Some(slot) => **slot = evolve(slot.take())?,
            None => {
                let evolved = evolve(None);
                if let Ok(Some(_)) | Err(_) = &evolved {
                    let (state, result) = match evolved {
                        Ok(state) => (state, Ok(())),
                        Err(inconsistent) => (None, Err(inconsistent)),
                    };
                    self.0.insert(id.clone(), Box::new(state));
                    return result;
                }
            }
        }
        Ok(())
    }

    /// One, if it has a state.
    pub(crate) fn get(&self, id: &K) -> Option<&S> {
        self.0.get(id).and_then(|one| Option::as_ref(one))
    }

    /// All that have a state, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &S> {
        self.0.values().filter_map(|one| Option::as_ref(one))
    }

    /// Those whose events contradict each other.
    pub(crate) fn contradicted(&self) -> impl Iterator<Item = &K> {
        self.0.iter().filter(|(_, one)| one.is_none()).map(|(id, _)| id)
    }

    /// Forget all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
