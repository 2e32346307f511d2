//! The headers of a record, read so that no stranger can stop a worker with them.
//!
//! The client library panics over a header name that is not UTF-8, and whoever may write to a topic can send one. Such a
//! header cannot be had at all: it is passed over and counted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Headers, Message as _};

/// Shows each header, in order; gives the number of those that cannot be read.
pub fn visit<'m>(message: &'m BorrowedMessage<'_>, mut show: impl FnMut(&'m str, Option<&'m [u8]>)) -> usize {
    let Some(headers) = message.headers() else { return 0 };
    let (mut index, mut unreadable) = (0, 0);
    loop {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            while let Some(header) = headers.try_get(index) {
                index += 1;
                show(header.key, header.value);
            }
        }));
        if ended.is_ok() {
            return unreadable;
        }
        index += 1;
        unreadable += 1;
    }
}
