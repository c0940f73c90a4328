//! The command `driftd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    driftd::cli::main()
}
