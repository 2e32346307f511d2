//! The aggregates of one batch in memory: what was loaded, what became of it, what has to be written.
//!
//! However many inputs a batch has for an aggregate, it is loaded once and written once.

use std::collections::HashMap;
use std::hash::Hash;

/// Aggregates by id.
#[derive(Debug)]
pub struct Working<K, V>(HashMap<K, Entry<V>>);

#[derive(Debug)]
struct Entry<V> {
    loaded_version: Option<i64>,
    state: Option<V>,
    changed: bool,
}

impl<K: Eq + Hash + Ord + Clone, V> Working<K, V> {
    /// Room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Working(HashMap::with_capacity(capacity))
    }

    /// Remember a loaded row.
    pub fn loaded(&mut self, id: K, version: i64, state: V) {
        self.0.insert(id, Entry { loaded_version: Some(version), state: Some(state), changed: false });
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
        let entry = self.0.entry(id).or_insert(Entry { loaded_version: None, state: None, changed: false });
        entry.state = state;
        entry.changed = true;
    }

    /// What has to be written, ascending by id, so that all transactions write in the same order.
    pub fn into_writes(self) -> (Vec<V>, Vec<(i64, V)>) {
        let (mut inserts, mut updates) = (Vec::new(), Vec::new());
        for (_, entry) in self.into_sorted() {
            match (entry.loaded_version, entry.state) {
                (None, Some(state)) => inserts.push(state),
                (Some(version), Some(state)) => updates.push((version, state)),
                (_, None) => {}
            }
        }
        (inserts, updates)
    }

    /// What has changed, ascending by id.
    pub fn into_changed(self) -> Vec<(K, V)> {
        self.into_sorted().into_iter().filter_map(|(id, entry)| Some((id, entry.state?))).collect()
    }

    fn into_sorted(self) -> Vec<(K, Entry<V>)> {
        let mut changed: Vec<_> = self.0.into_iter().filter(|(_, entry)| entry.changed).collect();
        changed.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        changed
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
        assert_eq!(working.into_writes(), (vec![1], vec![(3, 32)]));
    }
}
