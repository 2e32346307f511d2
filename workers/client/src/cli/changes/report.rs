//! What became of the commands: one order in a sentence, many as a sum and a list of those that failed.

use grammar::{Tone, counted, harmless, paint};
use schemas::{CommandId, OrderId};
use serde_json::{Value, json};

use super::Change;
use super::orders::{Target, Wanted};
use crate::cli::output::Failure;
use crate::cli::{End, Session};
use crate::{Record, detail, record_json};

/// What became of the command on one order.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It is in its topic.
    Sent,
    /// It is not, or nobody knows.
    NotSent(String),
    /// The service has done it.
    Done(Box<Record>),
    /// The service has not done it.
    Refused(Box<Record>),
    /// No answer came in time.
    Unanswered,
}

impl Fate {
    const fn as_str(&self) -> &'static str {
        match self {
            Fate::Sent => "sent",
            Fate::NotSent(_) => "not_sent",
            Fate::Done(_) => "done",
            Fate::Refused(_) => "refused",
            Fate::Unanswered => "unanswered",
        }
    }

    /// How the program ends by it: no is not the same as that nobody knows.
    const fn end(&self) -> End {
        match self {
            Fate::Sent | Fate::Done(_) => End::DONE,
            Fate::Refused(_) => End::NO,
            Fate::NotSent(_) | Fate::Unanswered => End::FAILED,
        }
    }

    const fn answer(&self) -> Option<&Record> {
        match self {
            Fate::Done(record) | Fate::Refused(record) => Some(record),
            Fate::Sent | Fate::NotSent(_) | Fate::Unanswered => None,
        }
    }
}

pub(super) fn tell(
    session: &Session,
    change: &Change,
    id: &CommandId,
    wanted: &Wanted,
    fates: &[(OrderId, Fate)],
) -> Result<End, Failure> {
    let told = Told { done: change.done, id, wait_s: session.patience.as_secs() };
    match (wanted.target, fates) {
        (Target::One, [(order_id, fate)]) => {
            if fate.end() == End::FAILED {
                return Err(Failure::Words(told.sentence(order_id, fate)));
            }
            session.output.say(|| told.json(order_id, fate), || told.sentence(order_id, fate))?;
            Ok(fate.end())
        }
        (Target::One | Target::Many, fates) => {
            if session.output.json {
                for (order_id, fate) in fates {
                    session.output.say(|| told.json(order_id, fate), String::new)?;
                }
                for (line, problem) in &wanted.refused {
                    session
                        .output
                        .say(|| json!({ "line": line, "outcome": "not_sent", "problem": problem }), String::new)?;
                }
            } else {
                session.output.say(|| Value::Null, || told.list(wanted, fates))?;
            }
            Ok(end_of(wanted, fates))
        }
    }
}

/// The worst of them. A line that holds no order's id is an order that is not there.
fn end_of(wanted: &Wanted, fates: &[(OrderId, Fate)]) -> End {
    let ends: Vec<End> = fates.iter().map(|(_, fate)| fate.end()).collect();
    if ends.contains(&End::FAILED) {
        End::FAILED
    } else if ends.contains(&End::NO) || !wanted.refused.is_empty() {
        End::NO
    } else {
        End::DONE
    }
}

struct Told<'a> {
    done: &'static str,
    id: &'a CommandId,
    wait_s: u64,
}

