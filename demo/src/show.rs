//! What there is to see: the orders of a file, or a flash sale. Either is prepared before anything is started, so that what is
//! wrong with it costs nobody's time, is played on a stage, and ends with a page.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::error::DemoError;
use crate::flash_sale::FlashSale;
use crate::input::Input;
use crate::narrator::Narrator;
use crate::options::{FlashSaleOptions, RunOptions, Staging};
use crate::run;
use crate::scene::Scene;
use crate::summary::Summary;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Show {
    /// Orders of a file.
    Orders(RunOptions),
    /// A flash sale.
    FlashSale(FlashSaleOptions),
}

/// A show whose orders are there.
pub(crate) enum Prepared {
    /// Orders of a file.
    Orders(Input),
    /// A flash sale.
    FlashSale(FlashSale),
}

/// How it ended.
pub(crate) struct Ending {
    /// A page for people.
    pub(crate) text: String,
    /// One object for programs.
    pub(crate) json: Value,
    /// Whether everything is as it should be.
    pub(crate) is_good: bool,
    /// The id of an order whose history is worth a look.
    pub(crate) sample_order: Option<String>,
}

impl Show {
    /// How it is staged and told.
    pub(crate) fn staging(&self) -> &Staging {
        match self {
            Show::Orders(options) => &options.staging,
            Show::FlashSale(options) => &options.staging,
        }
    }

    /// Reads or writes the orders; `folder` is for files of its own.
    pub(crate) fn prepare(self, folder: &Path) -> Result<Prepared, DemoError> {
        Ok(match self {
            Show::Orders(options) => {
                Prepared::Orders(Input::prepare(options.orders.as_deref(), options.limit, folder)?)
            }
            Show::FlashSale(options) => Prepared::FlashSale(FlashSale::prepare(&options, folder)?),
        })
    }
}

impl Prepared {
    /// What will be published, in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Prepared::Orders(Input { wave, acceptable, .. }) => {
                format!("{} orders to publish, {acceptable} can be accepted", wave.orders)
            }
            Prepared::FlashSale(sale) => sale.words(),
        }
    }

    /// All of it, on a stage that is up.
    pub(crate) async fn play(
        self,
        scene: &Scene,
        rate: Option<u32>,
        begin: Instant,
        narrator: &Narrator,
    ) -> Result<Ending, DemoError> {
        match self {
            Prepared::Orders(input) => {
                let outcome = run::run(scene, input, rate, begin, narrator).await?;
                let summary = Summary::new(outcome, begin.elapsed(), rate.is_some());
                Ok(Ending {
                    text: summary.text(),
                    json: summary.json(),
                    is_good: summary.is_good(),
                    sample_order: summary.sample_order().map(str::to_owned),
                })
            }
            Prepared::FlashSale(sale) => Ok(sale.play(scene, rate, begin, narrator).await?.ending(begin.elapsed())),
        }
    }
}
