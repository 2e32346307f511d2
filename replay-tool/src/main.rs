//! The program `replay-tool`; everything is in the library.

use std::process::ExitCode;

/// Decoding and folding make and drop millions of small values: with the C library's allocator they take twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    replay_tool::cli::main(std::env::args_os())
}
