//! The table of verbs, and the options that all of them have.

use clap::{Args, Subcommand};
use schemas::{CommandId, OrderCommand};

use super::answers::Awaits;
use super::commands::{Cancel, Hold, Nothing, Receive, Refund, Reject, RequestBack, Resolve, Retry, Ship, Skip};
use super::orders::Orders;
use super::{Change, Head};

/// A verb that changes an order.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ChangeVerb {
    /// Ship an order that is ready for it: its goods leave.
    Ship(Asking<Ship>),
    /// Cancel an order whose goods have not left, and wait until it is undone.
    Cancel(Asking<Cancel>),
    /// Give money back for an order that is paid: all that is left, an amount, or what lines cost; wait for the outcome.
    Refund(Asking<Refund>),
    /// Stop an order before it is confirmed or shipped, until somebody has looked.
    Hold(Asking<Hold>),
    /// Let a held order go on.
    Release(Asking<Nothing>),
    /// Undo an order that somebody has looked at, and wait until it is undone.
    Reject(Asking<Reject>),
    /// Goods of a completed order come back.
    #[command(subcommand)]
    Return(ReturnVerb),
}

/// Of `return`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ReturnVerb {
    /// The customer wants to send goods back; the command's id is the return's.
    Request(Asking<RequestBack>),
    /// Goods of a return have come: correct the stock, then give the money back; wait for both.
    Receive(Asking<Receive>),
}

/// Of `stuck`, what frees an order.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FreeingVerb {
    /// Try the step again at which an order is stuck.
    Retry(Asking<Retry>),
    /// Take the step at which an order is stuck for done: somebody has seen to it.
    #[command(mut_arg("note", |note| note.required(true)))]
    Skip(Asking<Skip>),
    /// End a stuck order: somebody has seen to all that is left.
    #[command(mut_arg("note", |note| note.required(true)))]
    Resolve(Asking<Resolve>),
}

/// A verb's own options between those that all have.
#[derive(Debug, Args)]
pub(in crate::cli) struct Asking<V: Args> {
    #[command(flatten)]
    orders: Orders,
    #[command(flatten)]
    what: V,
    #[command(flatten)]
    asked: Asked,
}

/// Who asks and why, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct Asked {
    /// Who asks; kept with the order.
    #[arg(long, value_name = "WHO")]
    pub(super) by: Option<String>,

    /// Why, in words; kept with the order.
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,

    /// The command's id: the same id again has no second effect on an order. Without it, a new one.
    #[arg(long, value_name = "ID", alias = "id")]
    pub(super) command_id: Option<CommandId>,

    /// Publish nothing: print what would be, and whether the state machine would take it as the order stands now. Limits of
    /// time are taken for the default ones.
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Do not wait for the order service's answer.
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// What a verb asks of the order service.
pub(super) trait Ask: Args + Send + Sync + 'static {
    /// What becomes of the order.
    const DONE: &'static str;
    /// The answer that is waited for.
    const AWAITS: Awaits;
    /// The command for an order.
    fn command(&self, head: Head) -> OrderCommand;
}

impl ChangeVerb {
    pub(in crate::cli) fn change(self) -> Change {
        match self {
            ChangeVerb::Ship(asking) => change(asking),
            ChangeVerb::Cancel(asking) => change(asking),
            ChangeVerb::Refund(asking) => change(asking),
            ChangeVerb::Hold(asking) => change(asking),
            ChangeVerb::Release(asking) => change(asking),
            ChangeVerb::Reject(asking) => change(asking),
            ChangeVerb::Return(ReturnVerb::Request(asking)) => change(asking),
            ChangeVerb::Return(ReturnVerb::Receive(asking)) => change(asking),
        }
    }
}

impl FreeingVerb {
    pub(in crate::cli) fn change(self) -> Change {
        match self {
            FreeingVerb::Retry(asking) => change(asking),
            FreeingVerb::Skip(asking) => change(asking),
            FreeingVerb::Resolve(asking) => change(asking),
        }
    }
}

