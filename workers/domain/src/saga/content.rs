//! The identity of what was ordered: a digest over a canonical encoding of every field of `PlaceOrder`.
//!
//! It decides whether the same order id came again with the same content. It is computed from `OrderPlaced` as well, so
//! that a replay knows it without the command.

use super::terms::Terms;
use schemas::{CustomerId, OrderId, OrderLine, OrderPlaced, PlaceOrder, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 over the content of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// Of what a command asks for.
    pub fn of_command(command: &PlaceOrder) -> Self {
        let terms = Terms::of_command(command);
        digest(&command.order_id, &command.customer_id, command.placed_at, &command.currency, &command.lines, &terms)
    }

    /// Of what was accepted: equal to that of the accepted command.
    pub fn of_placed(event: &OrderPlaced) -> Self {
        let terms = Terms::of_placed(event).map(|terms| *terms).unwrap_or_default();
        digest(&event.order_id, &event.customer_id, event.placed_at, &event.currency, &event.lines, &terms)
    }

    /// From stored bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        ContentDigest(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Every text is preceded by its length, every number has eight bytes: no two contents have the same encoding. Terms come last,
/// and only where there are any, so that an order without them has the identity that it always had.
fn digest(
    order_id: &OrderId,
    customer_id: &CustomerId,
    placed_at: Time,
    currency: &str,
    lines: &[OrderLine],
    terms: &Terms,
) -> ContentDigest {
    let mut encoded = Vec::with_capacity(160 + 40 * lines.len());
    let text = |encoded: &mut Vec<u8>, text: &str| {
        encoded.extend((text.len() as u64).to_be_bytes());
        encoded.extend(text.as_bytes());
    };
    encoded.extend(b"shop.order.PlaceOrder/1\0");
    text(&mut encoded, order_id.as_str());
    text(&mut encoded, customer_id.as_str());
    encoded.extend(placed_at.as_micros().to_be_bytes());
    text(&mut encoded, currency);
    encoded.extend((lines.len() as u64).to_be_bytes());
    for line in lines {
        text(&mut encoded, line.sku.as_str());
        encoded.extend(line.quantity.to_be_bytes());
        encoded.extend(line.unit_price_minor.to_be_bytes());
    }
    if *terms != Terms::default() {
        encode_terms(terms, &mut encoded, text);
    }
    ContentDigest(Sha256::digest(&encoded).into())
}

fn encode_terms(terms: &Terms, encoded: &mut Vec<u8>, text: impl Fn(&mut Vec<u8>, &str)) {
    let Terms { payment_provider, payment_token, capture, fulfilment, adjustments, attributes, replaces_order_id } =
        terms;
    let replaced = replaces_order_id.as_ref().map(OrderId::as_str);
    for optional in [payment_provider.as_deref(), payment_token.as_deref(), replaced] {
        encoded.push(u8::from(optional.is_some()));
        text(encoded, optional.unwrap_or_default());
    }
    text(encoded, capture.as_str());
    text(encoded, fulfilment.as_str());
    encoded.extend((adjustments.len() as u64).to_be_bytes());
    for adjustment in adjustments {
        text(encoded, &adjustment.kind);
        encoded.extend(adjustment.amount_minor.to_be_bytes());
        encoded.extend(adjustment.line.map_or(-1, i64::from).to_be_bytes());
    }
    encoded.extend((attributes.len() as u64).to_be_bytes());
    for (name, value) in attributes {
        text(encoded, name);
        text(encoded, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{Adjustment, Sku};

    fn command() -> PlaceOrder {
        let line = |sku: &str, quantity, unit_price_minor| OrderLine {
            sku: Sku::new(sku).unwrap(),
            quantity,
            unit_price_minor,
        };
        PlaceOrder::new(
            OrderId::new("o-1").unwrap(),
            CustomerId::new("c-1").unwrap(),
            Time::from_micros(1_700_000_000_000_000),
            "EUR",
            vec![line("ab", 1, 250), line("c", 2, 1)],
        )
    }

    #[test]
    fn every_field_counts() {
        let base = command();
        let changes: [fn(&mut PlaceOrder); 18] = [
            |c| c.order_id = OrderId::new("o-2").unwrap(),
            |c| c.customer_id = CustomerId::new("c-2").unwrap(),
            |c| c.placed_at = c.placed_at.plus_ms(1),
            |c| c.currency = "USD".into(),
            |c| c.lines.truncate(1),
            |c| c.lines.reverse(),
            |c| c.lines[0].sku = Sku::new("a").unwrap(),
            |c| c.lines[0].quantity = 2,
            |c| c.lines[1].unit_price_minor = 2,
            |c| c.payment_provider = Some("p".into()),
            |c| c.payment_token = Some("p".into()),
            |c| c.capture = Some("at_shipment".into()),
            |c| c.fulfilment = Some("on_command".into()),
            |c| c.adjustments = vec![Adjustment { kind: "fee".into(), amount_minor: 1, line: None }],
            |c| c.adjustments = vec![Adjustment { kind: "fee".into(), amount_minor: 1, line: Some(1) }],
            |c| c.attributes = [("a".into(), "bc".into())].into(),
            |c| c.attributes = [("ab".into(), "c".into())].into(),
            |c| c.replaces_order_id = Some(OrderId::new("p").unwrap()),
        ];
        let all = changes.map(|change| {
            let mut other = base.clone();
            change(&mut other);
            ContentDigest::of_command(&other)
        });
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|digest| digest.as_bytes()).collect();
        assert_eq!(distinct.len(), all.len());
        for (index, change) in changes.into_iter().enumerate() {
            let mut other = base.clone();
            change(&mut other);
            assert_ne!(ContentDigest::of_command(&other), ContentDigest::of_command(&base), "change {index}");
        }
    }

    #[test]
    fn the_encoding_is_pinned() {
        let digest = ContentDigest::of_command(&command());
        let hex: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a6411adf5560ee8324f3e3cdd1cd2e81f442942904897cd926aa62895ee26fe9");
    }
}
