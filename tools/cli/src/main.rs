//! `drdiff`: generate text, measure models and texts, verify and measure kernels, call single ops.

mod allocator;
mod bench;
mod device;
mod eval;
mod eval_report;
mod generate;
mod info;
mod method;
mod op;
mod routing;
mod samples;
mod terminal;
mod trace;
mod trajectory;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "drdiff", version, about = "Diffusion text models on any GPU", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Generate text
    Generate(generate::Generate),
    /// Bound the likelihood of a text, fill in its gaps, and count what samples are made of
    Eval(eval::Eval),
    /// Hold every op against the f64 reference
    Verify(verify::Verify),
    /// Measure every op
    Bench(bench::Bench),
    /// Call one op on tensors from a file
    Op(op::OpCommand),
    /// List adapters, limits and tiers, and say what would be chosen
    Info,
}

/// Why a command ended.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Generate(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Op(command) => command.run(),
        Command::Info => info::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let usage = error.downcast_ref::<drdiff::Error>().is_some_and(drdiff::Error::is_usage);
            note(format_args!("error: {}", drdiff::explain(error.as_ref())));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// Prints to standard output; a closed pipe is the reader's choice and no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Says something on standard error; where that is closed, there is nobody to tell.
fn note(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
