//! Orders are placed, once however often they are asked for.
//!
//! An order's id is the caller's own, or follows from the caller and its key, so every instance agrees on it and nothing has to be
//! kept: a repetition is the order service's own "same order". What is there already is not published again.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use client::body_json;
use domain::saga::{self, ContentDigest, Order, Stage};
use jiff::Timestamp;
use schemas::{Adjustment, CustomerId, Message, OrderCommand, OrderId, OrderLine, PlaceOrder, Sku, Time, TopicName};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answer::{Accepted, fresh, order_path, preferred, put};
use super::orders::no_order;
use super::problem::{Kind, Problem};
use super::request::{Asked, Body, deadline, idempotency_key, time, trace_parent};
use super::shapes::OrderShape;
use super::{Door, Shared, gate};
use crate::keys::Caller;
use crate::position::Position;
use crate::tail::Listening;
use crate::view::Standing;

/// Ids of orders that callers give none: of the caller's name and its key.
const ORDER_IDS: Uuid = Uuid::from_u128(0x8f6c_2b1e_40d7_5a93_b1c4_6e02_97fd_35a8);

/// How long nothing may be said of an order that is waited for, until the read model is asked.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long Kafka may take to confirm a command.
const PUBLISH_LIMIT: Duration = Duration::from_secs(10);

/// How an order is placed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlaceQuery {
    /// Do not publish an order for more than there is as far as the read model knows: 409 instead. That is advice and no decision,
    /// which is inventory's either way.
    #[serde(default)]
    check_stock: bool,
}

/// What is ordered.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceBody {
    /// An id of your own, unique for ever; without it give an `Idempotency-Key`.
    #[schema(example = "31198570044")]
    order_id: Option<String>,
    /// Who orders: a reference, no personal data.
    #[schema(example = "ada")]
    customer_id: String,
    /// ISO 4217 code.
    #[schema(example = "EUR")]
    currency: String,
    /// What is ordered.
    lines: Vec<LineBody>,
    /// When the customer placed it (RFC 3339); now, where it is left out.
    placed_at: Option<String>,
    /// The account of a payment provider to charge.
    payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment. Never a card number.
    payment_token: Option<String>,
    /// When the payment is taken: `at_confirm` or `at_shipment`.
    capture: Option<String>,
    /// How the goods leave: `automatic` or `on_command`.
    fulfilment: Option<String>,
    /// Added to the sum of the lines.
    #[serde(default)]
    adjustments: Vec<AdjustmentBody>,
    /// Carried unchanged into all events of the order.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// The order that this one replaces.
    replaces_order_id: Option<String>,
}

/// A line of an order.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineBody {
    /// What.
    #[schema(example = "pen")]
    sku: String,
    /// How many pieces.
    #[schema(example = 2)]
    quantity: i64,
    /// Price of one piece in minor units.
    #[schema(example = 250)]
    unit_price_minor: i64,
}

/// What is added to, or taken from, the sum of the lines.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdjustmentBody {
    /// `shipping`, `tax`, `discount` or `fee`.
    kind: String,
    /// Signed, in minor units.
    amount_minor: i64,
    /// The line that it belongs to, from 1.
    line: Option<i32>,
}

/// A command to place an order, and whether its time is the caller's own.
struct Placing {
    command: PlaceOrder,
    is_dated: bool,
}

impl Placing {
    fn of(body: PlaceBody, headers: &HeaderMap, caller: &Caller) -> Result<Self, Problem> {
        let order_id = match (body.order_id, idempotency_key(headers)?) {
            (Some(id), _) => OrderId::new(id)?,
            (None, Some(key)) => {
                let name = format!("{}/{key}", caller.name());
                OrderId::new(Uuid::new_v5(&ORDER_IDS, name.as_bytes()).to_string())?
            }
            (None, None) => {
                let words = "give an order_id in the body, or an Idempotency-Key of your own, new for each order: with either a \
                             repeated request places one order";
                return Err(Problem::bad(words));
            }
        };
        let line = |line: LineBody| {
            let LineBody { sku, quantity, unit_price_minor } = line;
            Ok(OrderLine { sku: Sku::new(sku)?, quantity, unit_price_minor })
        };
        let adjustment = |one: AdjustmentBody| {
            let AdjustmentBody { kind, amount_minor, line } = one;
            Adjustment { kind, amount_minor, line }
        };
        // The order service refuses it in any case; said at once, it needs no command.
        if body.currency.contains(char::is_control) {
            return Err(Problem::bad("currency: an ISO 4217 code, as EUR; this one has a control character"));
        }
        let given = body.placed_at.as_deref().map(|text| time("placed_at", text)).transpose()?;
        let customer_id = CustomerId::new(body.customer_id)?;
        let lines = body.lines.into_iter().map(line).collect::<Result<_, Problem>>()?;
        let placed_at = given.unwrap_or_else(|| Time::from(Timestamp::now()));
        let command = PlaceOrder {
            payment_provider: body.payment_provider,
            payment_token: body.payment_token,
            capture: body.capture,
            fulfilment: body.fulfilment,
            adjustments: body.adjustments.into_iter().map(adjustment).collect(),
            attributes: body.attributes,
            replaces_order_id: body.replaces_order_id.map(OrderId::new).transpose()?,
            ..PlaceOrder::new(order_id, customer_id, placed_at, body.currency, lines)
        };
        Ok(Placing { command, is_dated: given.is_some() })
    }

