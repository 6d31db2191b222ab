//! The binary: what came in from outside goes to [`portals::run`], what it says becomes the exit code.
//!
//! It knows nothing else.

use std::process::ExitCode;

#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    portals::run(std::env::args_os(), std::env::vars_os())
}
