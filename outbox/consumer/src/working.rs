//! The aggregates of one batch in memory: what was loaded or recalled, what became of it, what has to be written.
//!
//! However many inputs a batch has for an aggregate, it is loaded once and written once. What was recalled from memory and is
//! not written has to be looked at by the commit.

use std::collections::HashMap;
use std::hash::Hash;

use crate::memory::Memory;

/// Aggregates by id.
#[derive(Debug)]
pub struct Working<K, V>(HashMap<K, Entry<V>>);

#[derive(Debug)]
struct Entry<V> {
    loaded_version: Option<i64>,
    state: Option<V>,
    changed: bool,
    /// It was not read from its row.
    recalled: bool,
}

/// What a commit has to do, each ascending by id, so that all transactions meet rows in the same order.
#[derive(Debug, PartialEq, Eq)]
pub struct Writes<K, V> {
    /// New aggregates.
    pub inserts: Vec<V>,
    /// Changed ones, each with the version that its row must have.
    pub updates: Vec<(i64, V)>,
    /// Recalled and not changed: these rows must have these versions.
    pub unchanged: Vec<(i64, K, V)>,
    /// Recalled as not being there, and not made: these rows must not be there.
    pub absent: Vec<K>,
}

impl<K, V> Writes<K, V> {
    /// The aggregates as they are now, for memory.
    pub fn into_states(self) -> impl Iterator<Item = V> {
        let updated = self.updates.into_iter().map(|(_, state)| state);
        self.inserts.into_iter().chain(updated).chain(self.unchanged.into_iter().map(|(_, _, state)| state))
    }
}

impl<K: Eq + Hash + Ord + Clone, V> Working<K, V> {
    /// Room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Working(HashMap::with_capacity(capacity))
    }

    /// Remember a loaded row.
    pub fn loaded(&mut self, id: K, version: i64, state: V) {
        self.0.insert(id, Entry { loaded_version: Some(version), state: Some(state), changed: false, recalled: false });
    }

    /// Read further into a loaded aggregate: what belongs to it and stands in another row.
    pub fn complete(&mut self, id: &K, read: impl FnOnce(&mut V)) {
        if let Some(state) = self.0.get_mut(id).and_then(|entry| entry.state.as_mut()) {
            read(state);
        }
    }

    /// The aggregates of these ids as far as memory knows them, taken out of it; the others are not there, as far as is known.
    pub fn recall<'i>(
        ids: impl ExactSizeIterator<Item = &'i K>,
        memory: &mut Memory<K, V>,
        version: impl Fn(&V) -> i64,
    ) -> Self
    where
        K: 'i,
    {
        let mut working = Self::with_capacity(ids.len());
        for id in ids {
            // What another input has taken out already is here.
            if !working.0.contains_key(id) {
                working.recalled(id.clone(), memory.take(id).map(|state| (version(&state), state)));
            }
        }
        working
    }

    /// An aggregate from memory, with its version; none: it is not there, as far as is known.
    fn recalled(&mut self, id: K, known: Option<(i64, V)>) {
        let (loaded_version, state) = known.unzip();
        self.0.insert(id, Entry { loaded_version, state, changed: false, recalled: true });
    }

    /// How many aggregates were loaded, recalled or made.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The aggregate as it is now; none where there is none.
    pub fn get(&self, id: &K) -> Option<&V> {
        self.0.get(id).and_then(|entry| entry.state.as_ref())
    }

    /// Take the aggregate out, to put its next state in with `put`.
    pub fn take(&mut self, id: &K) -> Option<V> {
        self.0.get_mut(id).and_then(|entry| entry.state.take())
    }

    /// The aggregate's next state.
    pub fn put(&mut self, id: K, state: Option<V>) {
        let entry =
            self.0.entry(id).or_insert(Entry { loaded_version: None, state: None, changed: false, recalled: false });
        entry.state = state;
        entry.changed = true;
    }

    /// What the commit has to do.
    pub fn into_writes(self) -> Writes<K, V> {
        let mut writes = Writes { inserts: Vec::new(), updates: Vec::new(), unchanged: Vec::new(), absent: Vec::new() };
        for (id, entry) in self.into_sorted(|entry| entry.changed || entry.recalled) {
            match (entry.loaded_version, entry.state) {
                (None, Some(state)) => writes.inserts.push(state),
                (Some(version), Some(state)) if entry.changed => writes.updates.push((version, state)),
                (Some(version), Some(state)) if entry.recalled => writes.unchanged.push((version, id, state)),
                (None, None) if entry.recalled => writes.absent.push(id),
                (_, _) => {}
            }
        }
        writes
    }

    /// What has changed, ascending by id.
    pub fn into_changed(self) -> Vec<(K, V)> {
        let changed = self.into_sorted(|entry| entry.changed);
        changed.into_iter().filter_map(|(id, entry)| Some((id, entry.state?))).collect()
    }

    fn into_sorted(self, is_wanted: impl Fn(&Entry<V>) -> bool) -> Vec<(K, Entry<V>)> {
        let mut wanted: Vec<_> = self.0.into_iter().filter(|(_, entry)| is_wanted(entry)).collect();
        wanted.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_is_written_once_whatever_happened_to_it() {
        let mut working = Working::with_capacity(4);
        working.loaded("b", 3, 30);
        working.loaded("untouched", 1, 10);
        working.put("b", Some(31));
        working.put("b", Some(32));
        working.put("a", Some(1));
        working.put("never there", None);
        assert_eq!(working.get(&"b"), Some(&32));
        let none = Writes { inserts: vec![1], updates: vec![(3, 32)], unchanged: Vec::new(), absent: Vec::new() };
        assert_eq!(working.into_writes(), none);
    }

    #[test]
    fn what_was_recalled_is_compared_whether_it_changes_or_not() {
        let mut memory = Memory::new(4);
        memory.put_all(vec![("a", 30), ("b", 40), ("e", 50)]);
        let mut working = Working::recall(["a", "b", "c", "a", "d"].iter(), &mut memory, |state| state / 10);
        assert!(!memory.has(&"a") && memory.has(&"e"));
        working.put("a", Some(31));
        working.put("c", Some(1));
        let writes = working.into_writes();
        assert_eq!((&writes.inserts, &writes.updates), (&vec![1], &vec![(3, 31)]));
        assert_eq!((&writes.unchanged, &writes.absent), (&vec![(4, "b", 40)], &vec!["d"]));
        assert_eq!(writes.into_states().collect::<Vec<_>>(), [1, 31, 40]);
    }
}
