//! A provider's statement: what it did, one JSON object per line.
//!
//! It is evidence that does not come from us, for a check that no order is charged twice. The provider has no memory, so a
//! key that was sent again after a crash can stand in it twice: that is one effect. Two keys are two effects.

use schemas::OrderId;
use serde::{Deserialize, Serialize};

use crate::provider::{IdempotencyKey, ProviderRequest};

/// One effective operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// The effect's name.
    pub key: IdempotencyKey,
    /// For which order.
    pub order_id: OrderId,
    /// `authorize`, `capture`, `void` or `refund`.
    pub operation: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// How it ended.
    pub outcome: StatementOutcome,
}

/// How an operation ended at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementOutcome {
    /// It was done.
    Succeeded,
    /// It was refused for good.
    Refused,
}

impl StatementLine {
    /// That this request ended so.
    pub fn of(request: &ProviderRequest, outcome: StatementOutcome) -> Self {
        StatementLine {
            key: request.key.clone(),
            order_id: request.order_id.clone(),
            operation: request.operation.as_str().to_owned(),
            amount_minor: request.amount_minor,
            currency: request.currency.clone(),
            outcome,
        }
    }
}

/// A line is no statement line.
#[derive(Debug, thiserror::Error)]
#[error("line {number} cannot be understood: {source}")]
pub struct StatementError {
    /// Which line, from 1.
    pub number: usize,
    /// What the parser said.
    pub source: serde_json::Error,
}

/// All lines of a statement. A last line without its end is one that a crash cut off before it took effect; it is left out.
///
/// # Errors
/// A line is no statement line.
pub fn parse(text: &str) -> Result<Vec<StatementLine>, StatementError> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse =
        |(index, line)| serde_json::from_str(line).map_err(|source| StatementError { number: index + 1, source });
    complete.lines().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_was_cut_off_is_read_up_to_there_and_a_broken_one_is_named() {
        let whole = r#"{"key":"o/capture/1","order_id":"o","operation":"capture","amount_minor":1,"currency":"EUR","outcome":"succeeded"}"#;
        assert_eq!(parse(&format!("{whole}\n{{\"key\":")).unwrap().len(), 1);
        assert_eq!(parse(&format!("{whole}\nnonsense\n")).unwrap_err().number, 2);
    }
}
