//! The versions of an aggregate: a version is said again with the same words and the same id, or something is wrong.
//!
//! `evolve` passes over a repeated version without looking; this looks.

use std::collections::HashMap;

use uuid::Uuid;

use super::told::Told;
use crate::check::findings::{Findings, Invariant};

/// What was said in each version of each aggregate.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    bodies: HashMap<String, Vec<u128>>,
}

impl Versions {
    /// See that the event's id is the one that follows from aggregate and version, and that a repeated version repeats
    /// its words.
    pub(crate) fn see(&mut self, aggregate: &str, version: i64, told: Told, expected: Uuid, findings: &mut Findings) {
        if told.id != Some(expected) {
            let id = told.id.map_or("none".to_owned(), |id| id.to_string());
            let detail = format!("version {version} was published under the id {id}; it must be {expected}");
            findings.add(Invariant::Rebuild, aggregate, detail);
        }
        let Ok(index) = usize::try_from(version - 1) else { return };
        let had = match self.bodies.get_mut(aggregate) {
            Some(had) => had,
            None => self.bodies.entry(aggregate.to_owned()).or_default(),
        };
        match had.get(index) {
            Some(body) if *body == told.body => {}
            Some(_) => {
                let detail = format!("version {version} was said twice, with different words");
                findings.add(Invariant::Rebuild, aggregate, detail);
            }
            None if index == had.len() => had.push(told.body),
            // Versions are missing in between: folding finds that.
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_repeated_word_for_word_or_found() {
        let id = Uuid::from_u128(1);
        let told = |body| Told { id: Some(id), cause: None, body };
        let (mut versions, mut findings) = (Versions::default(), Findings::default());
        for (version, body) in [(1, 7), (2, 8), (1, 7)] {
            versions.see("o-1", version, told(body), id, &mut findings);
        }
        assert!(findings.listed().is_empty());
        versions.see("o-1", 2, told(9), id, &mut findings);
        versions.see("o-2", 1, told(9), Uuid::from_u128(2), &mut findings);
        assert_eq!(findings.listed().len(), 2, "{:?}", findings.listed());
    }
}
