//! The steps of a saga: what an order waits for a reply to.

use schemas::Awaiting;
use serde::{Deserialize, Serialize};

/// A step whose reply is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// `ReserveStock`.
    StockReservation,
    /// `AuthorizePayment`.
    PaymentAuthorization,
    /// `CapturePayment`.
    PaymentCapture,
    /// `CommitStock`.
    StockCommit,
    /// `VoidPayment`; the stock is released after it.
    PaymentVoid,
    /// `RefundPayment` of all that is left; the stock is released after it.
    PaymentRefund,
    /// `ReleaseStock`.
    StockRelease,
}

impl Step {
    /// Every step, the way forward first.
    pub const ALL: [Step; 7] = [
        Step::StockReservation,
        Step::PaymentAuthorization,
        Step::PaymentCapture,
        Step::StockCommit,
        Step::PaymentVoid,
        Step::PaymentRefund,
        Step::StockRelease,
    ];

    /// The step's name, for a column, a label, and the field `step` of messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Step::StockReservation => "StockReservation",
            Step::PaymentAuthorization => "PaymentAuthorization",
            Step::PaymentCapture => "PaymentCapture",
            Step::StockCommit => "StockCommit",
            Step::PaymentVoid => "PaymentVoid",
            Step::PaymentRefund => "PaymentRefund",
            Step::StockRelease => "StockRelease",
        }
    }

    /// The step of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Step::ALL.into_iter().find(|step| step.as_str() == name)
    }

    /// What the first version of the events has as its nearest name.
    pub const fn awaiting(self) -> Awaiting {
        match self {
            Step::StockReservation => Awaiting::StockReservation,
            Step::PaymentAuthorization => Awaiting::PaymentAuthorization,
            Step::PaymentCapture => Awaiting::PaymentCapture,
            Step::StockCommit => Awaiting::StockCommit,
            Step::PaymentVoid | Step::PaymentRefund => Awaiting::PaymentVoid,
            Step::StockRelease => Awaiting::StockRelease,
        }
    }

    /// The name that an event carries beside its `awaiting`, where that is not exact.
    pub(super) fn beside_awaiting(self) -> Option<String> {
        (self.awaiting().as_str() != self.as_str()).then(|| self.as_str().to_owned())
    }

    /// The step of an event. A name beside `awaiting` that this version does not know leaves the nearest one.
    pub fn of(awaiting: Awaiting, beside: Option<&str>) -> Self {
        let nearest = match awaiting {
            Awaiting::StockReservation => Step::StockReservation,
            Awaiting::PaymentAuthorization => Step::PaymentAuthorization,
            Awaiting::PaymentCapture => Step::PaymentCapture,
            Awaiting::StockCommit => Step::StockCommit,
            Awaiting::PaymentVoid => Step::PaymentVoid,
            Awaiting::StockRelease => Step::StockRelease,
        };
        beside.and_then(Step::parse).unwrap_or(nearest)
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
