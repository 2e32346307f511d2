//! What became of an order's payment.

use schemas::{CustomerId, OrderId};

use super::{Timestamptz, Unknown, json, table};
use domain::charge::{Authorization, AuthorizationOutcome, Capture, CaptureOutcome, Payment, Stuck, Void};
use domain::provider::{Operation, PaymentMethod};

table!(
    /// An order's payment. What is authorized may come late, where it was stuck before, and again, where it was about to lapse.
    PaymentRow in "payments", key (order_id: String), guard (version) {
        changes version: i64,
        changes status: String,
        changes customer_id: Option<String>,
        changes currency: Option<String>,
        changes amount_minor: Option<i64>,
        changes authorization_version: Option<i64>,
        changes authorization_at: Option<Timestamptz>,
        changes authorization_reference: Option<String>,
        changes decline_detail: Option<String>,
        changes capture_version: Option<i64>,
        changes capture_at: Option<Timestamptz>,
        changes capture_reference: Option<String>,
        changes capture_failure: Option<String>,
        changes void_version: Option<i64>,
        changes void_at: Option<Timestamptz>,
        changes stuck_version: Option<i64>,
        changes stuck_at: Option<Timestamptz>,
        changes stuck_operation: Option<String>,
        changes stuck_detail: Option<String>,
        changes refunds: Option<String>,
        changes refunded_minor: i64,
        changes stuck_refused_attempts: Option<i32>,
        changes payment_provider: Option<String>,
        changes payment_token: Option<String>,
        changes expires_at: Option<Timestamptz>,
        changes authorization_attempt: Option<i32>,
        changes void_reason: Option<String>,
        changes disputes: Option<String>,
        changes action: Option<String>,
    }
);

impl PaymentRow {
    /// The row of a payment.
    pub fn of(payment: &Payment) -> Self {
        let authorization = payment.authorization.as_ref();
        let (authorization_reference, decline_detail) = match authorization.map(|had| &had.outcome) {
            Some(AuthorizationOutcome::Authorized { provider_reference }) => (provider_reference.clone(), None),
            Some(AuthorizationOutcome::Declined { detail }) => (None, Some(detail.clone())),
            None => (None, None),
        };
        let capture = payment.capture.as_ref();
        let (capture_reference, capture_failure) = match capture.map(|had| &had.outcome) {
            Some(CaptureOutcome::Captured { provider_reference }) => (provider_reference.clone(), None),
            Some(CaptureOutcome::Failed { detail }) => (None, Some(detail.clone())),
            None => (None, None),
        };
        let (void, stuck) = (payment.void.as_ref(), payment.stuck.as_ref());
        let (payment_provider, payment_token) = PaymentMethod::said(authorization.and_then(|had| had.method.as_ref()));
        PaymentRow {
            order_id: payment.order_id.as_str().to_owned(),
            version: payment.version,
            status: payment.status().as_str().to_owned(),
            customer_id: authorization.map(|had| had.customer_id.as_str().to_owned()),
            currency: authorization.map(|had| had.currency.clone()),
            amount_minor: authorization.map(|had| had.amount_minor),
            authorization_version: authorization.map(|had| had.version),
            authorization_at: authorization.map(|had| Timestamptz(had.at)),
            authorization_reference,
            decline_detail,
            capture_version: capture.map(|had| had.version),
            capture_at: capture.map(|had| Timestamptz(had.at)),
            capture_reference,
            capture_failure,
            void_version: void.map(|had| had.version),
            void_at: void.map(|had| Timestamptz(had.at)),
            stuck_version: stuck.map(|had| had.version),
            stuck_at: stuck.map(|had| Timestamptz(had.at)),
            stuck_operation: stuck.map(|had| had.operation.as_str().to_owned()),
            stuck_detail: stuck.map(|had| had.detail.clone()),
            refunds: json::of_list(&payment.refunds),
            refunded_minor: payment.refunded_minor(),
            stuck_refused_attempts: stuck.map(|had| had.refused_attempts),
            payment_provider,
            payment_token,
            expires_at: authorization.and_then(|had| had.expires_at).map(Timestamptz),
            authorization_attempt: authorization.map(|had| had.attempt),
            void_reason: void.and_then(|had| had.reason_code.clone()),
            disputes: json::of_list(&payment.disputes),
            action: payment.action.as_ref().map(json::of),
        }
    }

