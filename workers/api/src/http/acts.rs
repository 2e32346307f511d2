//! What is done to an order that is there: each request is one command, with who asks, and the order service decides.
//!
//! The `Idempotency-Key` is the command's id. A command that the order has taken already is not published again; nor would it matter.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::saga::Order;
use schemas::{
    CancelOrder, CommandId, HoldOrder, LineQuantity, OrderCommand, OrderId, RefundOrder, RejectOrder, ReleaseOrder,
    ShipOrder, TopicName,
};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::answer::{Accepted, fresh, order_path, preferred};
use super::awaited::Awaited;
use super::orders::no_order;
use super::problem::Problem;
use super::request::{Body, OrderOf, command_id, deadline, time};
use super::shapes::{OrderShape, PiecesShape};
use super::{Door, Shared};
use crate::keys::Caller;
use crate::position::Position;
use crate::view::Standing;

/// Why an order is cancelled, released or whatever else is done to it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyBody {
    /// As a code of yours.
    reason_code: Option<String>,
    /// In words.
    note: Option<String>,
}

/// Why an order is released.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoteBody {
    /// In words.
    note: Option<String>,
}

/// What leaves.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipBody {
    /// Which lines; everything, where it is left out.
    #[serde(default)]
    lines: Vec<PiecesShape>,
    /// Who carries it.
    #[schema(example = "DHL")]
    carrier: Option<String>,
    /// The carrier's number.
    tracking: Option<String>,
    /// In words.
    note: Option<String>,
}

/// What is given back.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundBody {
    /// How much, in minor units; what the lines cost, or, without lines, all that is left.
    #[schema(example = 250)]
    amount_minor: Option<i64>,
    /// Which lines it is for.
    #[serde(default)]
    lines: Vec<PiecesShape>,
    /// Why, as a code of yours.
    reason_code: Option<String>,
    /// In words.
    note: Option<String>,
}

/// Why an order is held.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldBody {
    /// As a code of yours.
    #[schema(example = "fraud_check")]
    reason_code: String,
    /// Until then (RFC 3339) it is released, or it is undone.
    until: Option<String>,
    /// In words.
    note: Option<String>,
}

/// Why an order is undone.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RejectBody {
    /// As a code of yours.
    #[schema(example = "fraud")]
    reason_code: String,
    /// In words.
    note: Option<String>,
}

pub(super) fn pieces(lines: Vec<PiecesShape>) -> Vec<LineQuantity> {
    lines.into_iter().map(|PiecesShape { line, quantity }| LineQuantity { line, quantity }).collect()
}

/// A route that publishes one command: its document, the body that it takes, and the command that it makes.
macro_rules! act {
    (
        $(#[doc = $doc:literal])+
        $name:ident at $path:literal takes $body:ty as $given:ident
        makes |$order:ident, $command:ident, $by:ident| $make:expr
    ) => {
        $(#[doc = $doc])+
        #[utoipa::path(post, path = $path, tag = "orders", request_body = Option<$body>,
            params(
                ("id" = String, Path),
                ("Idempotency-Key" = String, Header, description = "Yours, new for each thing to do: the command's id"),
                ("Prefer" = Option<String>, Header, description = "wait=SECONDS, at most 30: answer with what came of it"),
            ),
            responses(
                (status = 200, description = "It was done, or begun: the order as it stands", body = OrderShape),
                (status = 202, description = "It is on its way; Location says where to look", body = Accepted),
            ))]
        pub(super) async fn $name(
            State(door): Shared,
            Extension(caller): Extension<Caller>,
            OrderOf($order): OrderOf,
            headers: HeaderMap,
            Body($given): Body<$body>,
        ) -> Result<Response, Problem> {
            let $command = command_id(&headers)?;
            let $by = Some(caller.name().to_owned());
            carry_out(&door, &headers, $order.clone(), $command.clone(), OrderCommand::from($make)).await
        }
    };
}

pub(super) use act;

