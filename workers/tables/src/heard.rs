//! What was said about an order or a SKU, and where: of the read model alone.

use super::{Timestamptz, table};

table!(
    /// A message that was read.
    HeardRow in "heard", key (topic: String, key: String, log_offset: i64), guard () {
        once log_partition: i32,
        once version: Option<i64>,
        once name: String,
        once at: Timestamptz,
        once cause: Option<String>,
        once body: String,
    }
);
