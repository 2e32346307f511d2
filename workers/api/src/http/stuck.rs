//! Orders that are stuck, and what frees them: a person has the step tried again, takes it for done, or ends the order.
//!
//! What may be done is asked of the state machine, on the order as the read model has it; whether it is done the order service decides.
//! Who takes a step for done, or ends an order, says why: it is kept with the order, and `replay-tool verify` lists it.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use client::stage_in_words;
use domain::saga::{Input, Order, Policy, decide};
use jiff::Timestamp;
use schemas::{CommandId, CustomerId, OrderCommand, ResolveOrder, RetryOrder, SkipOrderStep, Sku, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::acts::{act, carry_out};
use super::answer::{Accepted, fresh};
use super::orders::{behind, cursor, last_before_next, page};
use super::problem::Problem;
use super::request::{Asked, Body, OrderOf, command_id};
use super::shapes::OrderShape;
use super::{Door, Shared};
use crate::keys::Caller;
use crate::view::Filter;

/// The stage of orders that wait for a person.
const STUCK: &str = "stuck";

/// Why a step is tried again.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryBody {
    /// The step that is meant: no other one is tried. Whichever, where it is left out.
    #[schema(example = "PaymentVoid")]
    step: Option<String>,
    /// In words.
    note: Option<String>,
}

/// Why a step is taken for done.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SkipBody {
    /// The step that is meant: no other one is skipped. Whichever, where it is left out.
    #[schema(example = "PaymentVoid")]
    step: Option<String>,
    /// Who has seen to it, and how.
    #[schema(example = "voided in the provider's console, ticket 812")]
    note: String,
}

/// How a person ends an order, and why.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// Whether its goods are with the customer.
    outcome: Ending,
    /// Who has seen to all that is left, and how.
    #[schema(example = "settled with the customer")]
    note: String,
}

/// How a person ends an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// The goods are with the customer.
    Completed,
    /// They are not.
    Cancelled,
}

impl Ending {
    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Cancelled => "cancelled",
        }
    }
}

/// Which stuck orders, and how many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StuckQuery {
    /// Of this customer.
    pub(crate) customer: Option<String>,
    /// With this SKU.
    pub(crate) sku: Option<String>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// At most so many, 1 to 200; 50 without it.
    pub(crate) limit: Option<i64>,
}

/// A page of stuck orders, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StuckPage {
    /// The orders.
    pub(crate) stuck: Vec<StuckShape>,
    /// The cursor of the next page; none on the last one.
    pub(crate) next: Option<String>,
}

/// An order that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct StuckShape {
    /// Which order.
    pub(crate) order_id: String,
    /// How many events it has.
    pub(crate) version: i64,
    /// Who orders.
    pub(crate) customer_id: String,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// Sum over lines and adjustments.
    pub(crate) total_minor: i64,
    /// The step at which it is stuck.
    #[schema(example = "PaymentVoid")]
    pub(crate) step: Option<&'static str>,
    /// Why, and what is left, in words.
    #[schema(example = "stuck (CaptureFailed), waiting for PaymentVoid: void refused by the issuer")]
    pub(crate) why: String,
    /// Since when.
    pub(crate) since: String,
    /// Until when, where something happens by itself then.
    pub(crate) until: Option<String>,
    /// What may be done.
    pub(crate) may: Vec<MayShape>,
}

/// Something that may be done to a stuck order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct MayShape {
    /// The last part of its path: `retry`, `skip` or `resolve`.
    #[schema(example = "retry")]
    pub(crate) act: &'static str,
    /// Of `resolve`: how the order ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Ending>,
    /// What happens then, and what is asked of other services: the names of the messages.
    #[schema(example = json!(["OrderRetried", "RetryPayment", "VoidPayment"]))]
    pub(crate) then: Vec<String>,
}

/// Orders that wait for a person, the newest first, a page at a time.
#[utoipa::path(get, path = "/v1/stuck", tag = "orders", params(StuckQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "A page", body = StuckPage),
    ))]
