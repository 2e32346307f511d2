//! `cargo bench-api`: the door over HTTP, beside bare handlers that do the same for one request and nothing else.
//!
//! Not a test: it fails only when something breaks or an order is lost, never because a goal is missed.

use std::process::ExitCode;

/// As `order-api` has it; so the bare handlers have it too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    bench::api_main()
}
