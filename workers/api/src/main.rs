//! The door's daemon; see `order_api::daemon`.

use std::process::ExitCode;

/// What streams and saturation leave behind goes back to the system; glibc keeps it, in pieces that it searches for each allocation.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    order_api::daemon::main(std::env::args_os())
}