fn change<V: Ask>(asking: Asking<V>) -> Change {
    let Asking { orders, what, asked } = asking;
    let command = Box::new(move |head| what.command(head));
    Change { done: V::DONE, awaits: V::AWAITS, orders, asked, command }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use schemas::{Message, OrderId};
    use serde_json::json;

    use super::*;
    use crate::body_json;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        verb: Changing,
    }

    #[derive(Debug, Subcommand)]
    enum Changing {
        #[command(flatten)]
        Change(ChangeVerb),
        #[command(subcommand)]
        Stuck(FreeingVerb),
    }

    fn changed(words: &str) -> Result<Change, String> {
        let line = Line::try_parse_from(std::iter::once("orders").chain(words.split(' ')));
        let change = |line: Line| match line.verb {
            Changing::Change(verb) => verb.change(),
            Changing::Stuck(verb) => verb.change(),
        };
        line.map(change).map_err(|error| error.to_string())
    }

    /// The command of these words for order 1: its name, and what it says beside the ids, nulls and empty lists.
    fn command(words: &str) -> (&'static str, serde_json::Value) {
        let change = changed(words).unwrap();
        let (order_id, id) = (OrderId::new("1").unwrap(), CommandId::new("c").unwrap());
        let message = Message::from(change.command(&order_id, &id));
        let serde_json::Value::Object(mut body) = body_json(&message) else { panic!("no object") };
        assert_eq!((body.remove("order_id"), body.remove("command_id")), (Some(json!("1")), Some(json!("c"))));
        body.retain(|_, value| !value.is_null() && *value != json!([]));
        (message.name(), body.into())
    }

    #[test]
    fn each_verb_makes_its_command_of_all_its_options() {
        let lines = json!([{ "line": 1, "quantity": 2 }, { "line": 3, "quantity": 1 }]);
        let said = json!({ "lines": lines, "carrier": "DHL", "tracking": "T", "by": "ann", "note": "x" });
        let ship = "ship 1 --line 1=2 --line 3=1 --carrier DHL --tracking T --by ann --note x";
        assert_eq!(command(ship), ("ShipOrder", said));
        assert_eq!(command("cancel 1 --reason R"), ("CancelOrder", json!({ "reason_code": "R" })));
        let said = json!({ "amount_minor": 500, "reason_code": "R" });
        assert_eq!(command("refund 1 --amount 500 --reason R"), ("RefundOrder", said));
        let said = json!({ "lines": [{ "line": 1, "quantity": 2 }] });
        assert_eq!(command("refund 1 --line 1=2"), ("RefundOrder", said.clone()));
        let said_hold = json!({ "reason_code": "R", "until": "2026-01-01T00:00:00.000000Z" });
        assert_eq!(command("hold 1 --reason R --until 2026-01-01T00:00:00Z"), ("HoldOrder", said_hold));
        assert_eq!(command("release 1 --by ann"), ("ReleaseOrder", json!({ "by": "ann" })));
        assert_eq!(command("reject 1 --reason R"), ("RejectOrder", json!({ "reason_code": "R" })));
        assert_eq!(command("return request 1 --line 1=2"), ("RequestReturn", said));
        let lines = json!([
            { "line": 1, "quantity": 2, "disposition": "restock" },
            { "line": 1, "quantity": 1, "disposition": "write_off" },
        ]);
        let said = json!({ "return_id": "r", "lines": lines, "refund_minor": 0 });
        let receive = "return receive 1 --return r --line 1=2:restock --line 1=1:write_off --refund 0";
        assert_eq!(command(receive), ("ReceiveReturn", said));
        assert_eq!(command("stuck retry 1 --step PaymentVoid"), ("RetryOrder", json!({ "step": "PaymentVoid" })));
        let said = json!({ "step": "StockRelease", "note": "x" });
        assert_eq!(command("stuck skip 1 --step StockRelease --note x"), ("SkipOrderStep", said));
        let said = json!({ "outcome": "cancelled", "note": "x" });
        assert_eq!(command("stuck resolve 1 --as cancelled --note x"), ("ResolveOrder", said));
    }

    #[test]
    fn what_a_person_takes_upon_himself_needs_a_note() {
        for words in ["stuck skip 1", "stuck resolve 1 --as completed"] {
            let said = changed(words).err().unwrap();
            assert!(said.contains("--note <TEXT>"), "{said}");
        }
        assert!(changed("stuck retry 1").is_ok());
    }

    #[test]
    fn what_does_not_go_together_or_is_missing_is_wrong_usage() {
        for words in [
            "ship",
            "ship 1 --file x",
            "refund 1 --amount 5 --line 1=1",
            "hold 1",
            "reject 1",
            "hold 1 --reason R --until tomorrow",
            "ship 1 --line 1",
            "ship 1 --line a=1",
            "return receive 1 --return r",
            "return receive 1 --return r --line 1=1",
            "return receive 1 --return r --line 1=1:keep",
            "return receive 1 --line 1=1:restock",
            "stuck resolve 1 --as stuck --note x",
            "stuck resolve 1 --note x",
        ] {
            assert!(changed(words).is_err(), "{words}");
        }
        let said = changed("ship 1 --line 1:2").err().unwrap();
        assert!(said.contains("is not N=QTY"), "{said}");
    }

    #[test]
    fn the_id_of_a_command_has_the_name_that_it_always_had() {
        for words in ["cancel 1 --command-id c-1", "cancel 1 --id c-1"] {
            assert_eq!(changed(words).unwrap().asked.command_id, Some(CommandId::new("c-1").unwrap()));
        }
    }
}
