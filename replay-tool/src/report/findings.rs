//! Violations as they are found: all counted, the first of each invariant kept.

use std::collections::{BTreeMap, HashSet};

use super::{Invariant, Report, Violation};

/// Violations as they are found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: BTreeMap<Invariant, u64>,
    listed: Vec<Violation>,
}

impl Findings {
    /// Note a violation.
    pub(crate) fn add(&mut self, invariant: Invariant, subject: impl Into<String>, detail: impl Into<String>) {
        let found = self.found.entry(invariant).or_default();
        *found += 1;
        if usize::try_from(*found).is_ok_and(|found| found <= Report::LISTED_PER_INVARIANT) {
            self.listed.push(Violation { invariant, subject: subject.into(), detail: detail.into() });
        }
    }

    /// Take over what others found.
    pub(crate) fn append(&mut self, other: Findings) {
        let kept = other.listed.len();
        for violation in other.listed {
            self.add(violation.invariant, violation.subject, violation.detail);
        }
        let unlisted = other.found.values().sum::<u64>().saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX));
        if unlisted > 0 {
            // Which invariants they belong to: those whose list is full.
            let full = u64::try_from(Report::LISTED_PER_INVARIANT).unwrap_or(u64::MAX);
            for (invariant, found) in other.found.into_iter().filter(|(_, found)| *found > full) {
                *self.found.entry(invariant).or_default() += found - full;
            }
        }
    }

    /// What holds neither here nor there once; what holds only on one side, with the side's name.
    pub(crate) fn of_both_sides((here, name): (Findings, &str), (there, other_name): (Findings, &str)) -> Findings {
        let mut both = Findings::default();
        let seen: HashSet<&Violation> = there.listed.iter().collect();
        let mine: HashSet<Violation> = here.listed.iter().cloned().collect();
        for violation in &here.listed {
            let side = if seen.contains(violation) { String::new() } else { format!(" (only in the {name})") };
            both.add(violation.invariant, violation.subject.as_str(), format!("{}{side}", violation.detail));
        }
        for violation in there.listed.into_iter().filter(|violation| !mine.contains(violation)) {
            let detail = format!("{} (only in the {other_name})", violation.detail);
            both.add(violation.invariant, violation.subject, detail);
        }
        both
    }

    /// The lists, by invariant, and how many there were in all.
    pub(crate) fn into_list(mut self) -> (Vec<Violation>, u64) {
        self.listed.sort_by_key(|violation| violation.invariant);
        (self.listed, self.found.values().sum())
    }

    #[cfg(test)]
    pub(crate) fn listed(&self) -> &[Violation] {
        &self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_and_little_is_listed() {
        let mut many = Findings::default();
        (0..100).for_each(|n| many.add(Invariant::Stock, format!("sku-{n}"), "oversold"));
        let mut all = Findings::default();
        all.add(Invariant::Rebuild, "orders", "differ");
        all.append(many);
        let (listed, found) = all.into_list();
        assert_eq!((listed.len(), found), (41, 101));
        assert_eq!(listed[0].invariant, Invariant::Stock);
    }

    #[test]
    fn what_both_sides_show_is_told_once() {
        let side = |subjects: &[&str]| {
            let mut findings = Findings::default();
            subjects.iter().for_each(|subject| findings.add(Invariant::Money, *subject, "unpaid"));
            findings
        };
        let both = Findings::of_both_sides((side(&["a", "b"]), "tables"), (side(&["b", "c"]), "topics"));
        let details: Vec<_> = both.listed().iter().map(|one| (one.subject.as_str(), one.detail.as_str())).collect();
        let expected = [("a", "unpaid (only in the tables)"), ("b", "unpaid"), ("c", "unpaid (only in the topics)")];
        assert_eq!(details, expected);
    }
}
