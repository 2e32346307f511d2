//! The report as a table for people.

use std::fmt::{self, Display, Formatter};

use grammar::counted;

use super::{Comparison, Note, Report};
use crate::check::findings::Invariant;
use crate::check::invariant::termination::{Awaited, Wait};
use crate::check::scan::ByHand;

impl Display for Report {
    /// Several lines, the last one with its end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_counts(f)?;
        self.write_invariants(f)?;
        self.write_comparison(f)?;
        self.write_notes(f)?;
        if self.violations.is_empty() {
            let what = if self.notes.is_empty() { "Everything" } else { "Everything that can be read" };
            return writeln!(f, "\n{what} holds ({:.1} s).", self.elapsed.as_secs_f64());
        }
        writeln!(f, "\n{} ({:.1} s):", counted(self.violations_found, "violation"), self.elapsed.as_secs_f64())?;
        let width = self.violations.iter().map(|one| one.subject.chars().count()).max().unwrap_or(0).min(48);
        for violation in &self.violations {
            writeln!(f, "  {:<12}  {:<width$}  {}", violation.invariant, violation.subject, violation.detail)?;
        }
        let listed = u64::try_from(self.violations.len()).unwrap_or(u64::MAX);
        if self.violations_found > listed {
            writeln!(f, "  and {} more", self.violations_found - listed)?;
        }
        Ok(())
    }
}

impl Report {
    fn write_counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let orders = &self.orders;
        let stages = [
            ("completed", orders.completed),
            ("cancelled", orders.cancelled),
            ("stuck", orders.stuck),
            ("placed", orders.placed),
            ("stock reserved", orders.stock_reserved),
            ("authorized", orders.authorized),
            ("confirmed", orders.confirmed),
            ("payment captured", orders.payment_captured),
            ("ready to ship", orders.ready_to_ship),
            ("shipped", orders.shipped),
            ("stock committed", orders.stock_committed),
            ("cancelling", orders.cancelling),
        ];
        writeln!(f, "orders    {:>9}   {}", orders.total(), listed(&stages))?;
        writeln!(f, "refused   {:>9}   ids without an order", self.rejected)?;
        let messages = &self.messages;
        let kinds = [
            ("from services", messages.delivered),
            ("commands", messages.commands),
            ("repeated", messages.duplicates),
            ("void", messages.void),
            ("after the cut", messages.after_cut),
            ("strangers'", messages.strangers),
        ];
        writeln!(f, "records   {:>9}   {}", messages.read, listed(&kinds))?;
        let letters: Vec<_> = self.dead_letters.iter().map(|(topic, count)| (topic.as_str(), *count)).collect();
        writeln!(f, "dead      {:>9}   {}", self.dead_lettered(), listed(&letters))?;
        let open = self.notes.iter().filter(|note| matches!(note, Note::OpenTransaction(_))).count();
        let notes = [("open transactions", open), ("unreadable runs", self.notes.len() - open)];
        let notes = notes.map(|(name, count)| (name, u64::try_from(count).unwrap_or(u64::MAX)));
        if !self.notes.is_empty() {
            writeln!(f, "notes     {:>9}   {}", self.notes.len(), listed(&notes))?;
        }
        self.write_waits(f)?;
        if let Some(behind) = self.view_behind {
            writeln!(f, "view      {behind:>9}   records behind the topics")?;
        }
        for order in self.stuck.iter().take(Report::LISTED_PER_INVARIANT) {
            writeln!(f, "stuck               {order}")?;
        }
        for ByHand { order_id, command, event, by, .. } in self.by_hand.iter().take(Report::LISTED_PER_INVARIANT) {
            let by = by.as_deref().unwrap_or("somebody unnamed");
            writeln!(f, "by hand             {order_id}  {command} by {by}: {event}")?;
        }
        Ok(())
    }

    /// What waits for a command: how much for which, and each that waits for longer than it should.
    fn write_waits(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of = |awaited: Awaited| {
            let count = self.waits.iter().filter(|wait| wait.awaiting == awaited).count();
            (awaited.as_str(), u64::try_from(count).unwrap_or(u64::MAX))
        };
        if !self.waits.is_empty() {
            let counts = [Awaited::Shipment, Awaited::Release, Awaited::Return].map(of);
            writeln!(f, "waits     {:>9}   for {}", self.waits.len(), listed(&counts))?;
        }
        let late = self.waits.iter().filter(|wait| wait.is_late).take(Report::LISTED_PER_INVARIANT);
        for Wait { order_id, awaiting, until, .. } in late {
            let until = until.map_or_else(String::new, |until| format!(", beyond {until}"));
            writeln!(f, "late                {order_id}  for {}{until}", awaiting.as_str())?;
        }
        Ok(())
    }

    fn write_notes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.notes.is_empty() {
            writeln!(f, "\nNot looked at, and no violation:")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }

    fn write_comparison(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(Comparison { digest, live_digest, differences }) = &self.comparison else { return Ok(()) };
        writeln!(f, "\nstate by the topics  {digest}")?;
        if digest != live_digest {
            writeln!(f, "by the tables        {live_digest}")?;
        }
        if !differences.is_empty() {
            writeln!(f, "\n{}:\n{differences}", counted(differences.found, "difference"))?;
        }
        Ok(())
    }

    fn write_invariants(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (number, invariant) in (1..).zip(Invariant::ALL) {
            let broken = self.violations.iter().filter(|violation| violation.invariant == invariant).count();
            let verdict = if broken == 0 { "holds" } else { "VIOLATED" };
            writeln!(f, "  {number} {invariant:<13} {verdict}")?;
        }
        Ok(())
    }
}

/// What there is any of, with its count.
fn listed(counts: &[(&str, u64)]) -> String {
    let some = counts.iter().filter(|(_, count)| *count > 0);
    some.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
