//! What an API's pages say of orders and stock: as much as a list tells.

use std::collections::BTreeMap;

use domain::stock::Description;
use schemas::{OrderId, Sku, Time};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{HttpDoor, HttpError};
use crate::{ClientError, Level};

/// Orders or SKUs of a page: as many as an API gives.
const PAGE: &str = "200";

/// More orders are not read for one list: they are kept in memory, and another filter is quicker.
const ORDERS_MAX: usize = 10_000;

/// An order of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedOrder {
    /// Which order.
    pub order_id: OrderId,
    /// How far it has come.
    pub state: String,
    /// Who orders.
    pub customer_id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Sum over lines and adjustments.
    pub total_minor: i64,
    #[serde(rename = "accepted_at")]
    accepted: String,
    #[serde(rename = "changed_at")]
    changed: String,
    #[serde(rename = "confirm_by")]
    confirm: String,
    #[serde(rename = "ship_by")]
    ship: Option<String>,
    /// At which step it waits while it is undone, or is stuck.
    pub awaiting: Option<String>,
    /// Of a stuck order: what the failing service said.
    pub detail: Option<String>,
    /// Why it is undone.
    pub cancellation: Option<ListedCancellation>,
    /// That somebody holds it.
    pub hold: Option<ListedHold>,
    #[serde(default)]
    returns: Vec<ListedReturn>,
}

/// Why an order is undone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedCancellation {
    /// The first reason.
    pub reason: String,
    /// The same more precisely.
    pub code: Option<String>,
}

/// That somebody holds an order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedHold {
    /// Why.
    pub reason_code: String,
    /// Until then it is released, or it is undone.
    pub until: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ListedReturn {
    state: String,
    close_by: String,
}

impl ListedOrder {
    /// When the order service accepted it.
    pub fn accepted_at(&self) -> Time {
        time(&self.accepted)
    }

    /// The time of its last event.
    pub fn changed_at(&self) -> Time {
        time(&self.changed)
    }

    /// Until then it is confirmed, or it is undone.
    pub fn confirm_by(&self) -> Time {
        time(&self.confirm)
    }

    /// Until when it should be shipped, as long as it waits for that.
    pub fn ship_by(&self) -> Option<Time> {
        self.ship.as_deref().map(time)
    }

    /// When the hold ends by which it waits.
    pub fn held_until(&self) -> Option<Time> {
        let is_at_rest = ["cancelling", "cancelled", "completed", "stuck"].contains(&self.state.as_str());
        self.hold.as_ref().filter(|_| !is_at_rest).map(|hold| time(&hold.until))
    }

    /// Until when it waits, whatever happens then: as the order itself says within the services.
    pub fn until(&self) -> Option<Time> {
        let is_confirming = match self.state.as_str() {
            "placed" | "stock_reserved" => true,
            "cancelling" => {
                ["StockReservation", "PaymentAuthorization"].contains(&self.awaiting.as_deref().unwrap_or(""))
            }
            _ => false,
        };
        let confirm_by = is_confirming.then(|| self.confirm_by());
        let open = self.returns.iter().filter(|one| one.state == "requested");
        let returned_by = open.map(|one| time(&one.close_by)).min();
        let deadline = [confirm_by, self.held_until(), returned_by].into_iter().flatten().min();
        deadline.or(self.ship_by())
    }
}

/// A time as an API writes it; one that is none is no time that anybody waits for.
fn time(text: &str) -> Time {
    text.parse().unwrap_or(Time::EARLIEST)
}

/// A page: its rows are under the name of the list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(alias = "orders", alias = "stock", alias = "products")]
    rows: Vec<T>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ListedLevel {
    sku: Sku,
    received: i64,
    reserved: i64,
    shipped: i64,
    returned: i64,
    written_off: i64,
}

#[derive(Deserialize)]
struct ListedProduct {
    sku: Sku,
    title: String,
    price_minor: i64,
    currency: String,
}

