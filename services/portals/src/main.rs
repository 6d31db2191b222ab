//! The binary: what came in from outside goes to [`portals::run`], what it says becomes the exit code.
//!
//! It knows nothing else.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portals::run(std::env::args_os(), std::env::vars_os())
}
