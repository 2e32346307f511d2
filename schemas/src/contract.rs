//! The one table of all messages: topic, group, namespace, key, record, schema versions.
//!
//! Everything that must know all of them (the list of types, the look-ups on `Message`, the embedded schema files,
//! the codec's dispatch) is generated from here, so that a message is added in one line and forgotten nowhere.
//!
//! A line is: record name, the schema version that the Rust type is (the one that we write), the older versions that
//! are still readable, and whether the body has a `version` of its aggregate.

/// Calls the macro `$then` with the table.
macro_rules! contract {
    ($then:ident) => {
        $then! {
            OrderCommands OrderCommand "order.commands.v1" "shop.order" order_id {
                PlaceOrder 1 [] unversioned;
                CancelOrder 1 [] unversioned;
                RefundOrder 1 [] unversioned;
            }
            OrderEvents OrderEvent "order.events.v1" "shop.order" order_id {
                OrderPlaced 1 [] versioned;
                OrderStockReserved 1 [] versioned;
                OrderConfirmed 1 [] versioned;
                OrderPaymentCaptured 1 [] versioned;
                OrderCompleted 1 [] versioned;
                OrderCancelling 1 [] versioned;
                OrderCancelled 1 [] versioned;
                OrderStuck 1 [] versioned;
                OrderRejected 1 [] unversioned;
            }
            InventoryCommands InventoryCommand "inventory.commands.v1" "shop.inventory" order_id {
                ReserveStock 1 [] unversioned;
                CommitStock 1 [] unversioned;
                ReleaseStock 1 [] unversioned;
            }
            InventoryEvents InventoryEvent "inventory.events.v1" "shop.inventory" order_id {
                StockReserved 1 [] versioned;
                StockRejected 1 [] versioned;
                StockCommitted 1 [] versioned;
                StockReleased 1 [] versioned;
                StockCommitRefused 1 [] unversioned;
            }
            StockCommands StockCommand "stock.commands.v1" "shop.stock" sku {
                ReceiveStock 1 [] unversioned;
                AdjustStock 1 [] unversioned;
            }
            StockEvents StockEvent "stock.events.v1" "shop.stock" sku {
                StockReceived 1 [] versioned;
                StockAdjusted 1 [] versioned;
                StockCommandRejected 1 [] unversioned;
            }
            PaymentCommands PaymentCommand "payment.commands.v1" "shop.payment" order_id {
                AuthorizePayment 1 [] unversioned;
                CapturePayment 1 [] unversioned;
                VoidPayment 1 [] unversioned;
            }
            PaymentEvents PaymentEvent "payment.events.v1" "shop.payment" order_id {
                PaymentAuthorized 1 [] versioned;
                PaymentDeclined 1 [] versioned;
                PaymentCaptured 1 [] versioned;
                PaymentCaptureFailed 1 [] versioned;
                PaymentVoided 1 [] versioned;
                PaymentStuck 1 [] versioned;
            }
        }
    };
}

pub(crate) use contract;
