//! The one table of all messages: topic, group, namespace, key, record, schema versions.
//!
//! Everything that must know all of them (topics, groups and what a message says of itself, the list of types, the
//! embedded schema files, the codec's dispatch) is generated from here, so that a message is added in one line and
//! forgotten nowhere.
//!
//! A topic's head is: the topic, the group of its messages, what the group is, the topic's name on the broker, the
//! namespace, and the field that is the key. A group is one of
//!
//! - `commands`: they have neither a version nor a time;
//! - `events`: each has the `version` of its aggregate that it established, and the time `at` that it was decided;
//! - `events_and_refusals`: the same, but that refusals (`unversioned`) touch no aggregate and have the time alone.
//!
//! A line is: record name, the schema version that the Rust type is (the one that we write), the older versions that
//! are still readable, and whether the body has a `version`. Who writes and reads a topic is in `topology`.

/// Calls the macro `$then` with the table.
macro_rules! contract {
    ($then:ident) => {
        $then! {
            /// What anyone may ask of the order service.
            OrderCommands OrderCommand commands "order.commands.v1" "shop.order" (order_id: OrderId) {
                PlaceOrder 2 [1] unversioned;
                CancelOrder 2 [1] unversioned;
                RefundOrder 2 [1] unversioned;
                ShipOrder 1 [] unversioned;
                HoldOrder 1 [] unversioned;
                ReleaseOrder 1 [] unversioned;
                RejectOrder 1 [] unversioned;
                RequestReturn 1 [] unversioned;
                ReceiveReturn 1 [] unversioned;
                RetryOrder 1 [] unversioned;
                SkipOrderStep 1 [] unversioned;
                ResolveOrder 1 [] unversioned;
                RedriveDeadLetter 1 [] unversioned;
            }
            /// What the order service says happened: one per saga transition, and refused commands.
            OrderEvents OrderEvent events_and_refusals "order.events.v1" "shop.order" (order_id: OrderId) {
                OrderPlaced 2 [1] versioned;
                OrderStockReserved 2 [1] versioned;
                OrderConfirmed 2 [1] versioned;
                OrderPaymentCaptured 2 [1] versioned;
                OrderCompleted 2 [1] versioned;
                OrderCancelling 2 [1] versioned;
                OrderCancelled 2 [1] versioned;
                OrderStuck 2 [1] versioned;
                OrderRejected 2 [1] unversioned;
                OrderActionRequired 1 [] versioned;
                OrderAuthorized 1 [] versioned;
                OrderHeld 1 [] versioned;
                OrderReleased 1 [] versioned;
                OrderShipped 1 [] versioned;
                OrderStockCommitted 1 [] versioned;
                OrderRefundRequested 1 [] versioned;
                OrderRefunded 1 [] versioned;
                OrderRefundFailed 1 [] versioned;
                OrderReturnRequested 1 [] versioned;
                OrderReturnReceived 1 [] versioned;
                OrderReturnClosed 1 [] versioned;
                OrderRetried 1 [] versioned;
                OrderResolved 1 [] versioned;
                OrderCommandRefused 1 [] unversioned;
                OrderAskedAgain 1 [] versioned;
            }
            /// What the order service asks of the inventory service.
            InventoryCommands InventoryCommand commands "inventory.commands.v1" "shop.inventory" (order_id: OrderId) {
                ReserveStock 1 [] unversioned;
                CommitStock 1 [] unversioned;
                ReleaseStock 1 [] unversioned;
                ReturnStock 1 [] unversioned;
            }
            /// What the inventory service says happened to an order's reservation.
            InventoryEvents InventoryEvent events_and_refusals "inventory.events.v1" "shop.inventory" (order_id: OrderId) {
                StockReserved 1 [] versioned;
                StockRejected 1 [] versioned;
                StockCommitted 1 [] versioned;
                StockReleased 1 [] versioned;
                StockCommitRefused 1 [] unversioned;
                StockReturned 1 [] versioned;
                StockReturnRefused 1 [] unversioned;
            }
            /// What operators ask of the inventory service.
            StockCommands StockCommand commands "stock.commands.v1" "shop.stock" (sku: Sku) {
                ReceiveStock 2 [1] unversioned;
                AdjustStock 2 [1] unversioned;
                DescribeProduct 1 [] unversioned;
            }
            /// What the inventory service says happened to a SKU: to its stock and its description.
            StockEvents StockEvent events_and_refusals "stock.events.v1" "shop.stock" (sku: Sku) {
                StockReceived 2 [1] versioned;
                StockAdjusted 2 [1] versioned;
                StockCommandRejected 1 [] unversioned;
                ProductDescribed 1 [] versioned;
                StockCommandRefused 1 [] unversioned;
            }
            /// What the order service asks of the payment service.
            PaymentCommands PaymentCommand commands "payment.commands.v1" "shop.payment" (order_id: OrderId) {
                AuthorizePayment 2 [1] unversioned;
                CapturePayment 1 [] unversioned;
                VoidPayment 1 [] unversioned;
                RefundPayment 1 [] unversioned;
                RetryPayment 2 [1] unversioned;
            }
            /// What the payment service says happened to an order's payment.
            PaymentEvents PaymentEvent events "payment.events.v1" "shop.payment" (order_id: OrderId) {
                PaymentAuthorized 2 [1] versioned;
                PaymentDeclined 1 [] versioned;
                PaymentCaptured 1 [] versioned;
                PaymentCaptureFailed 1 [] versioned;
                PaymentVoided 2 [1] versioned;
                PaymentStuck 2 [1] versioned;
                PaymentRefunded 1 [] versioned;
                PaymentRefundFailed 1 [] versioned;
                PaymentRefundReversed 1 [] versioned;
                PaymentDisputed 1 [] versioned;
                PaymentActionRequired 1 [] versioned;
            }
        }
    };
}

pub(crate) use contract;
