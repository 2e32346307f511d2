//! A provider's balance transactions, as JSON lines of its API (in its own smallest units) or as CSV of its reports (decimals), by
//! the names of Stripe's columns.
//!
//! Only what tells whose money was moved, and why, is read. A line that lacks it, or whose amount does not fit, ends the reading:
//! a part of a statement proves nothing.

use std::path::Path;

use domain::amounts::of_provider;
use grammar::decimals;
use serde_json::Value;

use super::csv;
use crate::error::ReplayError;

/// A balance transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The provider's name for it.
    pub(super) id: String,
    /// Of which order, where it says so.
    pub(super) order_id: Option<String>,
    /// The provider's name for the authorization, where it says so.
    pub(super) payment: Option<String>,
    /// What it is.
    pub(super) kind: Kind,
    /// The same in the provider's words.
    pub(super) category: String,
    /// Above 0: to us.
    pub(super) amount_minor: i64,
    /// What the provider keeps of it, or besides.
    pub(super) fee_minor: i64,
    /// In upper case.
    pub(super) currency: String,
}

/// What money was moved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Taken from a customer.
    Charge,
    /// Given back, or come back.
    Refund,
    /// Withheld for a dispute, or no more.
    Dispute,
    /// No order's.
    Other,
}

impl Kind {
    /// Of the provider's reporting category, or its type.
    fn of(category: &str) -> Kind {
        match category {
            "charge" | "payment" | "charge_failure" | "payment_failure" | "partial_capture_reversal" => Kind::Charge,
            "refund" | "payment_refund" | "refund_failure" | "payment_failure_refund" | "partial_refund" => {
                Kind::Refund
            }
            "dispute" | "dispute_reversal" => Kind::Dispute,
            _ => Kind::Other,
        }
    }
}

/// Read a file.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, ReplayError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ReplayError::Statement { path: path.to_owned(), source })?;
    parse(&text).map_err(|reason| ReplayError::arguments(format!("{}: {reason}", path.display())))
}

/// The lines of a text: JSON where it begins with a brace, else CSV.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, String> {
    if text.trim_start().starts_with('{') { of_json(text) } else { of_csv(text) }
}

fn of_json(text: &str) -> Result<Vec<Line>, String> {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parsed = numbered.map(|(index, line)| {
        let value = serde_json::from_str::<Value>(line).map_err(|error| error.to_string());
        value.and_then(|value| of_object(&value)).map_err(|reason| format!("line {}: {reason}", index + 1))
    });
    parsed.collect()
}

fn of_object(value: &Value) -> Result<Line, String> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let currency = text(value, "currency").ok_or("it has no currency")?.to_ascii_uppercase();
    let minor = |name: &str| {
        let number = value.get(name).and_then(Value::as_i64).ok_or_else(|| format!("{name} is no whole number"))?;
        of_provider(&currency, number).map_err(|error| format!("{name}: {error}"))
    };
    let source = value.get("source").unwrap_or(&Value::Null);
    let own = |object: &Value| text(object.get("metadata").unwrap_or(&Value::Null), "order_id");
    let is_payment = text(source, "object").as_deref() == Some("payment_intent");
    let category = text(value, "reporting_category").or_else(|| text(value, "type")).ok_or("it has no type")?;
    Ok(Line {
        id: text(value, "id").ok_or("it has no id")?,
        order_id: own(source).or_else(|| own(value)).filter(|id| !id.is_empty()),
        payment: text(source, if is_payment { "id" } else { "payment_intent" }),
        kind: Kind::of(&category),
        category,
        amount_minor: minor("amount")?,
        fee_minor: minor("fee")?,
        currency,
    })
}

fn of_csv(text: &str) -> Result<Vec<Line>, String> {
    let mut records = csv::records(text).into_iter();
    let heads = records.next().ok_or("it is empty")?;
    let find = |names: &[&str]| heads.iter().position(|head| names.iter().any(|name| head.eq_ignore_ascii_case(name)));
    let needed = |names: &[&str]| find(names).ok_or_else(|| format!("no column is called {}", names.join(" or ")));
    let columns = Columns {
        id: needed(&["balance_transaction_id", "id"])?,
        amount: needed(&["gross", "amount"])?,
        fee: needed(&["fee"])?,
        currency: needed(&["currency"])?,
        category: needed(&["reporting_category", "type"])?,
        payment: find(&["payment_intent_id", "payment_intent"]),
        order_id: find(&["payment_metadata[order_id]", "order_id (metadata)", "order_id"]),
    };
    let numbered = records.enumerate();
    numbered
        .map(|(index, one)| columns.line(&one).map_err(|reason| format!("record {}: {reason}", index + 1)))
        .collect()
}

