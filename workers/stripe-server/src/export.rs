//! The movements of the balance as a shop gets them for its books: the API's objects, one a line, or the itemized report.
//!
//! The names of the report's columns are those of <https://docs.stripe.com/reports/report-types/balance>. The API counts in the
//! provider's smallest units, the report in whole ones with decimals.

use domain::amounts::of_provider;
use grammar::decimals;

use crate::objects::Movement;

/// The report's columns.
const HEADS: &str = "balance_transaction_id,created_utc,gross,fee,net,currency,reporting_category,payment_intent_id,payment_metadata[order_id]";

/// An object a line, with their sources whole.
pub(crate) fn as_json_lines(movements: &[Movement]) -> String {
    movements.iter().map(|movement| format!("{}\n", movement.shown(true))).collect()
}

/// The itemized report.
pub(crate) fn as_csv(movements: &[Movement]) -> String {
    let records = movements.iter().map(|movement| {
        let Movement { id, created_ms, reporting, amount, fee, currency, payment, order_id, .. } = movement;
        let [gross, kept, net] = [*amount, *fee, amount - fee].map(|amount| whole(amount, currency));
        let quoted = format!("\"{}\"", order_id.replace('"', "\"\""));
        format!("{id},{},{gross},{kept},{net},{currency},{reporting},{payment},{quoted}\r\n", created_ms / 1_000)
    });
    format!("{HEADS}\r\n{}", records.collect::<String>())
}

/// The provider's smallest units in whole ones.
fn whole(amount: i64, currency: &str) -> String {
    let currency = currency.to_ascii_uppercase();
    let minor = of_provider(&currency, amount).unwrap_or(amount);
    let places = decimals(&currency);
    let (sign, digits) = (if minor < 0 { "-" } else { "" }, format!("{:0>1$}", minor.unsigned_abs(), places + 1));
    let (units, part) = digits.split_at(digits.len() - places);
    if places == 0 { format!("{sign}{units}") } else { format!("{sign}{units}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_units_whatever_the_provider_counts_in() {
        for (amount, currency, expected) in [
            (1_050, "eur", "10.50"),
            (-7, "usd", "-0.07"),
            (500, "jpy", "500"),
            (500, "isk", "5"),
            (5, "mga", "5.00"),
            (-5_120, "kwd", "-5.120"),
        ] {
            assert_eq!(whole(amount, currency), expected, "{amount} {currency}");
        }
    }
}
