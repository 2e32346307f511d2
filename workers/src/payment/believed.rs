//! A planted bug: what a webhook says of a dispute is believed, as if the provider had been asked.
//!
//! Without the feature `planted-bugs` nothing is heard, and the provider stays the one that it is.

#[cfg(feature = "planted-bugs")]
pub(crate) use built_in::{hear, or_what_was_heard, plant};
#[cfg(not(feature = "planted-bugs"))]
pub(crate) use left_out::{hear, or_what_was_heard, plant};

#[cfg(feature = "planted-bugs")]
mod built_in {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use domain::provider::{Asked, Looked, Provider, ProviderRequest, Sighting};
    use schemas::OrderId;
    use serde_json::Value;

    use crate::planted::Planted;

    static IS_ON: AtomicBool = AtomicBool::new(false);
    static HEARD: Mutex<Vec<(OrderId, Sighting)>> = Mutex::new(Vec::new());

    /// From now on, if this is the bug.
    pub(crate) fn plant(planted: Planted) {
        IS_ON.store(planted.is_webhook_believed, Ordering::Relaxed);
    }

    /// A webhook said this of the order.
    pub(crate) fn hear(order_id: &OrderId, event: &Value) {
        let object = event.pointer("/data/object").unwrap_or(&Value::Null);
        if !IS_ON.load(Ordering::Relaxed) || object["object"] != "dispute" {
            return;
        }
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let sighting = Sighting::Disputed {
            dispute_id: text("id"),
            status: text("status"),
            amount_minor: object["amount"].as_i64().unwrap_or_default(),
            currency: text("currency").to_ascii_uppercase(),
            fee_minor: 0,
        };
        HEARD.lock().unwrap_or_else(PoisonError::into_inner).push((order_id.clone(), sighting));
    }

    /// A provider that says what was heard instead of what it is asked for.
    pub(crate) fn or_what_was_heard(provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
        if IS_ON.load(Ordering::Relaxed) { Arc::new(Believing(provider)) } else { provider }
    }

    struct Believing(Arc<dyn Provider>);

    impl Provider for Believing {
        fn execute<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a> {
            self.0.execute(request)
        }

        fn look_up<'a>(&'a self, request: &'a ProviderRequest) -> Asked<'a> {
            self.0.look_up(request)
        }

        fn sightings<'a>(&'a self, request: &'a ProviderRequest) -> Looked<'a> {
            let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
            let of_order = heard.iter().filter(|(order_id, _)| *order_id == request.order_id);
            let said = of_order.map(|(_, sighting)| sighting.clone()).collect();
            Box::pin(std::future::ready(Ok(said)))
        }
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod left_out {
    use std::sync::Arc;

    use domain::provider::Provider;
    use schemas::OrderId;
    use serde_json::Value;

    use crate::planted::Planted;

    /// Nothing is planted.
    pub(crate) fn plant(_: Planted) {}

    /// What a webhook says is not listened to.
    pub(crate) fn hear(_: &OrderId, _: &Value) {}

    /// The provider itself.
    pub(crate) fn or_what_was_heard(provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
        provider
    }
}
