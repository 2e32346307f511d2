//! The ids (`ce_id`) of what the services emit: a function of what was decided, so that redelivery and replay give
//! the same id again and a consumer can drop the second copy.
//!
//! UUIDs of version 5 over a readable name. Each kind of name has a namespace of its own, because an order id may
//! hold any printable text, also one that looks like a topic and an offset.

use std::fmt::Display;

use uuid::Uuid;

/// Names `<service>/<aggregate id>/<version>/<index>`.
const OF_VERSION: Uuid = Uuid::from_u128(0x8a5c_2f0e_6d3b_5b7e_9c41_0f62_7be1_d9a4);
/// Names `<SKU>/<version>/<index>`.
const OF_SKU_VERSION: Uuid = Uuid::from_u128(0x1f7d_94b3_0a86_58c2_b5e0_63a9_48cf_2d17);
/// Names `<service>/<topic>/<partition>/<offset>/<index>`.
const OF_INPUT: Uuid = Uuid::from_u128(0xc36e_b815_57f2_5a09_8d74_e12b_90a6_3f5c);

/// The id of a message that goes with a version of an order, a reservation or a payment.
///
/// `service` is the emitting service's name; `index` is the message's place in the list that the transition emitted: the event 0, the commands after it.
pub fn of_version(service: impl Display, aggregate_id: &str, version: i64, index: u32) -> Uuid {
    Uuid::new_v5(&OF_VERSION, format!("{service}/{aggregate_id}/{version}/{index}").as_bytes())
}

/// The id of a message that goes with a version of a SKU. Not `of_version`: an order may have a SKU's text as its id.
pub fn of_sku_version(sku: &str, version: i64, index: u32) -> Uuid {
    Uuid::new_v5(&OF_SKU_VERSION, format!("{sku}/{version}/{index}").as_bytes())
}

/// The id of a message without a version (a rejection, a dead letter), by the record that it answers.
///
/// `topic` is the name without a deployment's prefix.
pub fn of_input(service: impl Display, topic: &str, partition: i32, offset: i64, index: u32) -> Uuid {
    Uuid::new_v5(&OF_INPUT, format!("{service}/{topic}/{partition}/{offset}/{index}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceName;

    /// Published ids never change: consumers elsewhere have stored them.
    #[test]
    fn ids_are_what_they_always_were() {
        assert_eq!(of_version(ServiceName::Order, "o-1", 2, 0).to_string(), "642089e0-2bc2-5900-a9a3-5334a332f18e");
        assert_eq!(of_sku_version("sku-1", 2, 0).to_string(), "cb5205f5-ff1e-50d7-964c-a3b3e1d8e8bb");
        assert_eq!(
            of_input(ServiceName::Order, "order.commands.v1", 3, 77, 0).to_string(),
            "e6bf8ce3-fe16-5cd0-94f5-1f80ccb02474"
        );
    }

    #[test]
    fn an_order_id_that_looks_like_a_topic_gives_another_id() {
        let order = of_version(ServiceName::Order, "order.commands.v1/3", 77, 0);
        assert_ne!(order, of_input(ServiceName::Order, "order.commands.v1", 3, 77, 0));
    }

    #[test]
    fn every_part_of_the_name_matters() {
        let id = of_version(ServiceName::Order, "o-1", 2, 0);
        assert_ne!(id, of_version(ServiceName::Payment, "o-1", 2, 0));
        assert_ne!(id, of_version(ServiceName::Order, "o-2", 2, 0));
        assert_ne!(id, of_version(ServiceName::Order, "o-1", 3, 0));
        assert_ne!(id, of_version(ServiceName::Order, "o-1", 2, 1));
    }
}
