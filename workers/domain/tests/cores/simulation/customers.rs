//! Customers who have to confirm their payment before anything is held: every fourth order has one. Some do it, some refuse, some never
//! come, and some come in the moment in which the provider is asked to cancel.

use std::collections::BTreeMap;

use domain::provider::{Operation, ProviderAnswer, ProviderRequest};
use schemas::OrderId;

/// What a customer has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    Confirmed,
    Refused,
    /// The provider does not wait any more.
    Cancelled,
}

#[derive(Default)]
pub(super) struct Customers {
    done: BTreeMap<OrderId, Done>,
    is_late: bool,
}

impl Customers {
    /// What the provider answers instead, because of its customer, when it does or has done what it is asked for.
    pub(super) fn answer(&mut self, request: &ProviderRequest, answer: ProviderAnswer) -> ProviderAnswer {
        let id = &request.order_id;
        // What it has accepted it finds by its name, whoever asks.
        let accepted = request.authorization.clone().filter(|_| request.operation == Operation::Authorize);
        let answer = match (answer, accepted) {
            (ProviderAnswer::NotFound, Some(reference)) => ProviderAnswer::Succeeded { reference, expires_at: None },
            (answer, _) => answer,
        };
        let ProviderAnswer::Succeeded { reference, .. } = &answer else { return answer };
        let draw = id.as_str().bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        match request.operation {
            Operation::Authorize if draw % 4 == 0 => match self.done.entry(id.clone()).or_insert(Done::Nothing) {
                Done::Nothing => ProviderAnswer::ActionRequired { reference: reference.clone(), until: None },
                Done::Confirmed => answer,
                Done::Refused => ProviderAnswer::Refused { detail: "the customer refused".into() },
                Done::Cancelled => ProviderAnswer::Refused { detail: "cancelled".into() },
            },
            Operation::Void => match self.done.get_mut(id) {
                Some(done @ Done::Nothing) if draw % 3 == 0 => {
                    (*done, self.is_late) = (Done::Confirmed, true);
                    ProviderAnswer::Refused { detail: "it was confirmed meanwhile".into() }
                }
                Some(done) => {
                    *done = Done::Cancelled;
                    answer
                }
                None => answer,
            },
            Operation::Authorize | Operation::Capture | Operation::Refund => answer,
        }
    }

    /// Those of whom the provider waits.
    pub(super) fn awaited(&self) -> Vec<OrderId> {
        self.done.iter().filter(|(_, done)| **done == Done::Nothing).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn act(&mut self, order_id: &OrderId, confirms: bool) {
        if let Some(done @ Done::Nothing) = self.done.get_mut(order_id) {
            *done = if confirms { Done::Confirmed } else { Done::Refused };
        }
    }

    pub(super) fn sights(&self) -> impl Iterator<Item = String> {
        let seen = |sight: &str, is_seen: bool| is_seen.then(|| sight.to_owned());
        let any = |done| self.done.values().any(|one| *one == done);
        let (acted, refused) =
            (seen("customer acted", any(Done::Confirmed)), seen("customer refused", any(Done::Refused)));
        [acted, refused, seen("customer acted too late", self.is_late)].into_iter().flatten()
    }
}
