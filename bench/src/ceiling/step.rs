//! The eleven transactions that an order goes through, as a table.
//!
//! They are those of a plain saga with a service per aggregate and a provider call between two transactions of payment:
//! 13 outbox rows and, with the command that starts it, 14 messages per order.

/// A topic of the ceiling; its partitions (but the first one's) are lanes of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// What starts an order; written without an outbox.
    OrderCommands,
    /// Seen by a consumer that does nothing.
    OrderEvents,
    /// To the stock stages.
    InventoryCommands,
    /// From the stock stages.
    InventoryEvents,
    /// To the payment stages.
    PaymentCommands,
    /// From the payment stages.
    PaymentEvents,
}

impl Topic {
    /// All of them.
    pub(crate) const ALL: [Topic; 6] = [
        Topic::OrderCommands,
        Topic::OrderEvents,
        Topic::InventoryCommands,
        Topic::InventoryEvents,
        Topic::PaymentCommands,
        Topic::PaymentEvents,
    ];

    /// Its place in `ALL`.
    pub(crate) fn index(self) -> usize {
        match self {
            Topic::OrderCommands => 0,
            Topic::OrderEvents => 1,
            Topic::InventoryCommands => 2,
            Topic::InventoryEvents => 3,
            Topic::PaymentCommands => 4,
            Topic::PaymentEvents => 5,
        }
    }

    /// Its name after the run's prefix.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Topic::OrderCommands => "order.commands",
            Topic::OrderEvents => "order.events",
            Topic::InventoryCommands => "inventory.commands",
            Topic::InventoryEvents => "inventory.events",
            Topic::PaymentCommands => "payment.commands",
            Topic::PaymentEvents => "payment.events",
        }
    }
}

/// Where a message or an order goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// To the step with this index.
    Step(u8),
    /// Seen and forgotten.
    Watched,
    /// Seen; the order is done.
    Done,
}

impl Next {
    /// As the first byte of a payload.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Next::Step(index) => index,
            Next::Watched => 254,
            Next::Done => 255,
        }
    }

    /// From the first byte of a payload; none when no such step exists.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            254 => Some(Next::Watched),
            255 => Some(Next::Done),
            index if usize::from(index) < STEPS.len() => Some(Next::Step(index)),
            _ => None,
        }
    }
}

/// What a step writes beside positions and outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Inserts orders and their lines, and updates the orders once.
    Place,
    /// Updates orders.
    Order {
        /// Their new state.
        state: i16,
    },
    /// Takes the lines' pieces from what is available.
    Reserve,
    /// Ships the lines' pieces.
    Ship,
    /// Inserts payments.
    Pay,
    /// Updates payments.
    Payment {
        /// Their new state.
        state: i16,
    },
}

/// One of the chained transactions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// What it writes.
    pub(crate) work: Work,
    /// Whether its orders come from a topic (else from the step before, in memory).
    pub(crate) from_topic: bool,
    /// What it appends per order, and where that goes.
    pub(crate) out: &'static [(Topic, Next)],
}

const fn consumed(work: Work, out: &'static [(Topic, Next)]) -> Link {
    Link { work, from_topic: true, out }
}

const fn handed_on(work: Work, out: &'static [(Topic, Next)]) -> Link {
    Link { work, from_topic: false, out }
}

/// The steps in an order's way; a step without output hands its orders to the next one in memory.
pub(crate) const STEPS: [Link; 11] = [
    consumed(Work::Place, &[(Topic::OrderEvents, Next::Watched), (Topic::InventoryCommands, Next::Step(1))]),
    consumed(Work::Reserve, &[(Topic::InventoryEvents, Next::Step(2))]),
    consumed(Work::Order { state: 3 }, &[(Topic::OrderEvents, Next::Watched), (Topic::PaymentCommands, Next::Step(3))]),
    consumed(Work::Pay, &[]),
    handed_on(Work::Payment { state: 2 }, &[(Topic::PaymentEvents, Next::Step(5))]),
    consumed(Work::Order { state: 5 }, &[(Topic::OrderEvents, Next::Watched), (Topic::PaymentCommands, Next::Step(6))]),
    consumed(Work::Payment { state: 3 }, &[]),
    handed_on(Work::Payment { state: 4 }, &[(Topic::PaymentEvents, Next::Step(8))]),
    consumed(
        Work::Order { state: 7 },
        &[(Topic::OrderEvents, Next::Watched), (Topic::InventoryCommands, Next::Step(9))],
    ),
    consumed(Work::Ship, &[(Topic::InventoryEvents, Next::Step(10))]),
    consumed(Work::Order { state: 9 }, &[(Topic::OrderEvents, Next::Done)]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_the_fixed_one() {
        let rows: usize = STEPS.iter().map(|step| step.out.len()).sum();
        let updates = |wanted: fn(Work) -> bool| STEPS.iter().filter(|step| wanted(step.work)).count();
        assert_eq!((STEPS.len(), rows), (11, 13));
        assert_eq!(updates(|work| matches!(work, Work::Order { .. } | Work::Place)), 5);
        assert_eq!(updates(|work| matches!(work, Work::Payment { .. })), 3);
        assert_eq!(updates(|work| matches!(work, Work::Reserve | Work::Ship)), 2);
    }

    #[test]
    fn every_step_leads_to_the_next() {
        for (index, step) in STEPS.iter().enumerate() {
            let next = u8::try_from(index + 1).unwrap();
            let onward = step.out.iter().any(|(_, to)| *to == Next::Step(next) || *to == Next::Done);
            let handed_on = step.out.is_empty() && !STEPS[index + 1].from_topic;
            assert!(onward || handed_on, "step {index}");
        }
        for to in [Next::Step(0), Next::Step(10), Next::Watched, Next::Done] {
            assert_eq!(Next::from_byte(to.to_byte()), Some(to));
        }
        assert_eq!(Next::from_byte(11), None);
    }
}
