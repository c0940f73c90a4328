//! The command `driftd`.

use std::process::ExitCode;

/// Records are allocated by the thread that reads and freed by the one that folds, which this
/// allocator does not mind.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    driftd::cli::main()
}
