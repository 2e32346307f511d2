//! The ledger: what a payment's events post to accounts, in pairs that sum to zero.
//!
//! Postings are derived from events alone and named by (order, version, account), so that a replay gives the same rows.

use schemas::{OrderId, PaymentEvent};
use serde::{Deserialize, Serialize};

use super::afterwards::{Dispute, DisputeStatus};
use super::state::Payment;

/// One side of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// For which order.
    pub order_id: OrderId,
    /// The payment's version that posts it.
    pub version: i64,
    /// On which account.
    pub account: Account,
    /// Minor units; positive is a debit.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: String,
}

/// An account of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Account {
    /// What the provider owes us.
    ProviderReceivable,
    /// What we have earned.
    Sales,
    /// What we have given back.
    Refunds,
    /// What is withheld from us while a bank decides.
    Disputes,
    /// What a bank has decided to be lost.
    WriteOffs,
    /// What the provider charges for disputes. What it charges for its services stands in its own statements alone.
    Fees,
}

impl Account {
    /// Every account.
    pub const ALL: [Account; 6] = [
        Account::ProviderReceivable,
        Account::Sales,
        Account::Refunds,
        Account::Disputes,
        Account::WriteOffs,
        Account::Fees,
    ];

    /// The account's name, for a column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Account::ProviderReceivable => "provider_receivable",
            Account::Sales => "sales",
            Account::Refunds => "refunds",
            Account::Disputes => "disputes",
            Account::WriteOffs => "write_offs",
            Account::Fees => "fees",
        }
    }

    /// The account of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Account::ALL.into_iter().find(|one| one.as_str() == name)
    }
}

/// What the event posts, given the payment after it, and what was said of its dispute before.
pub(super) fn postings(disputed: Option<&Dispute>, after: &Payment, event: &PaymentEvent) -> Vec<Posting> {
    let Some(authorization) = &after.authorization else { return Vec::new() };
    let (currency, sides) = match event {
        PaymentEvent::PaymentCaptured(_) => {
            let amount = authorization.amount_minor;
            (&authorization.currency, moved(Account::Sales, Account::ProviderReceivable, amount))
        }
        PaymentEvent::PaymentRefunded(event) => {
            (&authorization.currency, moved(Account::ProviderReceivable, Account::Refunds, event.amount_minor))
        }
        PaymentEvent::PaymentRefundReversed(event) => {
            (&authorization.currency, moved(Account::Refunds, Account::ProviderReceivable, event.amount_minor))
        }
        PaymentEvent::PaymentDisputed(event) => {
            let now = after.dispute(&event.dispute_id);
            let sides = withheld(now).into_iter().chain(withheld(disputed).map(|(on, amount)| (on, -amount)));
            (&event.currency, sides.collect())
        }
        // An authorization holds money; only a capture, a refund and a dispute move it. Of a refund of which nobody knows the
        // provider's statement tells, and a person.
        PaymentEvent::PaymentActionRequired(_)
        | PaymentEvent::PaymentAuthorized(_)
        | PaymentEvent::PaymentDeclined(_)
        | PaymentEvent::PaymentCaptureFailed(_)
        | PaymentEvent::PaymentVoided(_)
        | PaymentEvent::PaymentStuck(_)
        | PaymentEvent::PaymentRefundFailed(_) => return Vec::new(),
    };
    let posting = |account, amount_minor| Posting {
        order_id: after.order_id.clone(),
        version: after.version,
        account,
        amount_minor,
        currency: currency.clone(),
    };
    let sum = |account| sides.iter().filter(|(on, _)| *on == account).map(|(_, amount)| *amount).sum::<i128>();
    let sums = Account::ALL.into_iter().map(|account| (account, i64::try_from(sum(account)).unwrap_or(i64::MAX)));
    sums.filter(|(_, amount)| *amount != 0).map(|(account, amount)| posting(account, amount)).collect()
}

/// Sides of bookings: an account, and how much, where positive is a debit.
type Sides = Vec<(Account, i128)>;

fn moved(from: Account, to: Account, amount_minor: i64) -> Sides {
    vec![(to, i128::from(amount_minor)), (from, -i128::from(amount_minor))]
}

/// All that is booked of a dispute as it stands; what is posted of an event is what that differs from before.
fn withheld(dispute: Option<&Dispute>) -> [(Account, i128); 4] {
    let amount = dispute.map_or(0, |dispute| i128::from(dispute.amount_minor));
    let fee = dispute.map_or(0, |dispute| i128::from(dispute.fee_minor));
    let (disputed, lost) = match dispute.map(Dispute::standing) {
        Some(DisputeStatus::Opened) => (amount, 0),
        Some(DisputeStatus::Lost) => (0, amount),
        Some(DisputeStatus::Won) | None => (0, 0),
    };
    [
        (Account::Disputes, disputed),
        (Account::WriteOffs, lost),
        (Account::Fees, fee),
        (Account::ProviderReceivable, -(disputed + lost + fee)),
    ]
}
