//! What is sent: a path and a form. The key of the effect goes as `Idempotency-Key`, and as `metadata[key]`, by which it is found again.

use domain::provider::{IdempotencyKey, ProviderRequest};
use url::form_urlencoded::Serializer;

/// Under which name of the metadata the key stands.
pub(crate) const KEY: &str = "key";

/// The most objects of a page.
const PAGE: &str = "100";

/// A request that may have an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post<'a> {
    pub(crate) path: String,
    pub(crate) form: String,
    pub(crate) key: &'a IdempotencyKey,
}

/// Hold the amount with this token; a customer who has to act comes back to this address.
pub(crate) fn authorize<'a>(
    request: &'a ProviderRequest,
    amount: i64,
    token: &str,
    return_url: Option<&str>,
) -> Post<'a> {
    let amount = amount.to_string();
    let currency = request.currency.to_ascii_lowercase();
    let mut fields = vec![
        ("amount", amount.as_str()),
        ("currency", currency.as_str()),
        ("payment_method", token),
        ("payment_method_types[]", "card"),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("metadata[order_id]", request.order_id.as_str()),
        ("metadata[key]", request.key.as_str()),
        ("expand[]", "latest_charge"),
    ];
    fields.extend(return_url.map(|url| ("return_url", url)));
    Post { path: "payment_intents".into(), form: form(&fields), key: &request.key }
}

/// Take this much of what is held; the rest is let go.
pub(crate) fn capture<'a>(request: &'a ProviderRequest, amount: i64, reference: &str) -> Post<'a> {
    let form = form(&[("amount_to_capture", &amount.to_string())]);
    Post { path: format!("payment_intents/{}/capture", of_path(reference)), form, key: &request.key }
}

/// Let go of what is held.
pub(crate) fn cancel<'a>(request: &'a ProviderRequest, reference: &str) -> Post<'a> {
    let path = format!("payment_intents/{}/cancel", of_path(reference));
    Post { path, form: String::new(), key: &request.key }
}

/// Give this much back.
pub(crate) fn refund<'a>(request: &'a ProviderRequest, amount: i64, reference: &str) -> Post<'a> {
    let form = form(&[
        ("payment_intent", reference),
        ("amount", &amount.to_string()),
        ("metadata[order_id]", request.order_id.as_str()),
        ("metadata[key]", request.key.as_str()),
    ]);
    Post { path: "refunds".into(), form, key: &request.key }
}

/// The path of a payment, as it is now.
pub(crate) fn payment(reference: &str) -> String {
    format!("payment_intents/{}?{}", of_path(reference), form(&[("expand[]", "latest_charge")]))
}

/// The path of a refund, as it is now.
pub(crate) fn refund_of(reference: &str) -> String {
    format!("refunds/{}", of_path(reference))
}

/// The payments that carry this key.
pub(crate) fn payments_by_key(key: &IdempotencyKey) -> String {
    // Within quotes of the query language a quote is escaped; a key has none, but an order's id may.
    let quoted = key.as_str().replace('\\', "\\\\").replace('\'', "\\'");
    let query = format!("metadata['{KEY}']:'{quoted}'");
    format!("payment_intents/search?{}", form(&[("query", &query), ("expand[]", "data.latest_charge")]))
}

/// The refunds of a payment, the newest first, after this one.
pub(crate) fn refunds(reference: &str, after: Option<&str>) -> String {
    let mut fields = vec![("payment_intent", reference), ("limit", PAGE)];
    fields.extend(after.map(|after| ("starting_after", after)));
    format!("refunds?{}", form(&fields))
}

fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A reference is the provider's own; whatever it is, it stays one segment of the path.
fn of_path(reference: &str) -> String {
    Serializer::new(String::new()).append_key_only(reference).finish()
}

#[cfg(test)]
mod tests {
    use domain::provider::{Operation, PaymentMethod};
    use schemas::{CustomerId, OrderId};

    use super::*;

    fn request() -> ProviderRequest {
        let order_id = OrderId::new("o-1").unwrap();
        ProviderRequest {
            key: IdempotencyKey::new(&order_id, Operation::Authorize, 1),
            order_id,
            operation: Operation::Authorize,
            customer_id: CustomerId::new("c-1").unwrap(),
            currency: "EUR".into(),
            amount_minor: 1_050,
            authorization: None,
            method: Some(PaymentMethod { provider: String::new(), token: "pm_card_visa".into() }),
            sent_before: 0,
        }
    }

    #[test]
    fn an_authorization_holds_and_takes_nothing_yet() {
        let request = request();
        let post = authorize(&request, 1_050, "pm_card_visa", None);
        assert_eq!(post.key.as_str(), "o-1/authorize/1");
        for part in ["capture_method=manual", "confirm=true", "currency=eur", "metadata%5Bkey%5D=o-1%2Fauthorize%2F1"] {
            assert!(post.form.contains(part), "{}", post.form);
        }
    }

    #[test]
    fn what_others_wrote_leaves_neither_the_path_nor_the_query() {
        assert_eq!(capture(&request(), 5, "pi_1/../refunds").path, "payment_intents/pi_1%2F..%2Frefunds/capture");
        let order_id = OrderId::new("o'1").unwrap();
        let path = payments_by_key(&IdempotencyKey::new(&order_id, Operation::Authorize, 1));
        assert!(path.contains("o%5C%271%2Fauthorize%2F1"), "{path}");
    }
}