    /// The payment.
    ///
    /// # Errors
    /// A text is none that this version knows, or a column lacks that the others ask for.
    pub fn into_payment(mut self) -> Result<Payment, Unknown> {
        Ok(Payment {
            action: json::read("action", self.action.as_deref())?,
            authorization: self.take_authorization()?,
            capture: self.take_capture()?,
            void: self.take_void()?,
            stuck: self.take_stuck()?,
            refunds: json::read("refunds", self.refunds.as_deref())?.unwrap_or_default(),
            disputes: json::read("disputes", self.disputes.as_deref())?.unwrap_or_default(),
            order_id: Unknown::unless("order_id", &self.order_id, |text| OrderId::new(text).ok())?,
            version: self.version,
        })
    }

    /// Whether the amount was held at the provider at some time.
    pub fn was_authorized(&self) -> bool {
        self.authorization_version.is_some() && self.decline_detail.is_none()
    }

    /// Whether the amount was taken.
    pub fn is_captured(&self) -> bool {
        self.capture_version.is_some() && self.capture_failure.is_none()
    }

    fn take_authorization(&mut self) -> Result<Option<Authorization>, Unknown> {
        let Some(version) = self.authorization_version else { return Ok(None) };
        let customer_id = Unknown::unless_null("customer_id", self.customer_id.take())?;
        Ok(Some(Authorization {
            version,
            at: Unknown::unless_null("authorization_at", self.authorization_at)?.0,
            customer_id: Unknown::unless("customer_id", &customer_id, |text| CustomerId::new(text).ok())?,
            currency: Unknown::unless_null("currency", self.currency.take())?,
            amount_minor: Unknown::unless_null("amount_minor", self.amount_minor)?,
            outcome: match self.decline_detail.take() {
                Some(detail) => AuthorizationOutcome::Declined { detail },
                None => AuthorizationOutcome::Authorized { provider_reference: self.authorization_reference.take() },
            },
            method: PaymentMethod::of(self.payment_provider.as_deref(), self.payment_token.as_deref()),
            expires_at: self.expires_at.map(|Timestamptz(time)| time),
            // Rows of before it was counted have none.
            attempt: self.authorization_attempt.unwrap_or(1),
        }))
    }

    fn take_capture(&mut self) -> Result<Option<Capture>, Unknown> {
        let Some(version) = self.capture_version else { return Ok(None) };
        Ok(Some(Capture {
            version,
            at: Unknown::unless_null("capture_at", self.capture_at)?.0,
            outcome: match self.capture_failure.take() {
                Some(detail) => CaptureOutcome::Failed { detail },
                None => CaptureOutcome::Captured { provider_reference: self.capture_reference.take() },
            },
        }))
    }

    fn take_void(&mut self) -> Result<Option<Void>, Unknown> {
        let Some(version) = self.void_version else { return Ok(None) };
        let at = Unknown::unless_null("void_at", self.void_at)?.0;
        Ok(Some(Void { version, at, reason_code: self.void_reason.take() }))
    }

    fn take_stuck(&mut self) -> Result<Option<Stuck>, Unknown> {
        let Some(version) = self.stuck_version else { return Ok(None) };
        let operation = Unknown::unless_null("stuck_operation", self.stuck_operation.take())?;
        Ok(Some(Stuck {
            version,
            at: Unknown::unless_null("stuck_at", self.stuck_at)?.0,
            operation: Unknown::unless("stuck_operation", &operation, Operation::parse)?,
            detail: Unknown::unless_null("stuck_detail", self.stuck_detail.take())?,
            // Rows of before it was counted have none.
            refused_attempts: self.stuck_refused_attempts.unwrap_or(0),
        }))
    }
}
