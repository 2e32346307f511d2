//! The provider's balance transactions held against the ledger, order by order.
//!
//! The ledger says what the provider owes us for an order, and why: taken, given back, withheld for disputes, charged for them.
//! The provider's file says the same of its own accord. What it charges for its services and pays out to a bank is no order's,
//! and no difference: it is counted and told.
//!
//! Deliberately absent: any repair. Whoever runs it decides what follows.

mod csv;
mod statement;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

use domain::charge::Account;
use futures_util::TryStreamExt as _;
use grammar::{Table, counted, money};
use schemas::ServiceName;
use serde::Serialize;

use crate::error::ReplayError;
use crate::rows::{PaymentRow, PostingRow};
use crate::snapshot::{ServiceTables, Session};
use statement::{Kind, Line};

/// What money was moved for: the reasons that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// Taken from the customer.
    Taken,
    /// Given back.
    GivenBack,
    /// Withheld for disputes, or lost to them.
    Disputed,
    /// Charged for disputes.
    DisputeFees,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Reason::Taken => "taken",
            Reason::GivenBack => "given back",
            Reason::Disputed => "disputed",
            Reason::DisputeFees => "dispute fees",
        }
    }

    /// What an account's debits are; of what is owed all others are the other side.
    const fn of(account: Account) -> Option<Reason> {
        match account {
            Account::ProviderReceivable => None,
            Account::Sales => Some(Reason::Taken),
            Account::Refunds => Some(Reason::GivenBack),
            Account::Disputes | Account::WriteOffs => Some(Reason::Disputed),
            Account::Fees => Some(Reason::DisputeFees),
        }
    }
}

/// Sums by order, currency and reason, in minor units: above 0 where the provider owes us more for it.
type Sums = BTreeMap<(String, String, Reason), i128>;

/// A difference: what one side says of an order and the other does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// Of which order; the provider's name for a line of which no order is known.
    order_id: String,
    reason: Reason,
    currency: String,
    provider_minor: i64,
    ledger_minor: i64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Reconciliation {
    lines: usize,
    orders: usize,
    differences: Vec<Difference>,
    /// What the provider has charged for its services, by currency, in minor units; no order's.
    charged_minor: BTreeMap<String, i64>,
    /// Lines that are no order's, as payouts, by their kind.
    beside: BTreeMap<String, usize>,
}

