//! The invariants, and violations as they are found: all counted, the first of each invariant kept.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

/// How many violations of an invariant are listed.
pub(super) const LISTED_PER_INVARIANT: usize = 40;

/// What must always hold; the numbers are those of the product's design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// 1. Received + returned = available + reserved + shipped + written off, nothing below zero; what came back came once.
    Stock,
    /// 2. At most one effective charge per order, refunds once and within it; the ledger sums to zero and is the provider's.
    Money,
    /// 3. Every accepted order comes to an end; nothing waits beyond its deadline.
    Termination,
    /// 4. What was done of a failed order is undone once, in reverse; nothing is paid unreserved, or leaves held or undone.
    Compensation,
    /// 5. What the outboxes committed is what the topics hold: nothing lost, nothing phantom, in order.
    Delivery,
    /// 6. State folded from the topics is the tables, row for row; an order's events carry what it was placed with.
    Rebuild,
    /// 7. Bad input has a trace: an event, or a dead letter with its bytes untouched.
    BadInput,
}

impl Invariant {
    /// All of them, in order.
    pub const ALL: [Invariant; 7] = [
        Invariant::Stock,
        Invariant::Money,
        Invariant::Termination,
        Invariant::Compensation,
        Invariant::Delivery,
        Invariant::Rebuild,
        Invariant::BadInput,
    ];

    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Invariant::Stock => "stock",
            Invariant::Money => "money",
            Invariant::Termination => "termination",
            Invariant::Compensation => "compensation",
            Invariant::Delivery => "delivery",
            Invariant::Rebuild => "rebuild",
            Invariant::BadInput => "bad-input",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Of what: an order, a SKU, a topic partition, a row.
    pub subject: String,
    /// What is wrong, in words.
    pub detail: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.invariant, self.subject, self.detail)
    }
}

/// Violations as they are found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: BTreeMap<Invariant, u64>,
    listed: Vec<Violation>,
}

impl Findings {
    /// Note a violation.
    pub(crate) fn add(&mut self, invariant: Invariant, subject: impl Into<String>, detail: impl Into<String>) {
        *self.found.entry(invariant).or_default() += 1;
        let listed = self.listed.iter().filter(|one| one.invariant == invariant).count();
        if listed < LISTED_PER_INVARIANT {
            self.listed.push(Violation { invariant, subject: subject.into(), detail: detail.into() });
        }
    }

    /// Take over what others found.
    pub(crate) fn append(&mut self, other: Findings) {
        other.unlisted().for_each(|(invariant, count)| *self.found.entry(invariant).or_default() += count);
        for violation in other.listed {
            self.add(violation.invariant, violation.subject, violation.detail);
        }
    }

    /// How many were found of each invariant beyond those listed.
    fn unlisted(&self) -> impl Iterator<Item = (Invariant, u64)> {
        let listed = |invariant: Invariant| self.listed.iter().filter(|one| one.invariant == invariant).count();
        self.found.iter().map(move |(invariant, found)| {
            (*invariant, found.saturating_sub(u64::try_from(listed(*invariant)).unwrap_or(u64::MAX)))
        })
    }

    /// What holds neither here nor there once; what holds only on one side, with the side's name.
    pub(crate) fn of_both_sides((here, name): (Findings, &str), (there, other_name): (Findings, &str)) -> Findings {
        let mut both = Findings::default();
        let unlisted: Vec<(Invariant, u64)> = here.unlisted().collect();
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
        // What is not listed cannot be compared; the two sides rarely differ.
        unlisted.into_iter().for_each(|(invariant, count)| *both.found.entry(invariant).or_default() += count);
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
        let many = |count: usize| {
            let mut findings = Findings::default();
            (0..count).for_each(|n| findings.add(Invariant::Money, n.to_string(), "unpaid"));
            findings
        };
        assert_eq!(Findings::of_both_sides((many(50), "tables"), (many(50), "topics")).into_list().1, 50);
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
