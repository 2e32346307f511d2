//! What the order service is asked and what it says.

mod commands;
mod events;

pub use commands::*;
pub use events::*;

use crate::symbols::symbols;

symbols!(
    /// Kinds of mistakes in a command.
    RejectionCode {
        /// `PlaceOrder` without a line.
        NoLines,
        /// More lines than `MAX_LINES`.
        TooManyLines,
        /// A quantity of 0 or less.
        QuantityNotPositive,
        /// A price below 0.
        PriceNegative,
        /// Not a current ISO 4217 code.
        CurrencyUnknown,
        /// A line's or the order's total does not fit into 64 bits.
        AmountOverflow,
        /// The id belongs to an order with other content.
        ContentDiffers,
        /// No order has this id.
        OrderUnknown,
        /// The order is completed, cancelled or stuck.
        OrderFinished,
        /// The goods are leaving: it can no longer be cancelled.
        TooLate,
        /// The order service does not carry out this command.
        NotSupported,
    }
);

symbols!(
    /// The commands on `order.commands.v1` by name.
    OrderCommandName {
        /// `PlaceOrder`.
        PlaceOrder,
        /// `CancelOrder`.
        CancelOrder,
        /// `RefundOrder`.
        RefundOrder,
    }
);

symbols!(
    /// Why an order is undone.
    CancelReason {
        /// Inventory refused the reservation.
        OutOfStock,
        /// Payment refused the authorization.
        PaymentDeclined,
        /// `confirm_by` passed.
        DeadlinePassed,
        /// Somebody asked for it.
        Requested,
        /// The capture failed for good.
        CaptureFailed,
    }
);

symbols!(
    /// The reply that an order waits for.
    Awaiting {
        /// To `ReserveStock`.
        StockReservation,
        /// To `AuthorizePayment`.
        PaymentAuthorization,
        /// To `CapturePayment`.
        PaymentCapture,
        /// To `CommitStock`.
        StockCommit,
        /// To `VoidPayment`; the stock is released after it.
        PaymentVoid,
        /// To `ReleaseStock`.
        StockRelease,
    }
);