impl Reconciliation {
    pub(crate) fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Hold the file against the ledger. `listed_only`: orders that the file does not name are none of its business, as where it is
/// of a part of the time.
pub(crate) async fn reconcile(
    file: &Path,
    tables: &ServiceTables,
    listed_only: bool,
) -> Result<Reconciliation, ReplayError> {
    let lines = statement::read(file)?;
    let mut session = Session::connect(ServiceName::Payment, tables).await?;
    session.freeze().await?;
    let orders = orders_of(&session, &lines).await?;
    let ledger = booked(&session).await?;
    session.close().await;
    Ok(compare(&lines, &orders, ledger, listed_only))
}

/// The orders of the authorizations that the file names by the provider's own names alone.
async fn orders_of(session: &Session, lines: &[Line]) -> Result<HashMap<String, String>, ReplayError> {
    let wanted: BTreeSet<&str> =
        lines.iter().filter(|line| line.order_id.is_none()).filter_map(|line| line.payment.as_deref()).collect();
    let mut orders = HashMap::new();
    let mut batches = Box::pin(session.batches::<PaymentRow>().await?);
    while let Some(rows) = batches.try_next().await? {
        for row in rows {
            let known = row.authorization_reference.filter(|reference| wanted.contains(reference.as_str()));
            orders.extend(known.map(|reference| (reference, row.order_id)));
        }
    }
    Ok(orders)
}

async fn booked(session: &Session) -> Result<Sums, ReplayError> {
    let mut sums = Sums::new();
    let mut batches = Box::pin(session.batches::<PostingRow>().await?);
    while let Some(rows) = batches.try_next().await? {
        for row in rows {
            if let Some(reason) = Account::parse(&row.account).and_then(Reason::of) {
                *sums.entry((row.order_id, row.currency, reason)).or_default() -= i128::from(row.amount_minor);
            }
        }
    }
    Ok(sums)
}

fn compare(lines: &[Line], orders: &HashMap<String, String>, ledger: Sums, listed_only: bool) -> Reconciliation {
    let mut found = Reconciliation { lines: lines.len(), ..Reconciliation::default() };
    let mut provider = Sums::new();
    let mut charged: BTreeMap<&str, i128> = BTreeMap::new();
    for line in lines {
        let reason = match line.kind {
            Kind::Charge => Reason::Taken,
            Kind::Refund => Reason::GivenBack,
            Kind::Dispute => Reason::Disputed,
            Kind::Other => {
                *found.beside.entry(line.category.clone()).or_default() += 1;
                continue;
            }
        };
        let known = line.order_id.clone().or_else(|| orders.get(line.payment.as_ref()?).cloned());
        let order_id = known.unwrap_or_else(|| format!("no order is known of {}", line.id));
        let mut add = |reason, amount: i64| {
            let key = (order_id.clone(), line.currency.clone(), reason);
            *provider.entry(key).or_default() += i128::from(amount);
        };
        add(reason, line.amount_minor);
        match line.kind {
            // A fee is what the provider keeps.
            Kind::Dispute => add(Reason::DisputeFees, line.fee_minor.saturating_neg()),
            Kind::Charge | Kind::Refund | Kind::Other => {
                *charged.entry(&line.currency).or_default() += i128::from(line.fee_minor);
            }
        }
    }
    let listed: BTreeSet<String> = provider.keys().map(|(order_id, _, _)| order_id.clone()).collect();
    let booked =
        ledger.keys().map(|(order_id, _, _)| order_id).filter(|order_id| !listed_only || listed.contains(*order_id));
    found.orders = listed.iter().chain(booked).collect::<BTreeSet<_>>().len();
    let keys: BTreeSet<_> = provider.keys().chain(ledger.keys()).collect();
    for key @ (order_id, currency, reason) in keys {
        let of = |sums: &Sums| sums.get(key).copied().unwrap_or_default();
        let is_meant = !listed_only || listed.contains(order_id);
        if is_meant && of(&provider) != of(&ledger) {
            found.differences.push(Difference {
                order_id: order_id.clone(),
                reason: *reason,
                currency: currency.clone(),
                provider_minor: minor(of(&provider)),
                ledger_minor: minor(of(&ledger)),
            });
        }
    }
    found.charged_minor = charged.into_iter().map(|(currency, sum)| (currency.to_owned(), minor(sum))).collect();
    found
}

/// A sum of amounts that each fit; one that does not is shown as the largest.
fn minor(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

impl Display for Reconciliation {
    /// Several lines, the last one with its end.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of the provider, {}",
            counted(self.lines as u64, "line"),
            counted(self.orders as u64, "order")
        )?;
        for (currency, minor) in &self.charged_minor {
            writeln!(f, "{} charged for its services, which stand in no order's ledger", money(*minor, currency))?;
        }
        for (kind, lines) in &self.beside {
            writeln!(f, "{} of {kind}, which are no order's", counted(*lines as u64, "line"))?;
        }
        if self.is_clean() {
            return writeln!(f, "\nThe ledger and the provider say the same.");
        }
        writeln!(f, "\n{}:", counted(self.differences.len() as u64, "difference"))?;
        let mut table = Table::new(["order", "what", "provider", "ledger", "difference"]);
        for one in &self.differences {
            let difference = one.provider_minor.saturating_sub(one.ledger_minor);
            let amounts = [one.provider_minor, one.ledger_minor, difference].map(|amount| money(amount, &one.currency));
            table.row([one.order_id.clone(), one.reason.as_str().to_owned()].into_iter().chain(amounts));
        }
        f.write_str(&table.text(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(rows: &[(&str, Account, i128)]) -> Sums {
        let of = |(order, account, amount): &(&str, Account, i128)| {
            Reason::of(*account).map(|reason| (((*order).to_owned(), "EUR".to_owned(), reason), -amount))
        };
        rows.iter().filter_map(of).collect()
    }

    fn lines(text: &str) -> Vec<Line> {
        statement::parse(text).unwrap()
    }

    /// Two orders: one paid and partly refunded, one disputed.
    const ITEMS: &str = concat!(
        r#"{"id":"txn_1","amount":1000,"fee":59,"currency":"eur","type":"charge","source":{"id":"ch_1","metadata":{"order_id":"o-1"}}}"#,
        "\n",
        r#"{"id":"txn_2","amount":-300,"fee":0,"currency":"eur","type":"refund","source":{"id":"re_1","payment_intent":"pi_1"}}"#,
        "\n\n",
        r#"{"id":"txn_3","amount":500,"fee":44,"currency":"eur","type":"charge","source":{"id":"ch_2","metadata":{"order_id":"o-2"}}}"#,
        "\n",
        r#"{"id":"txn_4","amount":-500,"fee":1500,"currency":"eur","type":"adjustment","reporting_category":"dispute","source":{"id":"dp_1","payment_intent":"pi_2"}}"#,
        "\n",
        r#"{"id":"txn_5","amount":-9000,"fee":0,"currency":"eur","type":"payout","source":"po_1"}"#,
        "\n",
    );

    fn same() -> Vec<(&'static str, Account, i128)> {
        vec![
            ("o-1", Account::Sales, -1000),
            ("o-1", Account::Refunds, 300),
            ("o-1", Account::ProviderReceivable, 700),
            ("o-2", Account::Sales, -500),
            ("o-2", Account::Disputes, 500),
            ("o-2", Account::Fees, 1500),
        ]
    }

    fn orders() -> HashMap<String, String> {
        HashMap::from([("pi_1".into(), "o-1".into()), ("pi_2".into(), "o-2".into())])
    }

    #[test]
    fn a_provider_that_says_what_the_ledger_says_differs_in_nothing() {
        let found = compare(&lines(ITEMS), &orders(), ledger(&same()), false);
        assert!(found.is_clean(), "{found}");
        assert_eq!((found.lines, found.orders), (5, 2));
        assert_eq!(found.charged_minor, BTreeMap::from([("EUR".to_owned(), 103)]));
        assert_eq!(found.beside, BTreeMap::from([("payout".to_owned(), 1)]));
    }

    #[test]
    fn every_difference_is_told_by_order() {
        let mut other = same();
        (other[1].2, other[5].2) = (200, 0);
        other.push(("o-3", Account::Sales, -77));
        let mut found = compare(&lines(ITEMS), &orders(), ledger(&other), false);
        let told: Vec<_> = found
            .differences
            .drain(..)
            .map(|one| (one.order_id, one.reason.as_str(), one.provider_minor, one.ledger_minor))
            .collect();
        let expected = [("o-1", "given back", -300, -200), ("o-2", "dispute fees", -1500, 0), ("o-3", "taken", 0, 77)];
        assert_eq!(told, expected.map(|(order, what, provider, ledger)| (order.to_owned(), what, provider, ledger)));
        let listed = compare(&lines(ITEMS), &orders(), ledger(&other), true);
        assert_eq!(listed.differences.len(), 2, "an order that the file does not name");
        assert!(listed.to_string().contains("EUR -3.00"), "{listed}");
        // Without the names nobody knows whose these are.
        let found = compare(&lines(ITEMS), &HashMap::new(), ledger(&same()), false);
        assert!(found.differences.iter().any(|one| one.order_id == "no order is known of txn_2"), "{found}");
    }

    #[test]
    fn csv_says_the_same_in_major_units() {
        let text = "balance_transaction_id,created,gross,fee,net,currency,reporting_category,payment_intent_id,payment_metadata[order_id]\r\n\
                    txn_1,2026-11-30,10.00,0.59,9.41,eur,charge,pi_1,o-1\r\n\
                    txn_2,2026-11-30,-3.00,0.00,-3.00,eur,refund,pi_1,\r\n\
                    txn_3,2026-11-30,5.00,0.44,4.56,eur,charge,pi_2,\"o-2\"\r\n\
                    txn_4,2026-11-30,-5.00,15.00,-20.00,eur,dispute,pi_2,\r\n\
                    txn_5,2026-11-30,-90.00,0.00,-90.00,eur,payout,,\r\n";
        let found = compare(&lines(text), &orders(), ledger(&same()), false);
        assert!(found.is_clean(), "{found}");
        assert_eq!(found.charged_minor, BTreeMap::from([("EUR".to_owned(), 103)]));
    }
}
