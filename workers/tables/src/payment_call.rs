//! Calls to the provider that are intended or under way: a runtime table, whose rows go when their outcome is recorded.

use schemas::{CommandId, CustomerId, OrderId, Time, partitioner};

use super::{TableRow, Timestamptz, Unknown, table};
use domain::charge::Call;
use domain::provider::{Operation, PaymentMethod};

table!(
    /// A call with what caused it. It has no version; its tries say as much.
    PaymentCallRow in "payment_calls", key (order_id: String), guard (attempt, sends, look_ups) {
        once partition: i32,
        changes operation: String,
        changes attempt: i32,
        once customer_id: String,
        once currency: String,
        changes amount_minor: i64,
        changes authorization_reference: Option<String>,
        changes queued: Option<String>,
        changes opened_at: Timestamptz,
        changes unknown_since: Option<Timestamptz>,
        changes not_found_at: Option<Timestamptz>,
        changes sends: i32,
        changes look_ups: i32,
        changes due_at: Timestamptz,
        changes cause_id: Option<String>,
        changes trace_parent: Option<String>,
        changes refund_id: Option<String>,
        once payment_provider: Option<String>,
        once payment_token: Option<String>,
        changes accepted_reference: Option<String>,
    }
);

impl PaymentCallRow {
    /// The guard of a call's row.
    pub fn guard_of(call: &Call) -> <Self as TableRow>::Guard {
        [call.attempt, call.sends, call.look_ups].map(i64::from)
    }

    /// The row of a call, for topics of so many partitions, with the id and the trace of the message that caused it.
    pub fn of(call: &Call, partitions: i32, cause_id: Option<&str>, trace_parent: Option<&str>) -> Self {
        let time = |time: Option<Time>| time.map(Timestamptz);
        let (payment_provider, payment_token) = PaymentMethod::said(call.method.as_ref());
        PaymentCallRow {
            order_id: call.order_id.as_str().to_owned(),
            partition: partitioner::partition_of(call.order_id.as_str().as_bytes(), partitions),
            operation: call.operation.as_str().to_owned(),
            attempt: call.attempt,
            customer_id: call.customer_id.as_str().to_owned(),
            currency: call.currency.clone(),
            amount_minor: call.amount_minor,
            authorization_reference: call.authorization.clone(),
            queued: call.queued.map(|operation| operation.as_str().to_owned()),
            opened_at: Timestamptz(call.opened_at),
            unknown_since: time(call.unknown_since),
            not_found_at: time(call.not_found_at),
            sends: call.sends,
            look_ups: call.look_ups,
            due_at: Timestamptz(call.due_at),
            cause_id: cause_id.map(str::to_owned),
            trace_parent: trace_parent.map(str::to_owned),
            refund_id: call.refund_id.as_ref().map(|id| id.as_str().to_owned()),
            payment_provider,
            payment_token,
            accepted_reference: call.accepted.clone(),
        }
    }

    /// The call.
    ///
    /// # Errors
    /// A text is none that this version knows.
    pub fn into_call(self) -> Result<Call, Unknown> {
        let time = |time: Option<Timestamptz>| time.map(|Timestamptz(time)| time);
        let queued = self.queued.as_ref().map(|text| Unknown::unless("queued", text, Operation::parse));
        let refund_id = self.refund_id.as_ref();
        let refund_id = refund_id.map(|text| Unknown::unless("refund_id", text, |text| CommandId::new(text).ok()));
        Ok(Call {
            refund_id: refund_id.transpose()?,
            order_id: Unknown::unless("order_id", &self.order_id, |text| OrderId::new(text).ok())?,
            operation: Unknown::unless("operation", &self.operation, Operation::parse)?,
            attempt: self.attempt,
            customer_id: Unknown::unless("customer_id", &self.customer_id, |text| CustomerId::new(text).ok())?,
            currency: self.currency,
            amount_minor: self.amount_minor,
            authorization: self.authorization_reference,
            method: PaymentMethod::of(self.payment_provider.as_deref(), self.payment_token.as_deref()),
            accepted: self.accepted_reference,
            queued: queued.transpose()?,
            opened_at: self.opened_at.0,
            unknown_since: time(self.unknown_since),
            not_found_at: time(self.not_found_at),
            sends: self.sends,
            look_ups: self.look_ups,
            due_at: self.due_at.0,
        })
    }
}
