//! Tables of states and messages, and drawings, compared with those of `docs/state-machine.md`: the document is the expectation.

use domain::decision::{Decision, Outcome};
use domain::saga::Step;
use schemas::{Message, OrderEvent, PaymentEvent};

/// The expectation.
const DOCUMENT: &str = include_str!("../../../../docs/state-machine.md");

/// A table with one row per message and one column per state.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these states as columns.
    pub(crate) fn new(states: impl IntoIterator<Item = &'static str>) -> Self {
        let head = std::iter::once("message".to_owned()).chain(states.into_iter().map(str::to_owned)).collect();
        Table { head, rows: Vec::new() }
    }

    /// One more message.
    pub(crate) fn row(&mut self, message: &str, cells: impl IntoIterator<Item = String>) {
        let row: Vec<_> = std::iter::once(message.to_owned()).chain(cells).collect();
        assert_eq!(row.len(), self.head.len(), "row {message}");
        self.rows.push(row);
    }

    fn render(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_owned(); self.head.len()];
        let body: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{}{body}", line(&self.head), line(&rule))
    }

    /// Panics unless the document has this table under this name.
    pub(crate) fn assert_documented(&self, name: &str) {
        assert_documented("table", name, &self.render());
    }
}

/// A drawing of states and what leads from one to another.
#[derive(Default)]
pub(crate) struct Drawing {
    arrows: Vec<Arrow>,
}

struct Arrow {
    from: String,
    to: String,
    messages: Vec<String>,
    asked: String,
}

impl Arrow {
    fn render(&self) -> String {
        let asked = if self.asked.is_empty() { String::new() } else { format!(" / {}", self.asked) };
        format!("    {} --> {}: {}{asked}\n", self.from, self.to, self.messages.join(" or "))
    }
}

impl Drawing {
    /// One more way from a state to another; what leads there and asks for the same shares an arrow.
    pub(crate) fn arrow(&mut self, from: &str, to: &str, message: &str, commands: &[&str]) {
        let (from, to, asked) = (from.to_owned(), to.to_owned(), commands.join(" + "));
        match self.arrows.iter_mut().find(|one| (&one.from, &one.to, &one.asked) == (&from, &to, &asked)) {
            Some(known) if known.messages.iter().any(|one| one == message) => {}
            Some(known) => known.messages.push(message.to_owned()),
            None => self.arrows.push(Arrow { from, to, messages: vec![message.to_owned()], asked }),
        }
    }

    /// Panics unless the document has this drawing under this name.
    pub(crate) fn assert_documented(&self, name: &str) {
        let arrows: String = self.arrows.iter().map(Arrow::render).collect();
        let drawing = format!("```mermaid\nstateDiagram-v2\n    direction TB\n{arrows}```\n");
        assert_documented("drawing", name, &drawing);
    }
}

fn assert_documented(kind: &str, name: &str, done: &str) {
    let written = DOCUMENT
        .split_once(&format!("<!-- {kind}: {name} -->\n\n"))
        .and_then(|(_, rest)| rest.split_once("\n<!-- end -->"))
        .map_or("", |(written, _)| written);
    assert!(written == done, "docs/state-machine.md says of {name}:\n{written}\nbut the code does:\n{done}");
}

/// What a decision does, in a cell.
pub(crate) fn cell<E: Clone + Into<Message>>(decision: &Decision<E>) -> String {
    let said: Vec<String> = decision.clone().messages().map(|message| name(&message)).collect();
    match decision.outcome {
        Outcome::Applied => {
            format!("**{}**{}", said[0], said[1..].iter().map(|one| format!(" + {one}")).collect::<String>())
        }
        Outcome::Repeated => format!("{} again", said[0]),
        Outcome::Rejected => said[0].clone(),
        Outcome::Pending => "call".into(),
        Outcome::NoEffect => "no effect".into(),
        Outcome::Late => "late".into(),
        Outcome::Unknown => "unknown".into(),
    }
}

fn name(message: &Message) -> String {
    match message {
        Message::OrderEvent(event) => event_name(event),
        Message::PaymentEvent(PaymentEvent::PaymentRefundFailed(event)) => {
            format!("PaymentRefundFailed({})", event.outcome)
        }
        Message::OrderCommand(_)
        | Message::InventoryCommand(_)
        | Message::InventoryEvent(_)
        | Message::StockCommand(_)
        | Message::StockEvent(_)
        | Message::PaymentCommand(_)
        | Message::PaymentEvent(_) => message.name().to_owned(),
    }
}

fn event_name(event: &OrderEvent) -> String {
    let name = event.name();
    let said = match event {
        OrderEvent::OrderCancelling(event) => Step::of(event.awaiting, event.step.as_deref()).to_string(),
        OrderEvent::OrderCancelled(event) => format!("{:?}", event.reason),
        OrderEvent::OrderRejected(event) => {
            let reason = &event.reasons[0];
            reason.reason_code.clone().unwrap_or_else(|| format!("{:?}", reason.code))
        }
        OrderEvent::OrderCommandRefused(event) => return format!("refused({})", event.reasons[0].reason_code),
        OrderEvent::OrderReturnClosed(event) => event.outcome.clone(),
        OrderEvent::OrderRefundFailed(event) => event.outcome.clone(),
        OrderEvent::OrderResolved(event) => event.outcome.clone(),
        OrderEvent::OrderPlaced(_)
        | OrderEvent::OrderStockReserved(_)
        | OrderEvent::OrderActionRequired(_)
        | OrderEvent::OrderAuthorized(_)
        | OrderEvent::OrderConfirmed(_)
        | OrderEvent::OrderPaymentCaptured(_)
        | OrderEvent::OrderHeld(_)
        | OrderEvent::OrderReleased(_)
        | OrderEvent::OrderShipped(_)
        | OrderEvent::OrderStockCommitted(_)
        | OrderEvent::OrderCompleted(_)
        | OrderEvent::OrderStuck(_)
        | OrderEvent::OrderRetried(_)
        | OrderEvent::OrderAskedAgain(_)
        | OrderEvent::OrderRefundRequested(_)
        | OrderEvent::OrderRefunded(_)
        | OrderEvent::OrderReturnRequested(_)
        | OrderEvent::OrderReturnReceived(_) => return name.to_owned(),
    };
    format!("{name}({said})")
}