    /// Whether the order is what this asks for. A time that the caller has not given is no difference.
    fn is_same(&self, order: &Order) -> bool {
        let placed_at = if self.is_dated { self.command.placed_at } else { order.placed_at };
        ContentDigest::of_command(&PlaceOrder { placed_at, ..self.command.clone() }) == order.content
    }
}

/// Place an order.
///
/// Repeating the request with the same `order_id` or `Idempotency-Key` places one order.
#[utoipa::path(post, path = "/v1/orders", tag = "orders", request_body = PlaceBody,
    params(
        PlaceQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Yours, new for each order; the order's id follows from it"),
        ("Prefer" = Option<String>, Header, description = "wait=SECONDS, at most 30: answer with what became of it"),
    ),
    responses(
        (status = 200, description = "It was placed before, and this is how it stands", body = OrderShape),
        (status = 201, description = "It was placed, and this is what became of it", body = OrderShape),
        (status = 202, description = "It is on its way; Location says where to look", body = Accepted),
        (status = 409, description = "With `check_stock`: there is not enough, as far as is known; nothing was published", body = Problem,
            content_type = "application/problem+json"),
    ))]
pub(super) async fn place(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<PlaceQuery>,
    headers: HeaderMap,
    Body(body): Body<PlaceBody>,
) -> Result<Response, Problem> {
    let placing = Placing::of(body, &headers, &caller)?;
    let id = placing.command.order_id.clone();
    let until = deadline(&headers);
    // Before the look: what is said after it must not be missed.
    let awaited = until.map(|until| (until, door.tail.listen(TopicName::OrderEvents, id.as_str())));
    let found = match door.reads.has_order(&id).await? {
        true => Box::pin(door.reads.order(&id)).await?,
        false => None,
    };
    if found.as_ref().is_some_and(|found| !placing.is_same(&found.what)) {
        let words = format!("order {id} is there, with other content: give another order_id or Idempotency-Key");
        return Err(Problem::new(Kind::ContentDiffers, words));
    }
    if asked.check_stock && found.is_none() {
        Box::pin(door.has_enough_for(&placing.command.lines)).await?;
    }
    let Some((until, listening)) = awaited else {
        return match &found {
            Some(found) => placed(StatusCode::OK, found),
            None => {
                let command = door.publish(OrderCommand::from(placing.command).into(), &headers).await?;
                Ok(Accepted::order(&id, &command).answer(&order_path(&id)))
            }
        };
    };
    // Boxed, as the other ways that few requests go: a request's future is as large as the largest of its ways.
    Box::pin(place_and_wait(&door, &placing, &headers, (until, listening), found)).await
}

/// Places it where it is not there, and answers with what became of it.
async fn place_and_wait(
    door: &Door,
    placing: &Placing,
    headers: &HeaderMap,
    (until, mut listening): (Instant, Listening),
    found: Option<Standing<Order>>,
) -> Result<Response, Problem> {
    let id = &placing.command.order_id;
    let (status, command) = match &found {
        Some(_) => (StatusCode::OK, None),
        None => {
            let message = OrderCommand::from(placing.command.clone()).into();
            (StatusCode::CREATED, Some(door.publish(message, headers).await?))
        }
    };
    let waiting = Waiting::for_outcome(door, placing, command.as_ref(), until);
    match (waiting.settle(&mut listening, found).await?, &command) {
        (Some(found), _) => placed(status, &found).map(preferred),
        (None, Some(command)) => Ok(Accepted::order(id, command).answer(&order_path(id))),
        // It was there before, and is on its way still.
        (None, None) => match door.reads.order(id).await? {
            Some(found) => placed(StatusCode::OK, &found),
            None => Err(no_order(door, id).await?),
        },
    }
}

impl Door {
    /// Publishes a command, if another one may come in, and says where it lies.
    pub(super) async fn publish(&self, message: Message, headers: &HeaderMap) -> Result<Position, Problem> {
        self.admit()?;
        let (source, trace) = (gate::source(), trace_parent(headers));
        let published = tokio::time::timeout(PUBLISH_LIMIT, self.publisher.publish_from(&source, &message, &trace));
        let delivered = published.await.map_err(|_| {
            let words = "Kafka has not confirmed the command in time; it may be there: send the same again, with the same key or \
                         id";
            Problem::new(Kind::Unavailable, words).retry_after(1)
        })??;
        Ok(Position::of_command(&message, &delivered))
    }
}

/// An order as it stands, where it was placed.
fn placed(status: StatusCode, found: &Standing<Order>) -> Result<Response, Problem> {
    let mut response = fresh(&HeaderMap::new(), &OrderShape::of(&found.what), found.position.as_ref())?;
    *response.status_mut() = status;
    put(&mut response, header::LOCATION, &order_path(&found.what.order_id));
    Ok(response)
}

