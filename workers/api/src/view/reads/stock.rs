//! What there is of each SKU, and how it is described.

use consumer::DatabaseError;
use domain::stock::{Level, Product};
use schemas::{Sku, TopicName};
use tables::{ProductRow, StockRow, TableRow as _};
use tokio_postgres::Row;

use super::{Reads, Standing, last_heard, position_of, unreadable};

impl Reads {
    /// The level of a SKU.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn level(&self, sku: &Sku) -> Result<Option<Standing<(Sku, Level)>>, DatabaseError> {
        let rows = self.found(&stock_sql("sku = $1::text"), &[&sku.as_str()]).await?;
        rows.first().map(level_of).transpose()
    }

    /// At most so many levels, ascending by SKU, behind this one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn levels(&self, behind: &str, limit: i64) -> Result<Vec<Standing<(Sku, Level)>>, DatabaseError> {
        let sql = stock_sql("sku > $1::text order by sku limit $2::bigint");
        self.rows(&sql, &[&behind, &limit]).await?.iter().map(level_of).collect()
    }

    /// A product, and the level of its SKU.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn product(&self, sku: &Sku) -> Result<Option<Standing<(Product, Level)>>, DatabaseError> {
        let rows = self.found(&products_sql("sku = $1::text"), &[&sku.as_str()]).await?;
        rows.first().map(product_of).transpose()
    }

    /// At most so many products, ascending by SKU, behind this one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn products(&self, behind: &str, limit: i64) -> Result<Vec<Standing<(Product, Level)>>, DatabaseError> {
        let sql = products_sql("sku > $1::text order by sku limit $2::bigint");
        self.rows(&sql, &[&behind, &limit]).await?.iter().map(product_of).collect()
    }
}

pub(super) fn stock_sql(rows: &str) -> String {
    format!(
        "select r.*, h.log_partition, h.log_offset from (select {} from stock where {rows}) as r {} order by r.sku",
        StockRow::column_list(),
        last_heard(TopicName::StockEvents, "r.sku")
    )
}

/// Products of `rows`, each with its level. Who is described has one, of nothing where nothing came.
pub(super) fn products_sql(rows: &str) -> String {
    format!(
        "select r.*, s.*, h.log_partition, h.log_offset from (select {} from products where {rows}) as r, \
         lateral (select version, received, reserved, shipped, returned, written_off from stock where sku = r.sku \
         offset 0) as s {} order by r.sku",
        ProductRow::column_list(),
        last_heard(TopicName::StockEvents, "r.sku")
    )
}

fn level_of(row: &Row) -> Result<Standing<(Sku, Level)>, DatabaseError> {
    let what = StockRow::read(row).map_err(unreadable)?.into_level().map_err(unreadable)?;
    Ok(Standing { what, position: position_of(TopicName::StockEvents, row, StockRow::COLUMNS.len()) })
}

fn product_of(row: &Row) -> Result<Standing<(Product, Level)>, DatabaseError> {
    let product = ProductRow::read(row).map_err(unreadable)?.into_product().map_err(unreadable)?;
    let own = ProductRow::COLUMNS.len();
    let level = Level {
        version: row.get(own),
        received: row.get(own + 1),
        reserved: row.get(own + 2),
        shipped: row.get(own + 3),
        returned: row.get(own + 4),
        written_off: row.get(own + 5),
    };
    Ok(Standing { what: (product, level), position: position_of(TopicName::StockEvents, row, own + 6) })
}
