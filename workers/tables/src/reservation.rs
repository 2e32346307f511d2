//! What is held for an order: one row, its lines as lists.

use schemas::{OrderId, Shortage, Sku, StockLine};

use super::{Timestamptz, Unknown, json, table};
use domain::stock::{Reservation, ReservationStatus};

table!(
    /// What is held for an order.
    ReservationRow in "reservations", key (order_id: String), guard (version) {
        changes version: i64,
        changes status: String,
        once skus: Vec<String>,
        once quantities: Vec<i64>,
        once short_skus: Vec<String>,
        once short_requested: Vec<i64>,
        once short_available: Vec<i64>,
        once decided_at: Timestamptz,
        changes changed_at: Timestamptz,
        changes returns: Option<String>,
    }
);

impl ReservationRow {
    /// The row of a reservation.
    pub fn of(reservation: &Reservation) -> Self {
        let Reservation { order_id, version, status, lines, shortages, decided_at, changed_at, returns } = reservation;
        ReservationRow {
            order_id: order_id.as_str().to_owned(),
            version: *version,
            status: status.as_str().to_owned(),
            skus: lines.iter().map(|line| line.sku.as_str().to_owned()).collect(),
            quantities: lines.iter().map(|line| line.quantity).collect(),
            short_skus: shortages.iter().map(|one| one.sku.as_str().to_owned()).collect(),
            short_requested: shortages.iter().map(|one| one.requested).collect(),
            short_available: shortages.iter().map(|one| one.available).collect(),
            decided_at: Timestamptz(*decided_at),
            changed_at: Timestamptz(*changed_at),
            returns: json::of_list(returns),
        }
    }

    /// The reservation.
    ///
    /// # Errors
    /// A text is none that this version knows.
    pub fn into_reservation(self) -> Result<Reservation, Unknown> {
        let sku = |column, text: &str| Unknown::unless(column, text, |text| Sku::new(text).ok());
        let lines = self.skus.iter().zip(self.quantities);
        let lines = lines.map(|(text, quantity)| Ok(StockLine { sku: sku("skus", text)?, quantity }));
        let shortages = self.short_skus.iter().zip(self.short_requested.into_iter().zip(self.short_available));
        let shortages = shortages
            .map(|(text, (requested, available))| Ok(Shortage { sku: sku("short_skus", text)?, requested, available }));
        Ok(Reservation {
            order_id: Unknown::unless("order_id", &self.order_id, |text| OrderId::new(text).ok())?,
            version: self.version,
            status: Unknown::unless("status", &self.status, ReservationStatus::parse)?,
            lines: lines.collect::<Result<_, Unknown>>()?,
            shortages: shortages.collect::<Result<_, Unknown>>()?,
            decided_at: self.decided_at.0,
            changed_at: self.changed_at.0,
            returns: json::read("returns", self.returns.as_deref())?.unwrap_or_default(),
        })
    }

    /// Whether the lines were held at some time.
    pub fn was_reserved(&self) -> bool {
        !self.skus.is_empty()
    }
}
