//! What a service remembers of rows that it has written itself: enough for the aggregates that are under way.
//!
//! Bounded, with two generations: what is not used again while so many others are put in is dropped. Whatever is read from here
//! may be history; who decides by it has the commit compare it with the rows (see [`Service::recall`](crate::Service::recall)).

use std::collections::HashMap;
use std::hash::Hash;

/// More aggregates of a batch than this are not remembered.
const LARGE_BATCH: usize = 256;

/// Values by key.
#[derive(Debug)]
pub struct Memory<K, V> {
    young: HashMap<K, Box<V>>,
    old: HashMap<K, Box<V>>,
    limit: usize,
}

impl<K: Eq + Hash, V> Memory<K, V> {
    /// Empty; at most twice `limit` values are kept.
    pub fn new(limit: usize) -> Self {
        Memory { young: HashMap::new(), old: HashMap::new(), limit }
    }

    /// Whether there is a value for this key.
    pub fn has(&self, key: &K) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    /// Take out what was put in last for this key.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let (young, old) = (self.young.remove(key), self.old.remove(key));
        young.or(old).map(|value| *value)
    }

    /// Remember what a batch has come to, unless it was a large one: whoever takes hundreds of messages at a time reads their rows in
    /// one go, which costs less for each than remembering it. Then everything is forgotten.
    pub fn put_all(&mut self, values: Vec<(K, V)>) {
        if values.len() > LARGE_BATCH {
            return self.clear();
        }
        for (key, value) in values {
            self.put(key, value);
        }
    }

    /// Remember a value.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit && !self.young.contains_key(&key) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, Box::new(value));
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
        assert_eq!([1, 2, 3, 4].map(|key| memory.has(&key)), [true, false, true, true]);
        assert_eq!([1, 2, 3, 1].map(|key| memory.take(&key)), [Some(12), None, Some(30), None]);
        memory.put_all(vec![(5, 50), (6, 60)]);
        assert!(memory.has(&4) && memory.has(&5));
        memory.put_all((0..=LARGE_BATCH).map(|key| (key, 0)).collect());
        assert!(!memory.has(&4) && !memory.has(&5));
    }
}
