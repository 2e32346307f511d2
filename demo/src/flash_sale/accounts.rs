//! Whether a sale adds up: what was there is what was sold and what is left. Pure.

use client::Level;
use grammar::grouped;

use super::books::Refusals;

/// What is known of it when it is over.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    /// Pieces that were there.
    pub(super) pieces: u32,
    /// Orders of one piece each.
    pub(super) orders: u64,
    /// Whether the provider declines nobody, so that it is known how many have to be confirmed.
    pub(super) nobody_is_declined: bool,
    /// Orders that were confirmed.
    pub(super) confirmed: u64,
    /// The level of the SKU on sale.
    pub(super) level: Level,
    /// Of the SKU on sale.
    pub(super) refusals: Refusals,
    /// Of SKUs of which there is enough.
    pub(super) refused_elsewhere: u64,
    /// Levels below zero, in words.
    pub(super) below_zero: Vec<String>,
    /// Waves of which an order has not come to its end.
    pub(super) incomplete: Vec<&'static str>,
}

impl Accounts {
    /// What is wrong; nothing where all is well.
    pub(super) fn faults(&self) -> Vec<String> {
        let Self { pieces, confirmed, refusals, .. } = self;
        let available = self.level.available();
        let mut faults: Vec<String> = self.below_zero.iter().map(|level| format!("below zero: {level}")).collect();
        let mut add = |is_wrong: bool, words: String| faults.extend(is_wrong.then_some(words));
        add(
            i128::from(*confirmed) + available != i128::from(*pieces),
            format!("{confirmed} confirmed + {available} available are not the {pieces} that were there"),
        );
        add(
            i128::from(*confirmed) != self.level.shipped,
            format!("{confirmed} orders are confirmed, and {} pieces have left", self.level.shipped),
        );
        add(refusals.lowest < 0, format!("a refusal was decided when {} pieces were available", refusals.lowest));
        add(refusals.highest > 0, format!("an order was refused although {} pieces were available", refusals.highest));
        add(
            self.refused_elsewhere > 0,
            format!("{} orders were refused of SKUs of which there is enough", self.refused_elsewhere),
        );
        let wanted = u64::from(*pieces).min(self.orders);
        add(
            self.nobody_is_declined && *confirmed != wanted,
            format!("nobody was declined, and {confirmed} orders are confirmed instead of {wanted}"),
        );
        faults.extend(self.incomplete.iter().map(|wave| format!("not every order of the wave {wave} came to its end")));
        faults
    }

    /// The same in words where all is well.
    pub(super) fn proof(&self) -> [String; 2] {
        let (confirmed, available) = (grouped(self.confirmed), self.level.available());
        let told = match self.refusals.count {
            0 => "nobody was refused".to_owned(),
            count => format!("{} refusals name what was there when they were decided: each time 0", grouped(count)),
        };
        [
            format!(
                "pieces: {confirmed} confirmed + {available} available = {} that were there",
                grouped(u64::from(self.pieces))
            ),
            format!("levels: none is or was below zero; {told}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 25 pieces, of which `available` are left.
    fn accounts(confirmed: u64, available: i128) -> Accounts {
        Accounts {
            pieces: 25,
            orders: 400,
            nobody_is_declined: false,
            confirmed,
            level: Level {
                received: i128::from(confirmed) + available,
                shipped: i128::from(confirmed),
                ..Level::default()
            },
            refusals: Refusals { count: 375, lowest: 0, highest: 0 },
            refused_elsewhere: 0,
            below_zero: Vec::new(),
            incomplete: Vec::new(),
        }
    }

    fn faulty(accounts: Accounts, words: &str) {
        let faults = accounts.faults();
        assert!(faults.iter().any(|fault| fault.contains(words)), "nothing of {words:?} in {faults:?}");
    }

    #[test]
    fn what_is_sold_and_left_is_what_was_there() {
        assert_eq!(accounts(25, 0).faults(), Vec::<String>::new());
        assert_eq!(accounts(24, 1).faults(), Vec::<String>::new());
        assert_eq!(Accounts { nobody_is_declined: true, ..accounts(25, 0) }.faults(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_named() {
        faulty(accounts(26, 0), "26 confirmed + 0 available are not the 25");
        faulty(accounts(23, 1), "23 confirmed + 1 available are not the 25");
        faulty(Accounts { nobody_is_declined: true, ..accounts(24, 1) }, "24 orders are confirmed instead of 25");
        let level = Level { received: 25, reserved: 1, shipped: 24, ..Level::default() };
        faulty(Accounts { level, ..accounts(25, 0) }, "25 orders are confirmed, and 24 pieces have left");
        let refusals = |lowest, highest| Refusals { count: 2, lowest, highest };
        faulty(Accounts { refusals: refusals(-1, 0), ..accounts(25, 0) }, "when -1 pieces");
        faulty(Accounts { refusals: refusals(0, 1), ..accounts(25, 0) }, "although 1 pieces");
        faulty(Accounts { refused_elsewhere: 1, ..accounts(25, 0) }, "there is enough");
        faulty(Accounts { below_zero: vec!["x".to_owned()], ..accounts(25, 0) }, "below zero: x");
        faulty(Accounts { incomplete: vec!["hot"], ..accounts(25, 0) }, "the wave hot");
    }
}
