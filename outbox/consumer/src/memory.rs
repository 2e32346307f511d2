//! What a service remembers of rows that it has written itself: enough for the aggregates that are under way.
//!
//! Bounded, with two generations: what is not used again while so many others are put in is dropped. Whatever is read from here
//! may be history; who decides by it has the commit compare it with the rows (see [`Service::recall`](crate::Service::recall)).

use std::collections::HashMap;
use std::hash::Hash;

/// Values by key.
#[derive(Debug)]
pub struct Memory<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    limit: usize,
}

impl<K: Eq + Hash, V> Memory<K, V> {
    /// Empty; at most twice `limit` values are kept.
    pub fn new(limit: usize) -> Self {
        Memory { young: HashMap::new(), old: HashMap::new(), limit }
    }

    /// What was put in last for this key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Remember a value.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forget the value of this key.
    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Forget everything.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_dropped_and_the_latest_value_counts() {
        let mut memory = Memory::new(2);
        for (key, value) in [(1, 10), (2, 20), (1, 11), (3, 30), (1, 12), (4, 40)] {
            memory.put(key, value);
        }
        assert_eq!([1, 2, 3, 4].map(|key| memory.get(&key).copied()), [Some(12), None, Some(30), Some(40)]);
        memory.remove(&3);
        memory.clear();
        assert_eq!((memory.get(&3), memory.get(&1)), (None, None));
    }
}
