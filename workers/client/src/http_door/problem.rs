//! What an API says when it does not do what was asked (RFC 9457), and the event that a service's no is.

use std::fmt;

use jiff::Timestamp;
use schemas::{
    OrderCommand, OrderCommandName, OrderCommandRefused, OrderEvent, OrderRejected, Refusal, Rejection, RejectionCode,
    Time, TopicName,
};
use serde::Deserialize;

use crate::Record;

/// A problem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// What kind, as `urn:order-api:refused`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The status of the answer.
    #[serde(default)]
    pub status: u16,
    /// What is wrong.
    #[serde(default)]
    pub detail: String,
    /// Of a refused command: why.
    #[serde(default)]
    pub reasons: Vec<Reason>,
}

/// Why a service has refused a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reason {
    /// What kind of mistake.
    pub code: String,
    /// The same in words.
    #[serde(default)]
    pub detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = if self.status == 401 { "; give a key as ORDERS_API_KEY or in ORDERS_API_KEY_FILE" } else { "" };
        write!(f, "{} ({}){advice}", self.detail, self.status)
    }
}

impl Problem {
    /// Of an answer's body; whatever stands between may have said something else.
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let read = serde_json::from_slice::<Problem>(body).ok().filter(|problem| !problem.detail.is_empty());
        let read = read.unwrap_or_else(|| Problem { detail: "no reason is given".to_owned(), ..Problem::default() });
        Problem { status, ..read }
    }

    /// Whether a service, or what is known of its decisions, says no to this very command.
    pub(super) fn is_of_a_service(&self) -> bool {
        self.status == 422 && (self.kind.ends_with(":refused") || self.kind.ends_with(":content-differs"))
    }

    /// Every reason; where the API knew without asking the service, the one that the service would give.
    pub fn reasons(&self) -> Vec<Reason> {
        match self.reasons.is_empty() {
            true => vec![Reason { code: "ContentDiffers".to_owned(), detail: self.detail.clone() }],
            false => self.reasons.clone(),
        }
    }

    /// The event by which the order service refuses this command, as far as an API tells it.
    pub(crate) fn refusal(&self, command: &OrderCommand, cause: Option<String>) -> Record {
        let (order_id, at) = (command.key().clone(), Time::from(Timestamp::now()));
        let name = command.name();
        let event: OrderEvent = match (OrderCommandName::parse(name), command.command_id()) {
            (None, Some(command_id)) => {
                let refusal = |Reason { code, detail }| Refusal { reason_code: code, detail };
                let (command, command_id) = (name.to_owned(), command_id.clone());
                let reasons = self.reasons().into_iter().map(refusal).collect();
                OrderCommandRefused { order_id, at, command, command_id, reasons }.into()
            }
            (known, command_id) => {
                let command = known.unwrap_or(OrderCommandName::PlaceOrder);
                let reasons = self.reasons().into_iter().map(rejection).collect();
                OrderRejected { order_id, at, command, command_id: command_id.cloned(), reasons }.into()
            }
        };
        Record { cause, ..Record::of_nowhere(TopicName::OrderEvents, at, event.into()) }
    }
}

/// The more precise code is told where there is one: which of both an API gave, nobody can see.
fn rejection(Reason { code, detail }: Reason) -> Rejection {
    let known = RejectionCode::parse(&code);
    let reason_code = if known.is_none() { Some(code) } else { None };
    Rejection { code: known.unwrap_or(RejectionCode::NotSupported), detail, reason_code }
}

#[cfg(test)]
mod tests {
    use schemas::{CancelOrder, CommandId, Message, ReleaseOrder};

    use super::*;
    use crate::detail;
    use crate::story::{id, place_order};

    /// The id of the command that a refusal answers.
    fn answered(record: &Record) -> Option<CommandId> {
        let Message::OrderEvent(event) = &record.message else { return None };
        crate::order_history::answered(event).cloned()
    }

    const REFUSED: &str = r#"{"type":"urn:order-api:refused","title":"t","status":422,"detail":"d. Nothing was changed.",
        "reasons":[{"code":"OrderFinished","detail":"order o-1 is completed"}]}"#;

    #[test]
    fn a_refusal_is_the_event_that_the_service_has_said() {
        let problem = Problem::read(422, REFUSED.as_bytes());
        assert!(problem.is_of_a_service());
        let order_id = place_order().order_id;
        let cancel = CancelOrder::new(order_id.clone(), id("c")).into();
        let record = problem.refusal(&cancel, None);
        assert_eq!(detail(&record.message), "CancelOrder: OrderFinished (order o-1 is completed)");
        assert_eq!(answered(&record), Some(id("c")));
        let release: OrderCommand = ReleaseOrder { order_id, command_id: id("r"), by: None, note: None }.into();
        let record = problem.refusal(&release, None);
        assert_eq!(detail(&record.message), "ReleaseOrder: OrderFinished (order o-1 is completed)");
        assert_eq!(answered(&record), Some(id("r")));
        let differs = r#"{"type":"urn:order-api:content-differs","status":422,"detail":"order o-1 is there"}"#;
        let record = Problem::read(422, differs.as_bytes()).refusal(&place_order().into(), Some("7".to_owned()));
        assert_eq!(detail(&record.message), "PlaceOrder: ContentDiffers (order o-1 is there)");
        assert_eq!(record.cause.as_deref(), Some("7"));
    }

    #[test]
    fn what_is_no_problem_is_told_by_its_status_and_a_missing_key_with_what_to_do() {
        let proxy = Problem::read(403, b"<html>");
        assert_eq!(proxy.to_string(), "no reason is given (403)");
        assert!(!Problem::read(422, b"{}").is_of_a_service());
        assert!(Problem::read(401, b"").to_string().contains("ORDERS_API_KEY"));
    }
}
