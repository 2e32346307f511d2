//! An amount in the units of a Stripe-compatible provider. Ours are minor units by ISO 4217; its differ for some currencies.
//!
//! After <https://docs.stripe.com/currencies>, "Zero-decimal", "Three-decimal" and "Special cases", as read in November 2026:
//! - MGA has hundredths by ISO 4217 and none at the provider;
//! - ISK has none by ISO 4217, and is sent in hundredths that have to be 00;
//! - BHD, JOD, KWD, OMR and TND have thousandths, of which the last digit has to be 0;
//! - UGX stands under "zero-decimal", and under "special cases" with hundredths. Of two statements one is wrong by a factor of
//!   hundred, so nothing is sent in it; and IQD and LYD, which have thousandths by ISO 4217, are not on the page.
//!
//! HUF and TWD are special for payouts only.

/// An amount that the provider cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// What the provider's units would be is not known.
    #[error("the provider's units of {0} are not known for certain, so nothing is charged in it")]
    Currency(String),
    /// It is finer than the provider can take.
    #[error(
        "{amount_minor} minor units of {currency} are finer than the provider takes: a multiple of {multiple_of} is needed"
    )]
    TooFine {
        /// ISO 4217 code.
        currency: String,
        /// As it was asked for.
        amount_minor: i64,
        /// Of what it should be a multiple.
        multiple_of: i64,
    },
    /// It has no place in the provider's units.
    #[error("the amount is too large")]
    TooLarge,
}

/// How one of our minor units becomes the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Units {
    Same,
    /// The same, but only multiples of ten.
    InTens,
    /// A hundred of the provider's each.
    HundredEach,
    /// A hundredth of the provider's each.
    HundredthEach,
    Unknown,
}

fn units(currency: &str) -> Units {
    match currency {
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => Units::InTens,
        "ISK" => Units::HundredEach,
        "MGA" => Units::HundredthEach,
        "UGX" | "IQD" | "LYD" => Units::Unknown,
        // Hundredths, and the zero-decimal BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF, are so on both sides.
        _ => Units::Same,
    }
}

/// Our minor units in the provider's.
///
/// # Errors
/// The provider cannot take this amount exactly.
pub fn to_provider(currency: &str, amount_minor: i64) -> Result<i64, AmountError> {
    let multiple = |of: i64| match amount_minor % of {
        0 => Ok(amount_minor),
        _ => Err(AmountError::TooFine { currency: currency.to_owned(), amount_minor, multiple_of: of }),
    };
    match units(currency) {
        Units::Same => Ok(amount_minor),
        Units::InTens => multiple(10),
        Units::HundredEach => amount_minor.checked_mul(100).ok_or(AmountError::TooLarge),
        Units::HundredthEach => multiple(100).map(|amount| amount / 100),
        Units::Unknown => Err(AmountError::Currency(currency.to_owned())),
    }
}

/// The provider's units in ours; for statements and reconciliation.
///
/// # Errors
/// It is no whole number of our minor units, or the currency's units are not known.
pub fn of_provider(currency: &str, amount: i64) -> Result<i64, AmountError> {
    match units(currency) {
        Units::Same | Units::InTens => Ok(amount),
        Units::HundredEach if amount % 100 == 0 => Ok(amount / 100),
        Units::HundredEach => {
            Err(AmountError::TooFine { currency: currency.to_owned(), amount_minor: amount, multiple_of: 100 })
        }
        Units::HundredthEach => amount.checked_mul(100).ok_or(AmountError::TooLarge),
        Units::Unknown => Err(AmountError::Currency(currency.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_follow_the_provider_s_table() {
        for (currency, ours, theirs) in [
            ("EUR", 1_050, 1_050),
            ("JPY", 500, 500),
            ("XOF", 500, 500),
            ("KWD", 5_120, 5_120),
            ("ISK", 5, 500),
            ("MGA", 500, 5),
            ("HUF", 1_045, 1_045),
            ("TWD", 80_045, 80_045),
        ] {
            assert_eq!(to_provider(currency, ours), Ok(theirs), "{currency}");
            assert_eq!(of_provider(currency, theirs), Ok(ours), "{currency}");
        }
    }

    #[test]
    fn what_the_provider_cannot_take_exactly_is_not_rounded() {
        for (currency, ours) in [("KWD", 5_124), ("MGA", 501), ("UGX", 500), ("LYD", 1_000), ("ISK", i64::MAX)] {
            assert!(to_provider(currency, ours).is_err(), "{currency}");
        }
        assert!(of_provider("ISK", 501).is_err());
    }
}
