//! The binary, for tests.

use std::process::Command;

/// Where the workspace is: commands run there.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// `drdiff`, to be started through the runner that brings the software driver where there is one.
pub fn command() -> Command {
    let binary = env!("CARGO_BIN_EXE_drdiff");
    let mut command = match std::env::var_os("DRDIFF_RUNNER") {
        Some(runner) => {
            let mut command = Command::new(runner);
            command.arg(binary);
            command
        }
        None => Command::new(binary),
    };
    command.current_dir(ROOT).env_remove("DRDIFF_MODEL");
    command
}
