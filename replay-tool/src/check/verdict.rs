//! The verdict over what a check has gathered: pure, so that every planted inconsistency can be tested.

use schemas::{ServiceName, TopicName};

use super::evidence::Evidence;
use super::findings::Findings;
use super::invariant;
use super::invariant::termination::{self, Wait};
use super::report::Comparison;
use super::scan::{ByHand, MessageCounts};
use super::state::State;
use crate::fold::OrderCounts;
use crate::rows::{Differences, Rows};

/// What follows from it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) orders: OrderCounts,
    pub(crate) rejected: u64,
    pub(crate) stuck: Vec<String>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) by_hand: Vec<ByHand>,
    pub(crate) messages: MessageCounts,
    pub(crate) dead_letters: Vec<(String, u64)>,
    pub(crate) findings: Findings,
    /// None where the topics lack messages: then there is nothing to compare.
    pub(crate) comparison: Option<Comparison>,
}

/// How many stuck orders are named.
const STUCK_NAMED: usize = 1000;

impl Evidence {
    /// Hold everything against everything.
    pub(crate) fn judge(mut self) -> Verdict {
        let mut findings = std::mem::take(&mut self.topics.findings);
        let folded = self.topics.rows(self.partitions);
        let (state, by_tables) = self.judge_state(&self.tables.rows);
        // A fold of topics that lack messages would only tell of that again.
        findings.append(match self.topics.are_events_whole() {
            true => Findings::of_both_sides((by_tables, "tables"), (self.judge_state(&folded).1, "topics")),
            false => by_tables,
        });
        let waits = termination::waits(&state, self.now);
        termination::check(&self, &state, &waits, &mut findings);
        invariant::compensation::check_requests(&self, &state, &mut findings);
        if self.expectations.quiescent {
            invariant::returns::check_known(&state, &mut findings);
        }
        invariant::delivery::check(&self, &mut findings);
        invariant::rebuild::check(&self, &folded, &mut findings);
        invariant::bad_input::check(&self, &state, &mut findings);
        let comparison = self.topics.are_events_whole().then(|| Comparison {
            digest: folded.digest().to_hex(),
            live_digest: self.tables.rows.digest().to_hex(),
            differences: Differences::between(&self.tables.rows, &folded, &ServiceName::ALL),
        });
        let mut orders = OrderCounts::default();
        let mut stuck = Vec::new();
        for order in self.tables.rows.orders.values() {
            orders.count(&order.stage);
            if order.stage == "stuck" && stuck.len() < STUCK_NAMED {
                stuck.push(order.order_id.clone());
            }
        }
        Verdict {
            orders,
            rejected: u64::try_from(self.topics.orders.refused_without_order()).unwrap_or(u64::MAX),
            stuck,
            waits,
            by_hand: self.by_hand(),
            messages: self.topics.counts,
            dead_letters: self.dead_letters(),
            findings,
            comparison,
        }
    }

    /// The invariants of state alone.
    fn judge_state<'e>(&'e self, rows: &'e Rows) -> (State<'e>, Findings) {
        let mut findings = Findings::default();
        let is_seen_whole = self.topics.is_whole(TopicName::OrderEvents);
        let state = State::of(rows, &self.topics.orders.watch, is_seen_whole, &mut findings);
        invariant::stock::check(&state, &mut findings);
        invariant::money::check(&state, &mut findings);
        invariant::refunds::check(&state, &mut findings);
        invariant::returns::check(&state, &mut findings);
        if let Some(statement) = &self.statement {
            invariant::statement::check(&state, statement, &self.tables.open_calls, self.expectations, &mut findings);
        }
        invariant::compensation::check(&state, &mut findings);
        (state, findings)
    }

    /// What persons did to stuck orders, in the order of time.
    fn by_hand(&self) -> Vec<ByHand> {
        let mut all: Vec<ByHand> = self.topics.orders.watch.by_hand.values().flatten().cloned().collect();
        all.sort_by(|one, other| (one.at, &one.order_id).cmp(&(other.at, &other.order_id)));
        all
    }

    fn dead_letters(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> = Vec::new();
        for (topic, _) in &self.topics.letters {
            match counts.iter_mut().find(|(name, _)| name == topic.as_str()) {
                Some((_, count)) => *count += 1,
                None => counts.push((topic.as_str().to_owned(), 1)),
            }
        }
        counts
    }
}
