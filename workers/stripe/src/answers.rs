//! Which of the provider's answers are definitive, and which may hide an effect: one table, in the code and in `docs/payments.md`.
//!
//! The first row that fits counts. After <https://docs.stripe.com/error-low-level>, <https://docs.stripe.com/error-codes> and
//! <https://docs.stripe.com/api/idempotent_requests>: the provider keeps the first answer under a key, an error 500 too, and gives it
//! again; it keeps nothing of a request whose parameters were wrong or that met another one with its key.

use std::ops::RangeInclusive;

/// What an answer says of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What became of it stands in the object that came back.
    AsTheObjectSays,
    /// Nothing was done, and nothing will be.
    Refused,
    /// Perhaps it was done before, by us: the object is looked at, and where that settles nothing, nothing is known.
    LookedAt,
    /// Nothing is known.
    Unknown,
    /// Nothing was done; later it may be, under the same key.
    RetryLater,
    /// The same, and somebody has to mend something.
    RetryLaterLoudly,
}

impl Verdict {
    /// What it is called in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::AsTheObjectSays => "as the object says",
            Verdict::Refused => "refused",
            Verdict::LookedAt => "looked at",
            Verdict::Unknown => "unknown",
            Verdict::RetryLater => "retry later",
            Verdict::RetryLaterLoudly => "retry later, and a warning",
        }
    }

    /// The same as a label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Verdict::AsTheObjectSays => "object",
            Verdict::Refused => "refused",
            Verdict::LookedAt => "looked_at",
            Verdict::Unknown => "unknown",
            Verdict::RetryLater => "retry_later",
            Verdict::RetryLaterLoudly => "retry_later_loudly",
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came<'a> {
    /// It was not sent: no connection.
    NotSent,
    /// It was or may have been sent, and no whole answer came.
    Lost,
    /// An answer.
    Status {
        /// HTTP's.
        status: u16,
        /// Whether it is the answer to an earlier request with this key.
        is_replayed: bool,
        /// What its body says of an error.
        error: ErrorNames<'a>,
    },
}

impl Came<'_> {
    /// Whether the provider is in trouble: so many of these in a row open the breaker. An error that is given again is of another hour.
    pub(crate) const fn is_trouble(self) -> bool {
        match self {
            Came::NotSent | Came::Lost => true,
            Came::Status { status, is_replayed, .. } => !is_replayed && status >= 500,
        }
    }
}

/// The names that the provider gives an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorNames<'a> {
    /// `type`, such as `card_error`.
    pub kind: Option<&'a str>,
    /// `code`, such as `card_declined`.
    pub code: Option<&'a str>,
    /// `param`, such as `payment_method`.
    pub param: Option<&'a str>,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What came.
    pub came: Kind,
    /// What its error is called: its `type`, its `code`, or `code:param`; whatever it is called where there is none.
    pub called: &'static [&'static str],
    /// What it says of the effect.
    pub verdict: Verdict,
    /// Why.
    pub why: &'static str,
}

/// The kinds of what can come of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Not sent.
    NotSent,
    /// Sent, perhaps, without an answer.
    Lost,
    /// An answer with one of these statuses.
    Status(RangeInclusive<u16>),
    /// The same, given again under the key.
    Replayed(RangeInclusive<u16>),
}

/// Codes of an answer 400 or 402 after which nothing was done and nothing will be.
const REFUSALS: &[&str] = &[
    "amount_too_large",
    "amount_too_small",
    "balance_insufficient",
    "capture_charge_authorization_expired",
    "capture_unauthorized_payment",
    "card_error",
    "charge_disputed",
    "charge_expired_for_capture",
    "country_unsupported",
    "currency_not_supported",
    "expired_card",
    "invalid_card_type",
    "payment_intent_authentication_failure",
    "payment_intent_incompatible_payment_method",
    "payment_intent_payment_attempt_expired",
    "payment_method_currency_mismatch",
    "payment_method_invalid_parameter",
    "payment_method_not_available",
    "payment_method_unactivated",
    "payment_method_unexpected_state",
    "payment_method_unsupported_type",
    "refund_disputed_payment",
    "resource_missing:payment_method",
    "testmode_charges_only",
    "token_already_used",
];

/// Codes of an answer 400 that our own earlier effect can be behind.
const OWN_EFFECTS: &[&str] = &[
    "charge_already_captured",
    "charge_already_refunded",
    "intent_invalid_state",
    "payment_intent_unexpected_state",
    "payment_intent_action_required",
];

