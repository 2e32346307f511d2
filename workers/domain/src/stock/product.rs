//! What a SKU is called and what it costs: the last thing that was said of it, and what cannot be said.
//!
//! A description is for whoever shows goods. Orders have prices of their own, and nobody compares the two.

use schemas::{DescribeProduct, ProductDescribed, Refusal, Sku, StockEvent, Time, currency, limits};

/// What is said of a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it is called.
    pub title: String,
    /// What a piece costs, in minor units.
    pub price_minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: String,
}

impl Description {
    /// What the command asks for.
    pub fn asked_by(command: &DescribeProduct) -> Self {
        let DescribeProduct { title, price_minor, currency, .. } = command;
        Description { title: title.clone(), price_minor: *price_minor, currency: currency.clone() }
    }

    /// What the event says.
    pub fn told_by(event: &ProductDescribed) -> Self {
        let ProductDescribed { title, price_minor, currency, .. } = event;
        Description { title: title.clone(), price_minor: *price_minor, currency: currency.clone() }
    }
}

/// A SKU that was described, as it was last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Which SKU.
    pub sku: Sku,
    /// The SKU's version that says so.
    pub version: i64,
    /// What was said.
    pub description: Description,
    /// When.
    pub changed_at: Time,
}

impl Product {
    /// The product after the event, whatever it was before; none where the event describes nothing. Events of a SKU come in the
    /// order of its versions, which `evolve_stock` judges.
    pub fn of(event: &StockEvent) -> Option<Self> {
        match event {
            StockEvent::ProductDescribed(event) => Some(Product {
                sku: event.sku.clone(),
                version: event.version,
                description: Description::told_by(event),
                changed_at: event.at,
            }),
            StockEvent::StockReceived(_)
            | StockEvent::StockAdjusted(_)
            | StockEvent::StockCommandRejected(_)
            | StockEvent::StockCommandRefused(_) => None,
        }
    }
}

/// What is wrong with a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    TitleEmpty,
    TitleTooLong,
    PriceNegative,
    PriceTooLarge,
    CurrencyUnknown,
    /// The command's id is that of another command.
    ContentDiffers,
}

impl Flaw {
    /// The name on the wire.
    const fn as_str(self) -> &'static str {
        match self {
            Flaw::TitleEmpty => "TitleEmpty",
            Flaw::TitleTooLong => "TitleTooLong",
            Flaw::PriceNegative => "PriceNegative",
            Flaw::PriceTooLarge => "PriceTooLarge",
            Flaw::CurrencyUnknown => "CurrencyUnknown",
            Flaw::ContentDiffers => "ContentDiffers",
        }
    }

    pub(super) fn refusal(self, detail: String) -> Refusal {
        Refusal { reason_code: self.as_str().to_owned(), detail: limits::detail(detail) }
    }
}

/// Everything that is wrong with it.
pub(super) fn flaws(description: &Description) -> Vec<(Flaw, String)> {
    let Description { title, price_minor, currency } = description;
    let mut flaws = Vec::new();
    if title.trim().is_empty() {
        flaws.push((Flaw::TitleEmpty, "the title is empty".to_owned()));
    }
    if title.len() > limits::MAX_TITLE_BYTES {
        let detail = format!("the title has {} bytes; at most {} are allowed", title.len(), limits::MAX_TITLE_BYTES);
        flaws.push((Flaw::TitleTooLong, detail));
    }
    if *price_minor < 0 {
        flaws.push((Flaw::PriceNegative, format!("the price is {price_minor}; it must not be below 0")));
    }
    if *price_minor > limits::MAX_TOTAL_MINOR {
        let detail = format!("the price is {price_minor}; at most {} is allowed", limits::MAX_TOTAL_MINOR);
        flaws.push((Flaw::PriceTooLarge, detail));
    }
    if !currency::is_known(currency) {
        flaws.push((Flaw::CurrencyUnknown, format!("{currency:?} is no current ISO 4217 currency code")));
    }
    flaws
}
