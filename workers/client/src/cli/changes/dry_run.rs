//! `--dry-run`: what would be published, and what the state machine would make of it: the real one, on the state that the
//! topic tells.
//!
//! Only the service knows its configuration: limits of time are taken for the default ones. And an order may go on meanwhile.

use std::collections::HashMap;

use domain::decision::{Decision, Inconsistent, Outcome};
use domain::saga::{Input, Order, Policy, decide, evolve};
use grammar::{Tone, harmless, paint};
use schemas::{CommandId, Message, OrderCommand, OrderEvent, OrderId, Time};
use serde_json::{Value, json};

use super::Change;
use super::orders::Wanted;
use super::publish::answers_reader;
use crate::cli::output::{Failure, reading_bar};
use crate::cli::way::Way;
use crate::cli::{End, Session};
use crate::{Manner, OrderEvents, Request, body_json, detail_in, stage_in_words};

/// A command that was not sent, and what would become of it.
#[derive(Debug)]
pub(super) struct Trial {
    order_id: OrderId,
    command: OrderCommand,
    /// How the order stands; none where there is no such order.
    order: Option<Order>,
    verdict: Result<Decision<OrderEvent>, Inconsistent>,
}

pub(super) async fn run(
    session: &Session,
    change: &Change,
    id: &CommandId,
    wanted: &Wanted,
) -> Result<Vec<Trial>, Failure> {
    let mut states = States::of(&wanted.ids);
    match &session.way {
        Way::Kafka(connection) if !wanted.ids.is_empty() => {
            let mut reader = answers_reader(connection, wanted).await?;
            let bar = reading_bar();
            while let Some(record) = reader.next_to_end(session.patience, &mut |left| bar.set_position(left)).await? {
                states.heard(&record.message);
            }
            bar.finish_and_clear();
        }
        Way::Kafka(_) => {}
        Way::Http(door) => {
            for order_id in &wanted.ids {
                // What could not be asked for is not tried either.
                Request::of(&change.command(order_id, id).into())?;
                let mut events = OrderEvents::open(door, order_id).await?;
                events.to_end(session.patience).await?.iter().for_each(|record| states.heard(&record.message));
            }
        }
    }
    let now = jiff::Timestamp::now().into();
    Ok(wanted.ids.iter().map(|order_id| states.judge(order_id, change.command(order_id, id), now)).collect())
}

/// The orders that are meant, as far as their events were read.
struct States(HashMap<String, Result<Option<Order>, Inconsistent>>);

impl States {
    fn of(ids: &[OrderId]) -> Self {
        States(ids.iter().map(|id| (id.to_string(), Ok(None))).collect())
    }

    fn heard(&mut self, message: &Message) {
        let Message::OrderEvent(event) = message else { return };
        if let Some(state) = self.0.get_mut(message.key())
            && let Ok(order) = state
        {
            *state = evolve(order.take(), event);
        }
    }

    fn judge(&self, order_id: &OrderId, command: OrderCommand, now: Time) -> Trial {
        let state = self.0.get(order_id.as_str()).cloned().unwrap_or(Ok(None));
        let (order, verdict) = match state {
            Ok(order) => {
                let decision = decide(order.as_ref(), Input::Command(&command), now, &Policy::default());
                (order, Ok(decision))
            }
            Err(problem) => (None, Err(problem)),
        };
        Trial { order_id: order_id.clone(), command, order, verdict }
    }
}

/// What would become of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Would {
    Take,
    Refuse,
    HaveNoEffect,
    NotKnown,
}

impl Would {
    const fn as_str(self) -> &'static str {
        match self {
            Would::Take => "taken",
            Would::Refuse => "refused",
            Would::HaveNoEffect => "no_effect",
            Would::NotKnown => "unknown",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Would::Take => Tone::Good,
            Would::HaveNoEffect => Tone::Faint,
            Would::Refuse | Would::NotKnown => Tone::Warning,
        }
    }
}

impl Trial {
    fn would(&self) -> Would {
        match &self.verdict {
            Err(_) => Would::NotKnown,
            Ok(decision) => match decision.outcome {
                Outcome::Applied => Would::Take,
                Outcome::Rejected => Would::Refuse,
                Outcome::Pending | Outcome::Repeated | Outcome::NoEffect | Outcome::Late | Outcome::Unknown => {
                    Would::HaveNoEffect
                }
            },
        }
    }

    fn event(&self) -> Option<Message> {
        self.verdict.as_ref().ok()?.event.clone().map(Message::from)
    }

