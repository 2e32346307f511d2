//! The hops of an order in the order in which they happened, each with the time since the one before and since its cause.
//!
//! Clocks of different machines differ by more than a hop takes. So time decides only among what may come next: nothing
//! stands before its cause, and the records of a partition keep their order.

use std::collections::HashMap;

use super::hop::{Hop, Mark};
use crate::log::Spot;

/// A hop in its place.
#[derive(Debug, Clone)]
pub(crate) struct TimedHop {
    pub(crate) hop: Hop,
    /// The index of the hop that it follows from, if that is in the timeline.
    pub(crate) cause: Option<usize>,
    /// Microseconds since the hop before; none for the first. Clocks may differ, so it may be negative.
    pub(crate) since_previous_us: Option<i64>,
    /// Microseconds since its cause.
    pub(crate) since_cause_us: Option<i64>,
}

/// Everything that happened to an order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    pub(crate) steps: Vec<TimedHop>,
}

impl Timeline {
    /// Put hops in order; those of a partition are given in the order of their log.
    pub(crate) fn arrange(hops: Vec<Hop>) -> Timeline {
        let causes = causes(&hops);
        let order = order(&hops, &causes);
        let mut index_of = vec![0; hops.len()];
        for (index, from) in order.iter().enumerate() {
            index_of[*from] = index;
        }
        let mut hops: Vec<Option<Hop>> = hops.into_iter().map(Some).collect();
        let mut steps: Vec<TimedHop> = Vec::with_capacity(order.len());
        for from in order {
            let Some(hop) = hops[from].take() else { continue };
            // A cause can only stand later where hops name each other as causes.
            let cause = causes[from].map(|cause| index_of[cause]).filter(|cause| *cause < steps.len());
            let since = |step: &TimedHop| hop.at().as_micros() - step.hop.at().as_micros();
            let since_previous_us = steps.last().map(since);
            let since_cause_us = cause.map(|cause| since(&steps[cause]));
            steps.push(TimedHop { hop, cause, since_previous_us, since_cause_us });
        }
        Timeline { steps }
    }

    /// The last hop that counts and fulfils a condition.
    pub(crate) fn last_where(&self, mut wanted: impl FnMut(&Hop) -> bool) -> Option<usize> {
        self.steps.iter().rposition(|step| step.hop.counts() && wanted(&step.hop))
    }
}

/// For each hop the one that it follows from: by place where it names one, else by id.
fn causes(hops: &[Hop]) -> Vec<Option<usize>> {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    let mut by_spot: HashMap<Spot, usize> = HashMap::new();
    for (index, hop) in hops.iter().enumerate() {
        by_spot.extend(hop.spot().map(|spot| (spot, index)));
        if let Some(id) = hop.id.as_deref().filter(|_| !matches!(hop.mark, Mark::DeadLetter | Mark::Operator)) {
            by_id.entry(id).or_insert(index);
        }
    }
    let of = |(index, hop): (usize, &Hop)| {
        let made_of = hop.made_of.and_then(|spot| by_spot.get(&spot));
        let cause = made_of.or_else(|| by_id.get(hop.causation.as_deref()?));
        cause.copied().filter(|cause| *cause != index)
    };
    hops.iter().enumerate().map(of).collect()
}

/// Indices in the order of time, as far as causes and logs leave a choice. Histories are short: what is next is looked for
/// among all that is left.
fn order(hops: &[Hop], causes: &[Option<usize>]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..hops.len()).collect();
    let mut is_placed = vec![false; hops.len()];
    let mut order = Vec::with_capacity(hops.len());
    while !left.is_empty() {
        let is_first_of_log = |candidate: usize| {
            let here = |index: &&usize| {
                (hops[**index].channel, hops[**index].partition) == (hops[candidate].channel, hops[candidate].partition)
            };
            left.iter().find(here) == Some(&candidate)
        };
        let is_ready = |candidate: &usize| causes[*candidate].is_none_or(|cause| is_placed[cause]);
        let earliest = |candidates: &mut dyn Iterator<Item = usize>| {
            candidates.min_by_key(|index| (hops[*index].at(), hops[*index].broker_time, *index))
        };
        let ready = earliest(&mut left.iter().copied().filter(|index| is_first_of_log(*index) && is_ready(index)));
        // Hops that wait for each other: forged causes. Time alone decides then.
        let Some(next) = ready.or_else(|| earliest(&mut left.iter().copied())) else { break };
        left.retain(|index| *index != next);
        is_placed[next] = true;
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use schemas::{Time, TopicName};

    use super::*;
    use crate::log::Channel;

    fn hop(topic: TopicName, offset: i64, at_us: i64, id: &str, causation: &str) -> Hop {
        Hop {
            channel: Channel::Messages(topic),
            partition: 0,
            offset: Some(offset),
            time: Some(Time::from_micros(at_us)),
            broker_time: Some(Timestamp::UNIX_EPOCH),
            name: id.to_owned(),
            detail: String::new(),
            message: None,
            id: Some(id.to_owned()),
            causation: Some(causation.to_owned()),
            source: None,
            trace_parent: None,
            position: None,
            made_of: None,
            mark: Mark::Counts,
        }
    }

    fn names(timeline: &Timeline) -> Vec<&str> {
        timeline.steps.iter().map(|step| step.hop.name.as_str()).collect()
    }

    #[test]
    fn nothing_stands_before_its_cause_however_the_clocks_go() {
        let hops = vec![
            hop(TopicName::OrderCommands, 5, 1000, "place", ""),
            hop(TopicName::OrderEvents, 9, 990, "placed", "place"),
            hop(TopicName::InventoryEvents, 2, 400, "reserved", "reserve"),
            hop(TopicName::InventoryCommands, 3, 990, "reserve", "place"),
        ];
        let timeline = Timeline::arrange(hops);
        assert_eq!(names(&timeline), ["place", "placed", "reserve", "reserved"]);
        assert_eq!(timeline.steps[3].cause, Some(2));
        assert_eq!((timeline.steps[1].since_previous_us, timeline.steps[2].since_cause_us), (Some(-10), Some(-10)));
    }

    #[test]
    fn a_log_keeps_its_order() {
        let hops = vec![hop(TopicName::OrderEvents, 1, 500, "a", ""), hop(TopicName::OrderEvents, 2, 400, "b", "")];
        assert_eq!(names(&Timeline::arrange(hops)), ["a", "b"]);
    }

    #[test]
    fn causes_that_go_in_a_circle_end() {
        let hops = vec![hop(TopicName::OrderCommands, 1, 2, "a", "b"), hop(TopicName::OrderEvents, 1, 1, "b", "a")];
        let timeline = Timeline::arrange(hops);
        assert_eq!(names(&timeline), ["b", "a"]);
        assert_eq!((timeline.steps[0].cause, timeline.steps[1].cause), (None, Some(0)));
    }
}