/// The table.
pub const TABLE: [Row; 15] = [
    Row {
        came: Kind::NotSent,
        called: &[],
        verdict: Verdict::RetryLater,
        why: "no connection, no name, no TLS, a time-out before the request was sent: nothing can have been done",
    },
    Row {
        came: Kind::Lost,
        called: &[],
        verdict: Verdict::Unknown,
        why: "a time-out or an end of the connection after the request may have been sent",
    },
    Row {
        came: Kind::Status(200..=299),
        called: &[],
        verdict: Verdict::AsTheObjectSays,
        why: "its `status` says what became of it; an answer that is given again is old, and the object is looked at now",
    },
    Row {
        came: Kind::Status(400..=404),
        called: OWN_EFFECTS,
        verdict: Verdict::LookedAt,
        why: "the state that is in the way may be the effect of this very request, sent before",
    },
    Row {
        came: Kind::Status(400..=400),
        called: &["idempotency_error"],
        verdict: Verdict::Unknown,
        why: "the key was used with other parameters: what was done then is not known",
    },
    Row {
        came: Kind::Status(400..=404),
        called: REFUSALS,
        verdict: Verdict::Refused,
        why: "the card, the means of payment or the amount is refused, or the time for it is over",
    },
    Row {
        came: Kind::Status(401..=401),
        called: &[],
        verdict: Verdict::RetryLaterLoudly,
        why: "the account's key is wrong: nothing was done",
    },
    Row {
        came: Kind::Status(403..=403),
        called: &[],
        verdict: Verdict::RetryLaterLoudly,
        why: "the account's key lacks the right: nothing was done",
    },
    Row {
        came: Kind::Status(404..=404),
        called: &["resource_missing"],
        verdict: Verdict::RetryLaterLoudly,
        why: "the account does not know the payment: its key may be another account's. Nothing was done",
    },
    Row {
        came: Kind::Status(409..=409),
        called: &[],
        verdict: Verdict::RetryLater,
        why: "`idempotency_key_in_use`, `lock_timeout`: the key or the object is being worked on",
    },
    Row {
        came: Kind::Status(429..=429),
        called: &[],
        verdict: Verdict::RetryLater,
        why: "too many requests, or `lock_timeout`; not before `Retry-After`, for the whole account",
    },
    Row {
        came: Kind::Replayed(500..=599),
        called: &[],
        verdict: Verdict::LookedAt,
        why: "the same error under the same key for a day: only a look can tell",
    },
    Row {
        came: Kind::Status(500..=599),
        called: &[],
        verdict: Verdict::Unknown,
        why: "an error of the provider's own, during or after the effect",
    },
    Row {
        came: Kind::Status(400..=499),
        called: &[],
        verdict: Verdict::Unknown,
        why: "any other refusal: what is not in this table is not taken for certain",
    },
    Row {
        came: Kind::Status(0..=u16::MAX),
        called: &[],
        verdict: Verdict::Unknown,
        why: "nothing that this API gives",
    },
];

/// What this says of the effect.
pub fn verdict(came: Came<'_>) -> Verdict {
    TABLE.iter().find(|row| row.fits(came)).map_or(Verdict::Unknown, |row| row.verdict)
}

impl Row {
    fn fits(&self, came: Came<'_>) -> bool {
        match (&self.came, came) {
            (Kind::NotSent, Came::NotSent) | (Kind::Lost, Came::Lost) => true,
            (Kind::Status(range), Came::Status { status, error, .. }) => range.contains(&status) && self.names(error),
            (Kind::Replayed(range), Came::Status { status, is_replayed, error }) => {
                is_replayed && range.contains(&status) && self.names(error)
            }
            (Kind::NotSent | Kind::Lost | Kind::Status(_) | Kind::Replayed(_), _) => false,
        }
    }

    fn names(&self, error: ErrorNames<'_>) -> bool {
        let ErrorNames { kind, code, param } = error;
        let is_called = |name: &&str| match name.split_once(':') {
            Some((of_code, of_param)) => code == Some(of_code) && param == Some(of_param),
            None => code == Some(*name) || kind == Some(*name),
        };
        self.called.is_empty() || self.called.iter().any(is_called)
    }

