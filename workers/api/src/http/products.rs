//! Products: what a SKU is called and what it costs, beside how many there are.
//!
//! A description is one command, as a receipt is, and inventory decides; reading joins what was said last with the level. Prices are
//! for whoever shows goods: an order's prices are those that it is placed with.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::stock::{Description, Level, Product};
use schemas::{DescribeProduct, Sku};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::answer::{Accepted, escaped, fresh, preferred};
use super::orders::{AfterQuery, last_before_next, page};
use super::problem::{Kind, Problem};
use super::request::{Asked, Body, SkuOf, command_id, deadline};
use super::stock::Supplied;
use crate::keys::Caller;

/// What is said of a SKU, in place of what was said before.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DescriptionBody {
    /// What it is called, at most 256 bytes.
    #[schema(example = "Pen, blue")]
    title: String,
    /// What a piece costs, in minor units.
    #[schema(example = 250)]
    price_minor: i64,
    /// ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// Why, in words.
    note: Option<String>,
}

/// Which products, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProductsQuery {
    /// `next` of the page before.
    cursor: Option<String>,
    /// At most so many, 1 to 200; 50 without it.
    limit: Option<i64>,
}

/// A SKU that was described.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductShape {
    /// Which SKU.
    sku: String,
    /// What it is called.
    title: String,
    /// What a piece costs, in minor units.
    price_minor: i64,
    /// ISO 4217.
    currency: String,
    /// What can still be reserved. Advice: whether an order gets it is inventory's to decide.
    available: i64,
    /// The SKU's version that describes it so.
    version: i64,
    /// When it was described so.
    changed_at: String,
}

/// A page of products, ascending by SKU.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProductsPage {
    /// The products.
    products: Vec<ProductShape>,
    /// The cursor of the next page; none on the last one.
    next: Option<String>,
}

impl ProductShape {
    fn of((product, level): &(Product, Level)) -> Self {
        let Description { title, price_minor, currency } = product.description.clone();
        ProductShape {
            sku: product.sku.to_string(),
            title,
            price_minor,
            currency,
            available: level.available(),
            version: product.version,
            changed_at: product.changed_at.to_string(),
        }
    }
}

/// All products, a page at a time.
#[utoipa::path(get, path = "/v1/products", tag = "products",
    params(ProductsQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "A page", body = ProductsPage),
    ))]
pub(super) async fn list(
    State(door): Shared,
    headers: HeaderMap,
    Asked(asked): Asked<ProductsQuery>,
) -> Result<Response, Problem> {
    let limit = page(asked.limit)?;
    let behind = asked.cursor.map(Sku::new).transpose()?;
    let mut found = door.reads.products(behind.as_ref().map(Sku::as_str).unwrap_or_default(), limit + 1).await?;
    let next = last_before_next(&mut found, limit).map(|last| last.what.0.sku.to_string());
    let products = found.iter().map(|found| ProductShape::of(&found.what)).collect();
    fresh(&headers, &ProductsPage { products, next }, None)
}

/// A product.
#[utoipa::path(get, path = "/v1/products/{sku}", tag = "products",
    params(("sku" = String, Path), AfterQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The product", body = ProductShape),
    ))]
pub(super) async fn one(
    State(door): Shared,
    headers: HeaderMap,
    SkuOf(sku): SkuOf,
    Asked(after): Asked<AfterQuery>,
) -> Result<Response, Problem> {
    door.be_after(&after, sku.as_str()).await?;
    match door.reads.product(&sku).await? {
        Some(found) => fresh(&headers, &ProductShape::of(&found.what), found.position.as_ref()),
        None => Err(Problem::new(Kind::NotFound, format!("nobody has described {sku}"))),
    }
}

/// A SKU is described, in place of what was said of it before.
#[utoipa::path(put, path = "/v1/products/{sku}", tag = "products", request_body = DescriptionBody,
    params(
        ("sku" = String, Path),
        ("Idempotency-Key" = String, Header, description = "Yours, new for each description: the command's id"),
        ("Prefer" = Option<String>, Header, description = "wait=SECONDS, at most 30: answer with what came of it"),
    ),
    responses(
        (status = 200, description = "It was taken: the product", body = ProductShape),
        (status = 202, description = "It is on its way; Location says where to look", body = Accepted),
    ))]
pub(super) async fn describe(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    SkuOf(sku): SkuOf,
    headers: HeaderMap,
    Body(body): Body<DescriptionBody>,
) -> Result<Response, Problem> {
    let DescriptionBody { title, price_minor, currency, note } = body;
    let (command_id, by) = (command_id(&headers)?, Some(caller.name().to_owned()));
    let path = format!("/v1/products/{}", escaped(sku.as_str()));
    let command =
        DescribeProduct { sku: sku.clone(), command_id: command_id.clone(), title, price_minor, currency, by, note };
    let supplied = door.supply(command.into(), deadline(&headers), &headers).await?;
    let Supplied { position, is_booked } = supplied;
    if is_booked && let Some(found) = door.reads.product(&sku).await? {
        return fresh(&HeaderMap::new(), &ProductShape::of(&found.what), found.position.as_ref()).map(preferred);
    }
    Ok(Accepted::command(None, &command_id, &position).answer(&path))
}