act!(
    /// Let the goods of a confirmed order leave.
    ship at "/v1/orders/{id}/ship" takes ShipBody as body
    makes |order_id, command_id, by| {
        let ShipBody { lines, carrier, tracking, note } = body;
        ShipOrder { order_id: order_id.clone(), command_id: command_id.clone(), lines: pieces(lines), carrier, tracking, by, note }
    }
);
act!(
    /// Cancel an order whose goods have not left.
    cancel at "/v1/orders/{id}/cancel" takes WhyBody as body
    makes |order_id, command_id, by| {
        let WhyBody { reason_code, note } = body;
        CancelOrder { order_id: order_id.clone(), command_id: command_id.clone(), reason_code, by, note }
    }
);
act!(
    /// Give money back for an order that is paid.
    refund at "/v1/orders/{id}/refunds" takes RefundBody as body
    makes |order_id, command_id, by| {
        let RefundBody { amount_minor, lines, reason_code, note } = body;
        let lines = pieces(lines);
        RefundOrder { order_id: order_id.clone(), command_id: command_id.clone(), amount_minor, lines, reason_code, by, note }
    }
);
act!(
    /// Stop an order before it is confirmed or shipped, until somebody has looked.
    hold at "/v1/orders/{id}/hold" takes HoldBody as body
    makes |order_id, command_id, by| {
        let HoldBody { reason_code, until, note } = body;
        let until = until.as_deref().map(|text| time("until", text)).transpose()?;
        HoldOrder { order_id: order_id.clone(), command_id: command_id.clone(), reason_code, until, by, note }
    }
);
act!(
    /// Let a held order go on.
    release at "/v1/orders/{id}/release" takes NoteBody as body
    makes |order_id, command_id, by| {
        let NoteBody { note } = body;
        ReleaseOrder { order_id: order_id.clone(), command_id: command_id.clone(), by, note }
    }
);
act!(
    /// Undo an order that somebody has looked at.
    reject at "/v1/orders/{id}/reject" takes RejectBody as body
    makes |order_id, command_id, by| {
        let RejectBody { reason_code, note } = body;
        RejectOrder { order_id: order_id.clone(), command_id: command_id.clone(), reason_code, by, note }
    }
);

/// What came of a command.
pub(crate) enum Fate {
    /// It was done, or begun, now or before: the order as it stands.
    Done {
        /// As the read model has it.
        order: Box<Standing<Order>>,
        /// Whether that was waited for.
        is_awaited: bool,
    },
    /// It is published, and nobody waited for its answer for longer.
    OnItsWay(Position),
}

impl Door {
    /// Publishes it, unless the order has taken it already, and waits for its answer until then. A refusal is the problem.
    pub(crate) async fn act(
        &self,
        command: OrderCommand,
        command_id: &CommandId,
        until: Option<Instant>,
        headers: &HeaderMap,
    ) -> Result<Fate, Problem> {
        let id = command.key().clone();
        // Before the command: its answer must not be missed.
        let awaited = Awaited::until(until, self, TopicName::OrderEvents, id.as_str());
        let done = |order, is_awaited| Fate::Done { order: Box::new(order), is_awaited };
        if let Some(found) = self.reads.order(&id).await?.filter(|found| found.what.has_taken(command_id)) {
            return Ok(done(found, false));
        }
        let position = self.publish(command.into(), headers).await?;
        if let Some(awaited) = awaited
            && awaited.carried_out(self, &position).await?
        {
            return match self.reads.order(&id).await? {
                Some(found) => Ok(done(found, true)),
                None => Err(no_order(self, &id).await?),
            };
        }
        Ok(Fate::OnItsWay(position))
    }
}

/// Carries it out, and answers as the caller prefers.
pub(super) async fn carry_out(
    door: &Door,
    headers: &HeaderMap,
    id: OrderId,
    command_id: CommandId,
    command: OrderCommand,
) -> Result<Response, Problem> {
    match door.act(command, &command_id, deadline(headers), headers).await? {
        Fate::Done { order, is_awaited } => {
            let answer = fresh(&HeaderMap::new(), &OrderShape::of(&order.what), order.position.as_ref())?;
            Ok(if is_awaited { preferred(answer) } else { answer })
        }
        Fate::OnItsWay(position) => Ok(Accepted::command(Some(&id), &command_id, &position).answer(&order_path(&id))),
    }
}
