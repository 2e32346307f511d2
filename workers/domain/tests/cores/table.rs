//! Tables of states and messages, compared with those of `docs/state-machine.md`: the document is the expectation.

use domain::decision::{Decision, Outcome};
use schemas::{Message, OrderEvent};

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
        let table = self.render();
        let written = DOCUMENT
            .split_once(&format!("<!-- table: {name} -->\n\n"))
            .and_then(|(_, rest)| rest.split_once("\n<!-- end -->"))
            .map_or("", |(table, _)| table);
        assert!(written == table, "docs/state-machine.md says of {name}:\n{written}\nbut the code does:\n{table}");
    }
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
        Message::OrderEvent(OrderEvent::OrderCancelling(event)) => format!("OrderCancelling({:?})", event.awaiting),
        Message::OrderEvent(OrderEvent::OrderCancelled(event)) => format!("OrderCancelled({:?})", event.reason),
        Message::OrderEvent(OrderEvent::OrderRejected(event)) => format!("OrderRejected({:?})", event.reasons[0].code),
        Message::OrderEvent(_)
        | Message::OrderCommand(_)
        | Message::InventoryCommand(_)
        | Message::InventoryEvent(_)
        | Message::StockCommand(_)
        | Message::StockEvent(_)
        | Message::PaymentCommand(_)
        | Message::PaymentEvent(_) => message.name().to_owned(),
    }
}