pub(super) async fn list(
    State(door): Shared,
    headers: HeaderMap,
    Asked(asked): Asked<StuckQuery>,
) -> Result<Response, Problem> {
    fresh(&headers, &page_of(&door, asked).await?, None)
}

/// The page that is asked for.
pub(crate) async fn page_of(door: &Door, asked: StuckQuery) -> Result<StuckPage, Problem> {
    let limit = page(asked.limit)?;
    let filter = Filter {
        stage: Some(STUCK.to_owned()),
        customer: asked.customer.map(CustomerId::new).transpose()?.map(String::from),
        sku: asked.sku.map(Sku::new).transpose()?.map(String::from),
        behind: asked.cursor.as_deref().map(behind).transpose()?,
        ..Filter::default()
    };
    let mut found = door.reads.orders(&filter, limit + 1).await?;
    let next = last_before_next(&mut found, limit).map(|last| cursor(&last.what));
    // Of commands that are only thought of: the id decides nothing.
    let thought = CommandId::new("thought")?;
    let now = Time::from(Timestamp::now());
    let stuck = found.iter().map(|found| StuckShape::of(&found.what, &thought, now)).collect();
    Ok(StuckPage { stuck, next })
}

act!(
    /// Have the step tried again at which an order is stuck.
    retry at "/v1/orders/{id}/retry" takes RetryBody as body
    makes |order_id, command_id, by| {
        let RetryBody { step, note } = body;
        RetryOrder { order_id: order_id.clone(), command_id: command_id.clone(), step, by, note }
    }
);
act!(
    /// Take the step at which an order is stuck for done: somebody has seen to it.
    skip at "/v1/orders/{id}/skip" takes SkipBody as body
    makes |order_id, command_id, by| {
        let SkipBody { step, note } = body;
        SkipOrderStep { order_id: order_id.clone(), command_id: command_id.clone(), step, by, note: Some(note) }
    }
);
act!(
    /// End a stuck order: somebody has seen to all that is left.
    resolve at "/v1/orders/{id}/resolve" takes ResolveBody as body
    makes |order_id, command_id, by| {
        let ResolveBody { outcome, note } = body;
        let (outcome, note) = (outcome.as_str().to_owned(), Some(note));
        ResolveOrder { order_id: order_id.clone(), command_id: command_id.clone(), outcome, by, note }
    }
);

impl StuckShape {
    fn of(order: &Order, thought: &CommandId, now: Time) -> Self {
        StuckShape {
            order_id: order.order_id.to_string(),
            version: order.version,
            customer_id: order.customer_id.to_string(),
            currency: order.currency.clone(),
            total_minor: order.total_minor,
            step: order.stuck_at().map(|step| step.as_str()),
            why: stage_in_words(order),
            since: order.changed_at.to_string(),
            until: order.deadline().or(order.ship_by).map(|until| until.to_string()),
            may: may(order, thought, now),
        }
    }
}

/// What the state machine would take, and what it would make of it.
fn may(order: &Order, thought: &CommandId, now: Time) -> Vec<MayShape> {
    let (order_id, command_id) = (order.order_id.clone(), thought.clone());
    let resolve = |ending: Ending| {
        let (order_id, command_id) = (order_id.clone(), command_id.clone());
        let command = ResolveOrder { order_id, command_id, outcome: ending.as_str().to_owned(), by: None, note: None };
        ("resolve", Some(ending), OrderCommand::from(command))
    };
    let (completed, cancelled) = (resolve(Ending::Completed), resolve(Ending::Cancelled));
    let retry =
        RetryOrder { order_id: order_id.clone(), command_id: command_id.clone(), step: None, by: None, note: None };
    let skip = SkipOrderStep { order_id, command_id, step: None, by: None, note: None };
    let acts = [("retry", None, retry.into()), ("skip", None, skip.into()), completed, cancelled];
    let taken = acts.into_iter().filter_map(|(act, outcome, command)| {
        let decision = decide(Some(order), Input::Command(&command), now, &Policy::default());
        decision.change()?;
        Some(MayShape { act, outcome, then: decision.messages().map(|message| message.name().to_owned()).collect() })
    });
    taken.collect()
}
