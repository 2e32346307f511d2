//! The program `demo`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    demo::main()
}
