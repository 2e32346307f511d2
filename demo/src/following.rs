//! Reads the order service's events into the tally, and the stock events until every receipt is answered.
//!
//! Ordinary readers of public topics: nothing here knows more than any other client could.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::{Came, TopicReader};
use schemas::{Message, StockEvent};

use crate::error::DemoError;
use crate::tally::Tally;

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// Without any answer for so long, the inventory service is given up.
const STOCK_STALL: Duration = Duration::from_secs(60);

/// Reads `order.events` for as long as it is polled.
pub(crate) async fn follow_orders(mut reader: TopicReader, tally: Arc<Mutex<Tally>>) -> Result<(), DemoError> {
    loop {
        let Came::Message(record) = reader.next(TICK).await? else { continue };
        if let Message::OrderEvent(event) = &record.message {
            tally.lock().unwrap_or_else(PoisonError::into_inner).heard(event, Instant::now());
        }
    }
}

/// Waits until so many receipts are answered. `progress` hears how many are. Gives the number of refused ones.
pub(crate) async fn await_receipts(
    reader: &mut TopicReader,
    wanted: u64,
    mut progress: impl FnMut(u64),
) -> Result<u64, DemoError> {
    let (mut answered, mut refused) = (0, 0);
    let mut last = Instant::now();
    while answered < wanted {
        if last.elapsed() > STOCK_STALL {
            let words = format!("the inventory service has answered {answered} of {wanted} receipts and then no more");
            return Err(DemoError::Words(words));
        }
        let Came::Message(record) = reader.next(TICK).await? else {
            progress(answered);
            continue;
        };
        last = Instant::now();
        if let Message::StockEvent(event) = &record.message {
            answered += 1;
            match event {
                StockEvent::StockReceived(_) | StockEvent::StockAdjusted(_) | StockEvent::ProductDescribed(_) => {}
                StockEvent::StockCommandRejected(_) | StockEvent::StockCommandRefused(_) => refused += 1,
            }
        }
        if answered % 512 == 0 {
            progress(answered);
        }
    }
    Ok(refused)
}
