//! On what terms an order was placed: everything of `PlaceOrder` that may be left out.
//!
//! Most orders have none of it; such an order carries nothing, and neither do its row and its identity.

use std::collections::BTreeMap;

use schemas::{Adjustment, OrderId, OrderPlaced, PlaceOrder};
use serde::{Deserialize, Serialize};

/// On what terms an order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// The account of a payment provider to charge; none for the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_provider: Option<String>,
    /// The provider's token for the customer's means of payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_token: Option<String>,
    /// When the payment is taken.
    #[serde(skip_serializing_if = "is_default")]
    pub capture: Capture,
    /// How the goods leave.
    #[serde(skip_serializing_if = "is_default")]
    pub fulfilment: Fulfilment,
    /// Added to the sum of the lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// Carried unchanged into all events of the order.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The order that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_order_id: Option<OrderId>,
}

/// When the payment is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// Once the order is confirmed.
    #[default]
    AtConfirm,
    /// Once the goods have left.
    AtShipment,
}

/// How the goods leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    /// By themselves, once the order is paid.
    #[default]
    Automatic,
    /// By `ShipOrder`.
    OnCommand,
}

impl Capture {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Capture::AtConfirm => "at_confirm",
            Capture::AtShipment => "at_shipment",
        }
    }

    /// The value of this name; nothing said is the default.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Capture::default()) };
        [Capture::AtConfirm, Capture::AtShipment].into_iter().find(|one| one.as_str() == name)
    }
}

impl Fulfilment {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fulfilment::Automatic => "automatic",
            Fulfilment::OnCommand => "on_command",
        }
    }

    /// The value of this name; nothing said is the default.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else { return Some(Fulfilment::default()) };
        [Fulfilment::Automatic, Fulfilment::OnCommand].into_iter().find(|one| one.as_str() == name)
    }
}

impl Terms {
    /// What a command asks for; an unknown word stands as the default, and is what `placing` refuses.
    pub(super) fn of_command(command: &PlaceOrder) -> Self {
        Terms {
            payment_provider: command.payment_provider.clone(),
            payment_token: command.payment_token.clone(),
            capture: Capture::parse(command.capture.as_deref()).unwrap_or_default(),
            fulfilment: Fulfilment::parse(command.fulfilment.as_deref()).unwrap_or_default(),
            adjustments: command.adjustments.clone(),
            attributes: command.attributes.clone(),
            replaces_order_id: command.replaces_order_id.clone(),
        }
    }

    /// What was accepted; nothing where nothing was said.
    pub(super) fn of_placed(event: &OrderPlaced) -> Option<Box<Self>> {
        let terms = Terms {
            payment_provider: event.payment_provider.clone(),
            payment_token: event.payment_token.clone(),
            capture: Capture::parse(event.capture.as_deref()).unwrap_or_default(),
            fulfilment: Fulfilment::parse(event.fulfilment.as_deref()).unwrap_or_default(),
            adjustments: event.adjustments.clone(),
            attributes: event.attributes.clone(),
            replaces_order_id: event.replaces_order_id.clone(),
        };
        (terms != Terms::default()).then(|| Box::new(terms))
    }
}

/// Whether a payment token has digits alone, with or without blanks and dashes, as a card number has: it must never enter a topic.
pub fn is_digits_alone(token: &str) -> bool {
    let is_of_a_number = |character: char| character.is_ascii_digit() || character == ' ' || character == '-';
    !token.is_empty() && token.chars().all(is_of_a_number)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
