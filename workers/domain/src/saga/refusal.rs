//! Why a command is refused, and how the refusal is said: by `OrderRejected` where its first version has a name for the
//! command, else by `OrderCommandRefused`.

use schemas::{
    CommandId, OrderCommand, OrderCommandName, OrderCommandRefused, OrderEvent, OrderId, OrderRejected, Refusal,
    Rejection, RejectionCode, Time, limits,
};

use crate::decision::Decision;

/// What kind of mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// One that the first version of `OrderRejected` has a name for.
    Plain(RejectionCode),
    /// `capture`, `fulfilment` or what goes with them is none that is known, or does not go together.
    TermsUnknown,
    /// The payment token is missing its shape: digits alone, as card numbers are.
    TokenIsDigits,
    /// A text is longer than it may be, or empty.
    TextLength,
    /// An adjustment of an unknown kind, of an unknown line, or too many of them.
    AdjustmentInvalid,
    /// Too many attributes, or too long ones.
    AttributesInvalid,
    /// Adjustments take more than there is.
    TotalNegative,
    /// More than other programs can read exactly.
    TotalTooLarge,
    /// Somebody holds the order.
    Held,
    /// Nobody holds the order.
    NotHeld,
    /// The order is not ready to be shipped.
    NotReady,
    /// The order is fulfilled without a command.
    NotOnCommand,
    /// The goods have left.
    Shipped,
    /// The order is being undone.
    Cancelling,
    /// Nothing was taken yet that could be given back.
    NotPaid,
    /// An amount of 0 or less.
    AmountNotPositive,
    /// More than what is left of what was taken.
    AmountTooLarge,
    /// A line that the order does not have, or too many pieces of one.
    LinesInvalid,
    /// No return has this id, or it has ended.
    ReturnUnknown,
    /// The order is not completed.
    NotCompleted,
    /// The order is not stuck.
    NotStuck,
    /// The order is stuck at another step.
    OtherStep,
    /// An outcome that is neither of the two.
    OutcomeUnknown,
    /// More was done to the order than it can keep.
    TooManyChanges,
    /// The order service has not said it, nor asked for it.
    NotOurs,
    /// The order does not wait for it.
    NotAwaited,
    /// Nobody says this on request.
    NotRepeatable,
}

impl Code {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Plain(code) => code.as_str(),
            Code::TermsUnknown => "TermsUnknown",
            Code::TokenIsDigits => "TokenIsDigits",
            Code::TextLength => "TextLength",
            Code::AdjustmentInvalid => "AdjustmentInvalid",
            Code::AttributesInvalid => "AttributesInvalid",
            Code::TotalNegative => "TotalNegative",
            Code::TotalTooLarge => "TotalTooLarge",
            Code::Held => "Held",
            Code::NotHeld => "NotHeld",
            Code::NotReady => "NotReady",
            Code::NotOnCommand => "NotOnCommand",
            Code::Shipped => "Shipped",
            Code::Cancelling => "Cancelling",
            Code::NotPaid => "NotPaid",
            Code::AmountNotPositive => "AmountNotPositive",
            Code::AmountTooLarge => "AmountTooLarge",
            Code::LinesInvalid => "LinesInvalid",
            Code::ReturnUnknown => "ReturnUnknown",
            Code::NotCompleted => "NotCompleted",
            Code::NotStuck => "NotStuck",
            Code::OtherStep => "OtherStep",
            Code::OutcomeUnknown => "OutcomeUnknown",
            Code::TooManyChanges => "TooManyChanges",
            Code::NotOurs => "NotOurs",
            Code::NotAwaited => "NotAwaited",
            Code::NotRepeatable => "NotRepeatable",
        }
    }

    /// The nearest that the first version of `OrderRejected` has a name for.
    const fn nearest(self) -> RejectionCode {
        match self {
            Code::Plain(code) => code,
            Code::TotalNegative => RejectionCode::PriceNegative,
            Code::TotalTooLarge | Code::AmountTooLarge => RejectionCode::AmountOverflow,
            Code::AmountNotPositive => RejectionCode::QuantityNotPositive,
            Code::Held | Code::Shipped | Code::Cancelling => RejectionCode::TooLate,
            Code::TermsUnknown
            | Code::TokenIsDigits
            | Code::TextLength
            | Code::AdjustmentInvalid
            | Code::AttributesInvalid
            | Code::NotHeld
            | Code::NotReady
            | Code::NotOnCommand
            | Code::NotPaid
            | Code::LinesInvalid
            | Code::ReturnUnknown
            | Code::NotCompleted
            | Code::NotStuck
            | Code::OtherStep
            | Code::OutcomeUnknown
            | Code::TooManyChanges
            | Code::NotOurs
            | Code::NotAwaited
            | Code::NotRepeatable => RejectionCode::NotSupported,
        }
    }

    fn beside_nearest(self) -> Option<String> {
        if matches!(self, Code::Plain(_)) { None } else { Some(self.as_str().to_owned()) }
    }
}

/// A mistake in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) code: Code,
    pub(super) detail: String,
}

impl Mistake {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Mistake { code, detail: detail.into() }
    }

    pub(super) fn plain(code: RejectionCode, detail: impl Into<String>) -> Self {
        Mistake::new(Code::Plain(code), detail)
    }
}

/// Which command is refused.
pub(super) enum Refused<'a> {
    /// One that the first version of `OrderRejected` has a name for, with its id where it has one.
    Named(OrderCommandName, Option<&'a CommandId>),
    /// Another one.
    Other(&'static str, &'a CommandId),
}

impl<'a> Refused<'a> {
    pub(super) fn of(command: &'a OrderCommand) -> Self {
        let name = command.name();
        match (command, OrderCommandName::parse(name), command.command_id()) {
            (OrderCommand::PlaceOrder(_), _, _) => Refused::Named(OrderCommandName::PlaceOrder, None),
            (_, Some(named), id) => Refused::Named(named, id),
            (_, None, Some(id)) => Refused::Other(name, id),
            // Only `PlaceOrder` has no id.
            (_, None, None) => Refused::Named(OrderCommandName::PlaceOrder, None),
        }
    }
}

/// The command is refused, for these reasons, at most `MAX_REASONS` of them.
pub(super) fn refuse(
    order_id: &OrderId,
    refused: Refused<'_>,
    mistakes: Vec<Mistake>,
    now: Time,
) -> Decision<OrderEvent> {
    let order_id = order_id.clone();
    let mistakes = mistakes.into_iter().take(limits::MAX_REASONS);
    match refused {
        Refused::Named(command, command_id) => {
            let rejection = |Mistake { code, detail }| Rejection {
                code: code.nearest(),
                detail: limits::detail(detail),
                reason_code: code.beside_nearest(),
            };
            let reasons = mistakes.map(rejection).collect();
            Decision::rejected(OrderRejected { order_id, at: now, command, command_id: command_id.cloned(), reasons })
        }
        Refused::Other(command, command_id) => {
            let refusal = |Mistake { code, detail }| Refusal {
                reason_code: code.as_str().to_owned(),
                detail: limits::detail(detail),
            };
            let (command, command_id) = (command.to_owned(), command_id.clone());
            let reasons = mistakes.map(refusal).collect();
            Decision::rejected(OrderCommandRefused { order_id, at: now, command, command_id, reasons })
        }
    }
}