/// Where the columns are.
struct Columns {
    id: usize,
    amount: usize,
    fee: usize,
    currency: usize,
    category: usize,
    payment: Option<usize>,
    order_id: Option<usize>,
}

impl Columns {
    fn line(&self, record: &[String]) -> Result<Line, String> {
        let field = |index: usize| record.get(index).map(|text| text.trim().to_owned()).unwrap_or_default();
        let optional = |index: Option<usize>| index.map(field).filter(|text| !text.is_empty());
        let (category, currency) = (field(self.category), field(self.currency).to_ascii_uppercase());
        Ok(Line {
            id: field(self.id),
            order_id: optional(self.order_id),
            payment: optional(self.payment),
            kind: Kind::of(&category),
            category,
            amount_minor: minor(&field(self.amount), &currency)?,
            fee_minor: minor(&field(self.fee), &currency)?,
            currency,
        })
    }
}

/// A decimal as whole minor units; never rounded.
fn minor(text: &str, currency: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no amount of {currency}");
    let plain = text.replace(',', "");
    let (sign, digits) = plain.strip_prefix('-').map_or((1, plain.as_str()), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let places = decimals(currency);
    let (kept, rest) = part.split_at_checked(places).unwrap_or((part, ""));
    let is_number =
        !whole.is_empty() && [whole, part].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_number || rest.bytes().any(|byte| byte != b'0') {
        return Err(wrong());
    }
    let digits: i64 = format!("{whole}{kept:0<places$}").parse().map_err(|_| wrong())?;
    Ok(sign * digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_by_the_decimals_of_their_currency_and_never_rounded() {
        for (text, currency, expected) in [
            ("10", "EUR", 1000),
            ("-3.5", "EUR", -350),
            ("0.07", "USD", 7),
            ("-0.07", "USD", -7),
            ("1,234.50", "USD", 123_450),
            ("500", "JPY", 500),
            ("500.00", "JPY", 500),
            ("1.234", "KWD", 1234),
            ("5.00", "ISK", 5),
            ("5", "MGA", 500),
        ] {
            assert_eq!(minor(text, currency), Ok(expected), "{text} {currency}");
        }
        for (text, currency) in
            [("", "EUR"), ("x", "EUR"), ("1.005", "EUR"), ("0.5", "JPY"), ("--1", "EUR"), (".5", "EUR")]
        {
            assert!(minor(text, currency).is_err(), "{text} {currency}");
        }
    }

    #[test]
    fn the_units_of_the_api_are_the_provider_s_and_not_ours() {
        let line = |amount: i64, currency: &str| {
            parse(&format!(r#"{{"id":"t","amount":{amount},"fee":0,"currency":"{currency}","type":"charge"}}"#))
        };
        for (amount, currency, expected) in
            [(1_050, "eur", 1_050), (500, "jpy", 500), (500, "isk", 5), (5, "mga", 500), (5_120, "kwd", 5_120)]
        {
            assert_eq!(line(amount, currency).unwrap()[0].amount_minor, expected, "{currency}");
        }
        assert!(line(550, "isk").unwrap_err().starts_with("line 1: amount: "));
        assert!(line(550, "ugx").unwrap_err().contains("not known for certain"));
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        let said = |text: &str| parse(text).unwrap_err();
        assert!(said("{\"id\":\"txn_1\"}").starts_with("line 1: "));
        assert!(said("id,amount,fee,type\n").contains("currency"));
        assert_eq!(
            said("id,amount,fee,currency,type\nt,1.001,0,eur,charge\n"),
            "record 1: \"1.001\" is no amount of EUR"
        );
        assert_eq!(parse("id,amount,fee,currency,type\n").unwrap(), []);
    }
}