/// A request that waits for what becomes of an order.
struct Waiting<'d> {
    door: &'d Door,
    placing: &'d Placing,
    /// The `ce_id` of the command, where one was published.
    command: Option<&'d str>,
    until: Instant,
}

impl<'d> Waiting<'d> {
    fn for_outcome(door: &'d Door, placing: &'d Placing, command: Option<&'d Position>, until: Instant) -> Self {
        let command = command.and_then(|position| position.command.as_deref());
        Waiting { door, placing, command, until }
    }

    /// The order once it is at its outcome; none where the time is up.
    async fn settle(
        &self,
        listening: &mut Listening,
        found: Option<Standing<Order>>,
    ) -> Result<Option<Standing<Order>>, Problem> {
        let Waiting { door, placing, .. } = self;
        let id = &placing.command.order_id;
        let (mut state, mut position) = found.map(|found| (found.what, found.position)).unzip();
        loop {
            if let Some(order) = state.take_if(|order| is_settled(order)) {
                return Ok(Some(Standing { what: order, position: position.flatten() }));
            }
            let wake = self.until.min(Instant::now() + LOOK_AGAIN);
            let Ok(came) = tokio::time::timeout_at(wake, listening.next()).await else {
                if wake == self.until {
                    return Ok(None);
                }
                // What was said just before anybody listened is in the read model a moment later.
                (state, position) = self.look(state, position).await?;
                continue;
            };
            let Some(record) = came else {
                // Something may have been missed.
                *listening = door.tail.listen(TopicName::OrderEvents, id.as_str());
                if let Some(command) = self.command {
                    door.is_not_refused(TopicName::OrderEvents, id.as_str(), command).await?;
                }
                (state, position) = door.reads.order(id).await?.map(|found| (found.what, found.position)).unzip();
                continue;
            };
            let Message::OrderEvent(event) = &record.message else { continue };
            let place = Position::of_event(record.topic, record.partition, record.offset);
            if event.version().is_none() {
                if self.command.is_some() && record.cause.as_deref() == self.command {
                    self.see_refusal(&record.message, &place).await?;
                }
                continue;
            }
            match saga::evolve(state.take(), event) {
                Ok(next) => (state, position) = (next, Some(Some(place))),
                // It went on before anybody listened.
                Err(_) => {
                    let left = self.until.saturating_duration_since(Instant::now());
                    door.reads.reaches(&place, id.as_str(), left).await?;
                    (state, position) = door.reads.order(id).await?.map(|found| (found.what, found.position)).unzip();
                }
            }
        }
    }

    /// The order as the read model has it, where that is further.
    async fn look(
        &self,
        state: Option<Order>,
        position: Option<Option<Position>>,
    ) -> Result<(Option<Order>, Option<Option<Position>>), Problem> {
        let version = state.as_ref().map_or(0, |order| order.version);
        match self.door.reads.order(&self.placing.command.order_id).await? {
            Some(found) if found.what.version > version => Ok((Some(found.what), Some(found.position))),
            Some(_) | None => Ok((state, position)),
        }
    }

    /// Two requests of one key may have been published beside one another, each with a time of its own: then the second is refused,
    /// and the order is what both ask for.
    async fn see_refusal(&self, refusal: &Message, place: &Position) -> Result<(), Problem> {
        let problem = Problem::refused(&body_json(refusal));
        let id = &self.placing.command.order_id;
        let left = self.until.saturating_duration_since(Instant::now());
        self.door.reads.reaches(place, id.as_str(), left).await?;
        let found = self.door.reads.order(id).await?;
        if found.is_some_and(|found| self.placing.is_same(&found.what)) { Ok(()) } else { Err(problem) }
    }
}

/// Whether an order waits for nobody but a person, or has ended: confirmed, held, undone or stuck.
fn is_settled(order: &Order) -> bool {
    match order.stage {
        Stage::Placed | Stage::StockReserved | Stage::Cancelling { .. } => false,
        Stage::Authorized
        | Stage::Confirmed
        | Stage::PaymentCaptured
        | Stage::ReadyToShip
        | Stage::Shipped
        | Stage::StockCommitted
        | Stage::Completed
        | Stage::Cancelled
        | Stage::Stuck { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_with_a_control_character_gets_no_further() {
        let placing = |currency: &str| {
            let body =
                serde_json::json!({ "order_id": "o-1", "customer_id": "ada", "currency": currency, "lines": [] });
            let body = serde_json::from_value(body).unwrap();
            Placing::of(body, &HeaderMap::new(), &Caller::local()).map(|placing| placing.command.currency)
        };
        for wrong in ["EU\0R", "\0", "EUR\n", "\u{7f}EUR", "E\u{85}R"] {
            let problem = placing(wrong).unwrap_err();
            assert!(problem.status == 400 && problem.detail.contains("currency"), "{wrong:?}: {problem:?}");
        }
        // What is no currency is the order service's to refuse.
        assert_eq!(placing("XXX"), Ok("XXX".to_owned()));
    }
}
