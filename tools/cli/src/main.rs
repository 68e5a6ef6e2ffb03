//! `drdiff`: generate text, measure models and texts, verify and measure kernels, call single ops.

mod allocator;
mod bench;
mod denoise;
mod device;
mod eval;
mod eval_report;
mod generate;
mod info;
mod method;
mod op;
mod output;
mod routing;
mod samples;
mod terminal;
mod trace;
mod trajectory;
mod verify;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::{note, print};

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
    /// Measure a model on a text (likelihood bound, infill), and how varied texts are
    Eval(eval::Eval),
    /// Denoise tensors with a model: one evaluation or a whole run
    Denoise(denoise::Denoise),
    /// Compare every op with the f64 reference
    Verify(verify::Verify),
    /// Measure every op
    Bench(bench::Bench),
    /// Run one op on tensors from a file
    Op(op::OpCommand),
    /// List adapters, limits and tiers, and say what would be chosen
    Info,
}

/// Why a command ended.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => finish(output::check().and_then(|()| run(cli.command))),
        Err(error) if error.use_stderr() => error.exit(),
        // What was asked for: help, or the version.
        Err(text) => {
            let text = text.render();
            let plain = !std::io::stdout().is_terminal();
            finish(print(&if plain { text.to_string() } else { text.ansi().to_string() }))
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Generate(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Denoise(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Op(command) => command.run(),
        Command::Info => info::run(),
    }
}

fn finish(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let usage = error.downcast_ref::<drdiff::Error>().is_some_and(drdiff::Error::is_usage);
            note(format_args!("error: {}", drdiff::explain(error.as_ref())));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
