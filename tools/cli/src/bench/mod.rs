//! `drdiff bench`: time of every op, against its FLOPs and bytes.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use drdiff::gpu::BoundsChecks;
use drdiff::graph::{Call, ExecutorOptions};
use drdiff::op::Cost;
use drdiff::{Device, GpuOptions};
use drdiff_check::{Gen, benches};
use serde_json::json;

use crate::device::DeviceArgs;
use crate::verify::entries;
use crate::{Failure, print};

#[derive(Args)]
pub struct Bench {
    /// Only this op
    #[arg(long)]
    op: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Timed runs per case
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Clamp array indices in kernels, as `verify` does
    #[arg(long)]
    bounds_checks: bool,
    /// Kernels from this folder, a copy of `shaders/`, instead of those built in
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Table,
    Md,
    Json,
    Csv,
}

struct Row {
    op: &'static str,
    case: String,
    /// Milliseconds, sorted.
    times: Vec<f64>,
    cost: Cost,
}

impl Row {
    fn median(&self) -> f64 {
        self.times[self.times.len() / 2]
    }

    fn gflops(&self) -> f64 {
        self.cost.flops / self.median() / 1e6
    }

    fn gbytes(&self) -> f64 {
        self.cost.bytes / self.median() / 1e6
    }
}

impl Bench {
    pub fn run(self) -> Result<(), Failure> {
        if self.runs == 0 {
            return Err(drdiff::Error::argument("the number of runs", 0, "at least 1").into());
        }
        let entries = entries(self.op.as_deref())?;
        let bounds_checks = if self.bounds_checks { BoundsChecks::On } else { BoundsChecks::Off };
        let options = GpuOptions { bounds_checks, shaders: self.shaders.clone(), ..GpuOptions::default() };
        let device = self.device.open_with(options)?;
        let mut rows = Vec::new();
        self.head()?;
        for entry in entries {
            for case in benches(entry, &mut Gen::new(0, entry.name())) {
                let call = Call::by_name(entry, case.arguments)?;
                let times_and_cost = measure(call, &device, self.runs)?;
                let (times, cost) = times_and_cost;
                let row = Row { op: entry.name(), case: case.label, times, cost };
                self.line(&row)?;
                rows.push(row);
            }
        }
        if self.output == Format::Json {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    json!({
                        "op": row.op, "case": row.case, "milliseconds": row.times, "median": row.median(),
                        "flops": row.cost.flops, "bytes": row.cost.bytes,
                        "gflops_per_second": row.gflops(), "gbytes_per_second": row.gbytes(),
                    })
                })
                .collect();
            print(&format!("{:#}\n", json!({ "device": device.name(), "rows": rows })))?;
        }
        Ok(())
    }

    fn head(&self) -> Result<(), Failure> {
        match self.output {
            Format::Table => print(&format!(
                "{:<18} {:<44} {:>10} {:>10} {:>10} {:>10} {:>8}\n",
                "op", "case", "median ms", "min ms", "max ms", "GFLOP/s", "GB/s"
            )),
            Format::Md => {
                print("| op | case | median ms | min ms | max ms | GFLOP/s | GB/s |\n|---|---|--:|--:|--:|--:|--:|\n")
            }
            Format::Csv => print("op,case,median_ms,min_ms,max_ms,gflops_per_second,gbytes_per_second\n"),
            Format::Json => Ok(()),
        }
    }

    fn line(&self, row: &Row) -> Result<(), Failure> {
        let (min, max) = (row.times[0], row.times[row.times.len() - 1]);
        let (median, gflops, gbytes) = (row.median(), row.gflops(), row.gbytes());
        match self.output {
            Format::Table => print(&format!(
                "{:<18} {:<44} {median:>10.3} {min:>10.3} {max:>10.3} {gflops:>10.2} {gbytes:>8.2}\n",
                row.op, row.case
            )),
            Format::Md => print(&format!(
                "| {} | {} | {median:.3} | {min:.3} | {max:.3} | {gflops:.2} | {gbytes:.2} |\n",
                row.op, row.case
            )),
            Format::Csv => print(&format!("{},\"{}\",{median},{min},{max},{gflops},{gbytes}\n", row.op, row.case)),
            Format::Json => Ok(()),
        }
    }
}

/// Milliseconds of each run, sorted, after one uncounted run. On a GPU by timestamps, if it has them.
fn measure(call: Call, device: &Device, runs: usize) -> drdiff::Result<(Vec<f64>, Cost)> {
    let options = ExecutorOptions { profile: true, ..Default::default() };
    let mut prepared = call.prepare(device, options)?;
    let cost =
        prepared.executor.graph().costs().iter().fold(Cost::default(), |sum, (_, cost)| Cost {
            flops: sum.flops + cost.flops,
            bytes: sum.bytes + cost.bytes,
        });
    let mut times = Vec::with_capacity(runs);
    for run in 0..=runs {
        let begin = Instant::now();
        prepared.executor.run()?;
        prepared.executor.wait()?;
        let wall = begin.elapsed().as_secs_f64() * 1e3;
        let stamped: f64 = prepared.executor.times()?.iter().map(|time| (time.end - time.begin) / 1e6).sum();
        if run > 0 {
            times.push(if stamped > 0.0 { stamped } else { wall });
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times, cost))
}
