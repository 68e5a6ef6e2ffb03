//! drdiff's CPU device against candle's, in one process, in turn.
//!
//! ```sh
//! RAYON_NUM_THREADS=2 benches/peers/target/release/peer-candle [FILTER]
//! ```

mod theirs;

use std::process::ExitCode;

use clap::Parser;
use drdiff::Device;
use drdiff_peers::{Options, Outcome, cases, contest, heading, ours};

#[derive(Parser)]
#[command(about = "drdiff's CPU device against candle's, in turn: a table")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn run(arguments: &Arguments) -> Outcome<()> {
    eprintln!("device: {}; candle 0.11", Device::Cpu.name());
    print!("{}", heading());
    for case in cases().iter().filter(|case| arguments.options.takes(case)) {
        let theirs = theirs::ways(case)?;
        if !theirs.is_empty() {
            print!("{}", contest(case, ours(case, &Device::Cpu), theirs, &arguments.options)?);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
