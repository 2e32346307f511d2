//! What a person can do to a SKU: the commands that forms make, and the forms.
//!
//! Each says why, and has an id that was made with the page: a form that is sent twice is one command. Inventory decides.

use maud::{Markup, html};
use schemas::{AdjustStock, CommandId, DescribeProduct, ReceiveStock, Sku, StockCommand};
use serde::Deserialize;
use uuid::Uuid;

use super::stock::path;
use super::visit::Visit;
use super::words;
use crate::http::Problem;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supply {
    /// Goods have arrived.
    Receive,
    /// A count differed from the books.
    Adjust,
    /// Say what it is called and what it costs.
    Describe,
}

impl Supply {
    /// All of them, in the order in which they are offered.
    pub(super) const ALL: [Supply; 3] = [Supply::Receive, Supply::Adjust, Supply::Describe];

    /// The last part of its path.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Supply::Receive => "receive",
            Supply::Adjust => "adjust",
            Supply::Describe => "describe",
        }
    }

    /// The one of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Supply::ALL.into_iter().find(|supply| supply.as_str() == name)
    }

    /// What a page says once it is done.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Supply::Receive => "The goods are booked.",
            Supply::Adjust => "The books are corrected.",
            Supply::Describe => "It is described.",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Supply::Receive => "Receive goods",
            Supply::Adjust => "Correct the books",
            Supply::Describe => "Describe",
        }
    }
}

/// What a form has; a field that it has not is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    command_id: String,
    pieces: String,
    title: String,
    price: String,
    currency: String,
    note: String,
}

impl Given {
    /// What a description has now.
    pub(super) fn described(title: &str, price_minor: i64, currency: &str) -> Self {
        let (title, currency) = (title.to_owned(), currency.to_owned());
        Given { title, price: words::amount_field(price_minor, &currency), currency, ..Given::default() }
    }

    /// The command that is asked for.
    pub(super) fn command(&self, supply: Supply, sku: Sku, by: &str) -> Result<StockCommand, Problem> {
        let command_id = CommandId::new(self.command_id.as_str())
            .map_err(|error| Problem::bad(format!("the form has no id of its own: {error}; load the page again")))?;
        let note = self.note.trim();
        if note.is_empty() {
            return Err(Problem::bad("say why: the note is kept with what is done"));
        }
        let (by, note) = (Some(by.to_owned()), Some(note.to_owned()));
        Ok(match supply {
            Supply::Receive => {
                let quantity = whole("pieces", &self.pieces)?;
                ReceiveStock { sku, command_id, quantity, by, note }.into()
            }
            Supply::Adjust => AdjustStock { sku, command_id, delta: whole("pieces", &self.pieces)?, by, note }.into(),
            Supply::Describe => {
                let (title, currency) = (self.title.clone(), self.currency.trim().to_owned());
                let price_minor = words::read_amount(&self.price, &currency);
                let price_minor = price_minor.map_err(|words| Problem::bad(format!("price: {words}")))?;
                DescribeProduct { sku, command_id, title, price_minor, currency, by, note }.into()
            }
        })
    }
}

fn whole(name: &str, text: &str) -> Result<i64, Problem> {
    text.trim().parse().map_err(|_| Problem::bad(format!("{name}: {text:?} is no whole number")))
}

/// The forms, one filled with what was given before where that was not taken.
pub(super) fn forms(visit: &Visit, sku: &Sku, described: &Given, refused: Option<(Supply, &Given)>) -> Markup {
    html! {
        div.cards {
            @for supply in Supply::ALL {
                @let given = refused.filter(|(of, _)| *of == supply).map(|(_, given)| given);
                @let blank = if supply == Supply::Describe { described.clone() } else { Given::default() };
                (form(visit, sku, supply, given.unwrap_or(&blank)))
            }
        }
    }
}

fn form(visit: &Visit, sku: &Sku, supply: Supply, given: &Given) -> Markup {
    let id = |field: &str| format!("{}-{field}", supply.as_str());
    html! {
        form.card method="post" action={ (path(sku)) "/" (supply.as_str()) } {
            h3 { (supply.name()) }
            (visit.signature())
            input type="hidden" name="command_id" value=(Uuid::now_v7());
            @match supply {
                Supply::Receive => {
                    label for=(id("pieces")) { "Pieces that arrived" }
                    input id=(id("pieces")) name="pieces" type="number" min="1" required value=(given.pieces);
                }
                Supply::Adjust => {
                    label for=(id("pieces")) { "Pieces more; with a minus, fewer" }
                    input id=(id("pieces")) name="pieces" type="number" required value=(given.pieces);
                }
                Supply::Describe => {
                    label for=(id("title")) { "Title" }
                    input id=(id("title")) name="title" required maxlength="256" value=(given.title);
                    label for=(id("price")) { "Price of a piece" }
                    input id=(id("price")) name="price" inputmode="decimal" autocomplete="off" required value=(given.price);
                    p.hint { "As 2.50, without the currency." }
                    label for=(id("currency")) { "Currency (ISO 4217)" }
                    input id=(id("currency")) name="currency" required minlength="3" maxlength="3" value=(given.currency);
                }
            }
            label for=(id("note")) { "Why" }
            input id=(id("note")) name="note" required maxlength="256" value=(given.note);
            p { button type="submit" { (supply.name()) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            command_id: "c-1".to_owned(),
            pieces: " -3 ".to_owned(),
            note: " counted ".to_owned(),
            ..Given::described("Pen", 250, "EUR")
        }
    }

    #[test]
    fn a_form_is_one_command_with_who_and_why() {
        let sku = Sku::new("pen").unwrap();
        let command = given().command(Supply::Adjust, sku.clone(), "ada").unwrap();
        let (command_id, by, note) =
            (CommandId::new("c-1").unwrap(), Some("ada".to_owned()), Some("counted".to_owned()));
        assert_eq!(command, AdjustStock { sku: sku.clone(), command_id, delta: -3, by, note }.into());
        let command = given().command(Supply::Describe, sku, "ada").unwrap();
        assert!(
            matches!(command, StockCommand::DescribeProduct(said) if said.title == "Pen" && said.price_minor == 250)
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let said = |given: &Given| given.command(Supply::Receive, Sku::new("pen").unwrap(), "ada").unwrap_err().detail;
        assert!(said(&Given { note: "  ".to_owned(), ..given() }).contains("say why"));
        assert!(said(&Given { pieces: "<1>".to_owned(), ..given() }).contains("no whole number"));
        let price = |price: &str, currency: &str| {
            let given = Given { price: price.to_owned(), currency: currency.to_owned(), ..given() };
            given.command(Supply::Describe, Sku::new("pen").unwrap(), "ada").unwrap_err().detail
        };
        assert!(price("2.505", "EUR").contains("at most 2 decimals"));
        assert!(price("2.5", "JPY").contains("at most no decimals"));
        assert!(said(&Given { command_id: String::new(), ..given() }).contains("load the page again"));
        assert_eq!(Supply::ALL.map(|supply| Supply::parse(supply.as_str())), Supply::ALL.map(Some));
        assert_eq!(Supply::parse("drop"), None);
    }
}