    /// As a row of the document.
    fn line(&self) -> String {
        let statuses = |range: &RangeInclusive<u16>| match (*range.start(), *range.end()) {
            (0, _) => "anything else".to_owned(),
            (from, to) if from == to => from.to_string(),
            (from, to) => format!("{from} to {to}"),
        };
        let came = match &self.came {
            Kind::NotSent => "not sent".to_owned(),
            Kind::Lost => "no answer".to_owned(),
            Kind::Status(range) => statuses(range),
            Kind::Replayed(range) => format!("{}, given again (`Idempotent-Replayed`)", statuses(range)),
        };
        let called: Vec<String> = self.called.iter().map(|name| format!("`{name}`")).collect();
        let Row { verdict, why, .. } = self;
        format!("| {came} | {} | {} | {why} |\n", called.join(", "), verdict.as_str()).replace("  ", " ")
    }
}

/// The table, for people.
pub fn document() -> String {
    let head = "| what came | `type`, `code` or `code:param` | answer | because |\n|---|---|---|---|\n";
    TABLE.iter().fold(head.to_owned(), |text, row| text + &row.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/payments.md");

    fn status(status: u16, kind: &'static str, code: &'static str) -> Came<'static> {
        let named = |name: &'static str| Some(name).filter(|name| !name.is_empty());
        let error = ErrorNames { kind: named(kind), code: named(code), param: None };
        Came::Status { status, is_replayed: false, error }
    }

    #[test]
    fn what_may_hide_an_effect_is_never_definitive() {
        for (came, wanted) in [
            (Came::NotSent, Verdict::RetryLater),
            (Came::Lost, Verdict::Unknown),
            (status(200, "", ""), Verdict::AsTheObjectSays),
            (status(402, "card_error", "card_declined"), Verdict::Refused),
            (status(402, "invalid_request_error", "something_new"), Verdict::Unknown),
            (status(400, "invalid_request_error", "amount_too_small"), Verdict::Refused),
            (status(400, "invalid_request_error", "payment_intent_unexpected_state"), Verdict::LookedAt),
            (status(400, "invalid_request_error", "charge_already_refunded"), Verdict::LookedAt),
            (status(400, "invalid_request_error", "parameter_unknown"), Verdict::Unknown),
            (status(400, "idempotency_error", ""), Verdict::Unknown),
            (status(401, "", ""), Verdict::RetryLaterLoudly),
            (status(403, "", ""), Verdict::RetryLaterLoudly),
            (status(404, "invalid_request_error", "resource_missing"), Verdict::RetryLaterLoudly),
            (status(409, "idempotency_error", "idempotency_key_in_use"), Verdict::RetryLater),
            (status(429, "", "rate_limit"), Verdict::RetryLater),
            (status(429, "", "lock_timeout"), Verdict::RetryLater),
            (status(424, "", ""), Verdict::Unknown),
            (status(500, "", ""), Verdict::Unknown),
            (status(503, "api_error", ""), Verdict::Unknown),
            (status(302, "", ""), Verdict::Unknown),
        ] {
            assert_eq!(verdict(came), wanted, "{came:?}");
        }
    }

    #[test]
    fn an_unknown_token_is_a_refusal_and_an_unknown_payment_is_not() {
        let missing = |status, param| Came::Status {
            status,
            is_replayed: false,
            error: ErrorNames { kind: None, code: Some("resource_missing"), param: Some(param) },
        };
        assert_eq!(verdict(missing(400, "payment_method")), Verdict::Refused);
        assert_eq!(verdict(missing(404, "payment_method")), Verdict::Refused);
        assert_eq!(verdict(missing(404, "intent")), Verdict::RetryLaterLoudly);
        assert_eq!(verdict(missing(400, "payment_intent")), Verdict::Unknown);
    }

    #[test]
    fn an_error_that_is_given_again_is_looked_at() {
        let again = Came::Status { status: 500, is_replayed: true, error: ErrorNames::default() };
        assert_eq!(verdict(again), Verdict::LookedAt);
    }

    /// `KEEP_SHOWN=1` writes it.
    #[test]
    fn the_document_has_this_table() {
        let (begin, end) = ("<!-- answers -->\n", "<!-- end of answers -->");
        let text = std::fs::read_to_string(DOCUMENT).unwrap();
        let (before, rest) = text.split_once(begin).unwrap();
        let (shown, after) = rest.split_once(end).unwrap();
        if std::env::var_os("KEEP_SHOWN").is_some() {
            std::fs::write(DOCUMENT, format!("{before}{begin}{}{end}{after}", document())).unwrap();
        } else {
            assert_eq!(shown, document(), "KEEP_SHOWN=1 cargo test -p stripe --lib");
        }
    }
}
