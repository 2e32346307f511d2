//! The three services, each as its settings say.

use std::sync::Arc;

use domain::provider::Provider;
use domain::{charge, saga};

use crate::config::Config;
use crate::daemon::DaemonError;
use crate::inventory::InventoryService;
use crate::order::OrderService;
use crate::payment::{Lookout, PaymentService};
use crate::planted::Planted;

/// The order service.
///
/// # Errors
/// Never.
pub(crate) fn order(config: &Config, planted: Planted, partitions: i32) -> Result<OrderService, DaemonError> {
    let policy = saga::Policy {
        confirm_within_ms: config.confirm_within_ms,
        ship_within_ms: config.ship_within_ms,
        hold_within_ms: config.hold_within_ms,
        return_within_ms: config.return_within_ms,
        hold_above_minor: config.hold_above_minor,
        hold_customers: config.hold_customers.iter().cloned().collect(),
    };
    Ok(OrderService::new(policy, planted.decisions, partitions))
}

/// The inventory service.
///
/// # Errors
/// Never.
pub(crate) fn inventory(_: &Config, planted: Planted, _: i32) -> Result<InventoryService, DaemonError> {
    Ok(InventoryService::new(planted.decisions))
}

/// The payment service, which learns by this lookout of what its provider says afterwards.
pub(crate) fn payment(
    config: &Config,
    planted: Planted,
    partitions: i32,
    provider: Arc<dyn Provider>,
    lookout: Lookout,
) -> PaymentService {
    let action_within_ms = config.payment.customer_action_timeout_ms;
    let policy = charge::Policy { action_within_ms, ..charge::Policy::default() };
    PaymentService::new(policy, planted.decisions, partitions, provider, config.payment.provider_calls, lookout)
}