    /// The names of what would be asked of the other services.
    fn asks(&self) -> Vec<&'static str> {
        self.verdict
            .as_ref()
            .map_or_else(|_| Vec::new(), |decision| decision.commands.iter().map(Message::name).collect())
    }

    fn json(&self) -> Value {
        let command = Message::from(self.command.clone());
        json!({
            "order_id": self.order_id,
            "state": self.order.as_ref().map(|order| order.stage.as_str()),
            "command": { "type": command.name(), "body": body_json(&command) },
            "would_be": self.would().as_str(),
            "answer": self.event().map(|event| json!({ "type": event.name(), "body": body_json(&event) })),
            "asks": self.asks(),
            "problem": self.verdict.as_ref().err().map(ToString::to_string),
        })
    }

    fn text(&self) -> String {
        let command = Message::from(self.command.clone());
        let state = self.order.as_ref().map_or_else(|| "not placed".to_owned(), stage_in_words);
        let would = self.would();
        let manner = Manner::plain(self.order.as_ref().map(|order| order.currency.as_str()));
        let mut then = self.event().map_or_else(String::new, |event| {
            format!(": {} {}", event.name(), detail_in(&event, &manner)).trim_end().to_owned()
        });
        if let Err(problem) = &self.verdict {
            then = format!(": its history is broken: {problem}");
        }
        let asks = self.asks();
        if !asks.is_empty() {
            then.push_str(&format!(", asking for {}", asks.join(", ")));
        }
        let (id, state) = (harmless(self.order_id.as_str()), harmless(&state));
        let published = harmless(&format!("would be published: {} {}", command.name(), body_json(&command)));
        let would = paint(would.tone(), format_args!("would be {}", would.as_str().replace('_', " ")));
        format!("order {id}: {state}\n  {published}\n  {would}{}", harmless(&then))
    }
}

/// Tells every trial; the answer is no where one would be refused.
pub(super) fn tell(session: &Session, wanted: &Wanted, trials: &[Trial]) -> Result<End, Failure> {
    for trial in trials {
        session.output.say(|| trial.json(), || trial.text())?;
    }
    for (line, problem) in &wanted.refused {
        let json = || json!({ "line": line, "would_be": "refused", "problem": problem });
        session.output.say(json, || format!("{line}: {}", harmless(problem)))?;
    }
    let is_well = |trial: &Trial| matches!(trial.would(), Would::Take | Would::HaveNoEffect);
    let are_well = wanted.refused.is_empty() && trials.iter().all(is_well);
    Ok(if are_well { End::DONE } else { End::NO })
}

#[cfg(test)]
mod tests {
    use grammar::plain;
    use schemas::{CancelOrder, RefundOrder};

    use super::*;
    use crate::story::{Story, id, on_command, place_order};

    fn trial(story: Option<&Story>, command: impl Into<OrderCommand>) -> Trial {
        let order_id = place_order().order_id;
        let mut states = States::of(std::slice::from_ref(&order_id));
        for event in story.iter().flat_map(|story| &story.events) {
            states.heard(&event.clone().into());
        }
        states.judge(&order_id, command.into(), Time::from_micros(1_000_000_000))
    }

    fn cancel() -> CancelOrder {
        CancelOrder::new(place_order().order_id, id("c"))
    }

    #[test]
    fn the_state_machine_itself_says_what_would_be() {
        let ready = Story::paid(on_command());
        let taken = trial(Some(&ready), cancel());
        assert_eq!((taken.would(), taken.asks()), (Would::Take, vec!["RefundPayment"]));
        assert_eq!(taken.json()["state"], "ready_to_ship");
        assert_eq!(taken.json()["answer"]["type"], "OrderCancelling");
        let again = trial(Some(&ready.takes(cancel())), cancel());
        assert_eq!(again.would(), Would::HaveNoEffect);
        let refused = trial(Some(&Story::completed()), cancel());
        assert_eq!(
            (refused.would(), &refused.json()["answer"]["body"]["reasons"][0]["code"]),
            (Would::Refuse, &json!("OrderFinished"))
        );
    }

    #[test]
    fn what_would_be_published_is_told_with_its_answer() {
        let refund = RefundOrder { amount_minor: Some(1000), ..RefundOrder::all(place_order().order_id, id("r")) };
        let text = plain(&trial(Some(&Story::completed()), refund).text());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "order o-1: completed");
        assert!(
            lines[1].starts_with("  would be published: RefundOrder {") && lines[1].contains("\"amount_minor\":1000"),
            "{text}"
        );
        let refused = "would be refused: OrderRejected RefundOrder: AmountTooLarge (the amount is 1000; of 170 that were taken 170 are left)";
        assert_eq!(lines[2].trim(), refused);
    }

    #[test]
    fn an_order_that_is_not_there_and_one_with_a_broken_history_are_no() {
        let unknown = trial(None, cancel());
        assert_eq!((unknown.would(), unknown.text().contains("OrderUnknown")), (Would::Refuse, true));
        let mut story = Story::completed();
        story.events.remove(1);
        let broken = trial(Some(&story), cancel());
        assert_eq!(broken.would(), Would::NotKnown);
        assert!(broken.text().contains("its history is broken"), "{}", broken.text());
    }
}