impl Told<'_> {
    fn json(&self, order_id: &OrderId, fate: &Fate) -> Value {
        let problem = if let Fate::NotSent(problem) = fate { Some(problem) } else { None };
        json!({
            "order_id": order_id,
            "command_id": self.id,
            "outcome": fate.as_str(),
            "answer": fate.answer().map(record_json),
            "problem": problem,
        })
    }

    /// Of one order.
    fn sentence(&self, order_id: &OrderId, fate: &Fate) -> String {
        let (id, done) = (harmless(order_id.as_str()), self.done);
        match fate {
            Fate::Sent => format!("command {} for order {id} is on its way", self.id),
            Fate::Done(record) => match detail(&record.message) {
                detail if detail.is_empty() => format!("order {id} is {done}"),
                detail => format!("order {id} is {done} ({})", harmless(&detail)),
            },
            Fate::NotSent(_) | Fate::Refused(_) => format!("order {id} is not {done}: {}", self.reason(fate)),
            Fate::Unanswered => {
                format!("order {id} is not {done} after {} s; follow it with `orders watch {id}`", self.wait_s)
            }
        }
    }

    /// Why it failed.
    fn reason(&self, fate: &Fate) -> String {
        match fate {
            Fate::Refused(record) => harmless(&detail(&record.message)),
            Fate::NotSent(problem) => harmless(problem),
            Fate::Unanswered => format!("no answer within {} s", self.wait_s),
            Fate::Sent | Fate::Done(_) => String::new(),
        }
    }

    /// Of many: how many are done, and each that failed with the reason.
    fn list(&self, wanted: &Wanted, fates: &[(OrderId, Fate)]) -> String {
        let all = counted((fates.len() + wanted.refused.len()) as u64, "order");
        let sent = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Sent)).count();
        let done = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Done(_))).count();
        let mut text =
            if sent > 0 { format!("{sent} of {all} sent") } else { format!("{done} of {all} {}", self.done) };
        let failed = fates.iter().filter(|(_, fate)| fate.end() != End::DONE);
        let failed = failed.map(|(order_id, fate)| (harmless(order_id.as_str()), fate.as_str(), self.reason(fate)));
        let lines = wanted.refused.iter().map(|(line, problem)| (line.clone(), "not_sent", harmless(problem)));
        for (which, outcome, reason) in failed.chain(lines) {
            let outcome = paint(Tone::Warning, outcome.replace('_', " "));
            text.push_str(&format!("\n  {which}  {outcome}  {reason}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use grammar::plain;
    use schemas::CancelOrder;

    use super::*;
    use crate::story::{Story, id, place_order, record};

    fn refusal() -> Fate {
        let story = Story::completed().takes(CancelOrder::new(place_order().order_id, id("c")));
        Fate::Refused(Box::new(record(0, story.events.last().unwrap().clone())))
    }

    fn order(text: &str) -> OrderId {
        OrderId::new(text).unwrap()
    }

    fn many(refused: Vec<(String, String)>) -> Wanted {
        Wanted { target: Target::Many, ids: Vec::new(), refused }
    }

    #[test]
    fn one_order_is_a_sentence() {
        let told = Told { done: "cancelled", id: &id("c"), wait_s: 30 };
        let said = told.sentence(&order("o-1"), &refusal());
        assert_eq!(said, "order o-1 is not cancelled: CancelOrder: OrderFinished (order o-1 is completed)");
        let done = Fate::Done(Box::new(record(0, Story::completed().events.last().unwrap().clone())));
        assert_eq!(told.sentence(&order("o-1"), &done), "order o-1 is cancelled");
        let open = told.sentence(&order("o-1"), &Fate::Unanswered);
        assert_eq!(open, "order o-1 is not cancelled after 30 s; follow it with `orders watch o-1`");
        assert_eq!(told.json(&order("o-1"), &done)["outcome"], "done");
    }

    #[test]
    fn of_many_those_that_failed_are_listed_with_the_reason() {
        let told = Told { done: "cancelled", id: &id("c"), wait_s: 30 };
        let done = Fate::Done(Box::new(record(0, Story::completed().events.last().unwrap().clone())));
        let fates = [(order("a"), done), (order("o-1"), refusal()), (order("b"), Fate::Unanswered)];
        let wanted = many(vec![("line 4".to_owned(), "the order id is empty".to_owned())]);
        let text = plain(&told.list(&wanted, &fates));
        let expected = [
            "1 of 4 orders cancelled",
            "  o-1  refused  CancelOrder: OrderFinished (order o-1 is completed)",
            "  b  unanswered  no answer within 30 s",
            "  line 4  not sent  the order id is empty",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_worst_of_many_is_how_it_ends() {
        let done = || (order("a"), Fate::Sent);
        assert_eq!(end_of(&many(Vec::new()), &[done()]), End::DONE);
        assert_eq!(end_of(&many(Vec::new()), &[done(), (order("b"), refusal())]), End::NO);
        assert_eq!(end_of(&many(vec![("line 1".to_owned(), String::new())]), &[done()]), End::NO);
        assert_eq!(end_of(&many(Vec::new()), &[(order("b"), refusal()), (order("c"), Fate::Unanswered)]), End::FAILED);
    }
}
