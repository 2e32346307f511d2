//! What a SKU is called and what it costs, as it was last said. Beside `stock`, whose rows every order writes.

use schemas::Sku;

use super::{Timestamptz, Unknown, table};
use domain::stock::{Description, Product};

table!(
    /// A SKU that was described. Its version is that of the SKU which says so.
    ProductRow in "products", key (sku: String), guard (version) {
        changes version: i64,
        changes title: String,
        changes price_minor: i64,
        changes currency: String,
        changes changed_at: Timestamptz,
    }
);

impl ProductRow {
    /// The row of a product.
    pub fn of(product: &Product) -> Self {
        let Description { title, price_minor, currency } = product.description.clone();
        ProductRow {
            sku: product.sku.as_str().to_owned(),
            version: product.version,
            title,
            price_minor,
            currency,
            changed_at: Timestamptz(product.changed_at),
        }
    }

    /// The product.
    ///
    /// # Errors
    /// The SKU is none that this version knows.
    pub fn into_product(self) -> Result<Product, Unknown> {
        let ProductRow { sku, version, title, price_minor, currency, changed_at } = self;
        Ok(Product {
            sku: Unknown::unless("sku", &sku, |text| Sku::new(text).ok())?,
            version,
            description: Description { title, price_minor, currency },
            changed_at: changed_at.0,
        })
    }
}
