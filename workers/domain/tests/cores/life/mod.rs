//! The life of an order after it is placed, case by case: what is asked of other services, what its events say, and every reason
//! to refuse.

mod cancelling;
mod holds;
mod redrive;
mod refunds;
mod returns;
mod shipping;
mod stuck;
mod terms;

use domain::decision::{Decision, Outcome};
use domain::saga::{Aftercare, Order, Stage};
use schemas::{Message, OrderCommand, OrderEvent};

use crate::fixtures::noon;
use crate::order_table::{Given, then, when};

/// An order, and all that was asked of other services for it.
struct Story {
    order: Option<Order>,
    events: Vec<OrderEvent>,
    asked: Vec<Message>,
}

impl Story {
    fn of(order: Option<Order>) -> Self {
        Story { order, events: Vec::new(), asked: Vec::new() }
    }

    /// The next thing that happens, now.
    fn on(mut self, given: impl Into<Given>) -> Self {
        let decision = when(self.order.as_ref(), &given.into(), noon());
        self.events.extend(decision.change().cloned());
        self.order = then(self.order, &decision);
        self.asked.extend(decision.commands);
        self
    }

    /// The names of what was asked of other services.
    fn asked(&self) -> Vec<&'static str> {
        self.asked.iter().map(Message::name).collect()
    }

    fn order(&self) -> &Order {
        self.order.as_ref().unwrap()
    }

    fn stage(&self) -> &Stage {
        &self.order().stage
    }

    fn aftercare(&self) -> &Aftercare {
        self.order().aftercare.as_ref().unwrap()
    }

    /// The code and the words with which a command is refused; the order is as it was.
    fn refusal(&self, command: OrderCommand) -> (String, String) {
        refusal(&when(self.order.as_ref(), &command.into(), noon()))
    }

    /// The code alone.
    fn code(&self, command: OrderCommand) -> String {
        self.refusal(command).0
    }

    fn outcome(&self, given: impl Into<Given>) -> Outcome {
        when(self.order.as_ref(), &given.into(), noon()).outcome
    }
}

fn refusal(decision: &Decision<OrderEvent>) -> (String, String) {
    assert_eq!((decision.outcome, decision.commands.len()), (Outcome::Rejected, 0), "{decision:?}");
    if let Some(OrderEvent::OrderCommandRefused(event)) = &decision.event {
        let reason = &event.reasons[0];
        return (reason.reason_code.clone(), reason.detail.clone());
    }
    let Some(OrderEvent::OrderRejected(event)) = &decision.event else { panic!("{decision:?}") };
    let reason = &event.reasons[0];
    (reason.reason_code.clone().unwrap_or(reason.code.as_str().to_owned()), reason.detail.clone())
}