impl HttpDoor {
    /// All orders of which these parameters are true, the newest first.
    ///
    /// # Errors
    /// The API cannot be asked, or there are too many.
    pub async fn orders(&self, filter: &[(&str, &str)]) -> Result<Vec<ListedOrder>, ClientError> {
        self.pages("orders", filter, ORDERS_MAX).await?.ok_or_else(|| {
            let what = format!("no list has more than {ORDERS_MAX} orders: narrow it by --state, --customer or --sku");
            HttpError::NotOverHttp { what }.into()
        })
    }

    /// The levels of all SKUs, or of this one where it is known.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub async fn levels(&self, only: Option<&Sku>) -> Result<BTreeMap<Sku, Level>, ClientError> {
        Ok(self.of_skus("stock", only).await?.into_iter().map(ListedLevel::level).collect())
    }

    /// What was said of all SKUs, or of this one where anything was.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub async fn descriptions(&self, only: Option<&Sku>) -> Result<BTreeMap<Sku, Description>, ClientError> {
        Ok(self.of_skus("products", only).await?.into_iter().map(ListedProduct::described).collect())
    }

    /// All rows of a list by SKU, or the one of this SKU where it is known.
    async fn of_skus<T: DeserializeOwned>(&self, list: &str, only: Option<&Sku>) -> Result<Vec<T>, HttpError> {
        match only {
            Some(sku) => Ok(self.find(&[list, sku.as_str()], &[]).await?.into_iter().collect()),
            None => Ok(self.pages(list, &[], usize::MAX).await?.unwrap_or_default()),
        }
    }

    /// All rows of a list, page by page; none where there are more than so many.
    async fn pages<T: DeserializeOwned>(
        &self,
        list: &str,
        filter: &[(&str, &str)],
        most: usize,
    ) -> Result<Option<Vec<T>>, HttpError> {
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        while rows.len() < most {
            let mut query = filter.to_vec();
            query.push(("limit", PAGE));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.find(&[list], &query).await?.map_err(|problem| self.says(problem))?;
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}

impl ListedProduct {
    fn described(self) -> (Sku, Description) {
        let ListedProduct { sku, title, price_minor, currency } = self;
        (sku, Description { title, price_minor, currency })
    }
}

impl ListedLevel {
    fn level(self) -> (Sku, Level) {
        let ListedLevel { sku, received, reserved, shipped, returned, written_off } = self;
        let [received, reserved, shipped, returned, written_off] =
            [received, reserved, shipped, returned, written_off].map(i128::from);
        (sku, Level { received, reserved, shipped, returned, written_off })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(state: &str, further: &str) -> ListedOrder {
        let text = format!(
            r#"{{"order_id":"o","state":"{state}","customer_id":"c","currency":"EUR","total_minor":5,"version":1,
                "accepted_at":"1970-01-01T00:00:01Z","changed_at":"1970-01-01T00:00:02Z",
                "confirm_by":"1970-01-01T00:00:03Z","awaiting":null,"detail":null,"cancellation":null{further}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn an_order_waits_until_what_comes_first() {
        let seconds = |order: &ListedOrder| order.until().map(|until| until.as_micros() / 1_000_000);
        assert_eq!(seconds(&order("placed", "")), Some(3));
        assert_eq!(seconds(&order("confirmed", "")), None);
        let ship = r#","ship_by":"1970-01-01T00:00:09Z""#;
        assert_eq!(seconds(&order("ready_to_ship", ship)), Some(9));
        let held = format!(r#"{ship},"hold":{{"reason_code":"R","until":"1970-01-01T00:00:07Z"}}"#);
        assert_eq!(seconds(&order("ready_to_ship", &held)), Some(7));
        assert_eq!(seconds(&order("stuck", &held)), Some(9), "a stuck order waits for a person");
        let back = r#","returns":[{"state":"expired","close_by":"1970-01-01T00:00:04Z"},
            {"state":"requested","close_by":"1970-01-01T00:00:08Z"}]"#;
        assert_eq!(seconds(&order("completed", back)), Some(8));
    }
}
