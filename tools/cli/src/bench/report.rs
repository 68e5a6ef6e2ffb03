//! What a run of `drdiff bench` found, as JSON of a stated version.

use std::path::Path;

use drdiff::files::read_text;
use drdiff::{Device, Error, Result};
use serde::{Deserialize, Serialize};

use super::compare::Comparison;
use super::measure::{Timed, quantiles};

const FORMAT: &str = "drdiff-bench";
/// Changed whenever a reader of the old one would misread the new one.
const VERSION: u32 = 1;

/// A run.
#[derive(Serialize, Deserialize)]
pub struct Report {
    format: String,
    version: u32,
    /// drdiff's version.
    drdiff: String,
    /// Operating system and processor's architecture.
    system: String,
    /// Name, back end and driver.
    pub device: String,
    bounds_checks: bool,
    /// Whether kernels came from a folder instead of those built in.
    shaders: bool,
    pub peaks: Option<Peaks>,
    pub rows: Vec<Row>,
}

/// What the device did at most.
#[derive(Serialize, Deserialize)]
pub struct Peaks {
    pub copy_gbytes_per_second: f64,
    pub product_gflops_per_second: f64,
    /// The product's sizes.
    pub product: String,
    pub product_kernels: Vec<String>,
}

/// A case by one way.
#[derive(Serialize, Deserialize)]
pub struct Row {
    pub op: String,
    pub case: String,
    pub tier: String,
    /// In order, with their constants; none on the host.
    pub kernels: Vec<String>,
    /// Whether the device takes this way by itself.
    pub taken: bool,
    /// The length that time is drawn against.
    pub n: usize,
    /// A call's time in each run, in their order.
    pub milliseconds: Vec<f64>,
    pub median: f64,
    /// Half of what lies between the quartiles, over the median.
    pub spread: f64,
    pub flops: f64,
    pub bytes: f64,
    pub gflops_per_second: f64,
    pub gbytes_per_second: f64,
    /// Shares of the peaks.
    pub of_product: Option<f64>,
    pub of_copy: Option<f64>,
}

impl Row {
    pub fn new(timed: Timed, peaks: Option<&Peaks>) -> Self {
        let [_, lower, median, upper, _] = quantiles(&timed.times);
        let per_second = |count: f64| count / median / 1e6;
        let (gflops_per_second, gbytes_per_second) = (per_second(timed.cost.flops), per_second(timed.cost.bytes));
        Self {
            op: timed.op.to_owned(),
            case: timed.case,
            tier: timed.way.tier.name().to_owned(),
            kernels: timed.way.kernels,
            taken: timed.taken,
            n: timed.n,
            median,
            spread: (upper - lower) / 2.0 / median,
            flops: timed.cost.flops,
            bytes: timed.cost.bytes,
            gflops_per_second,
            gbytes_per_second,
            of_product: peaks.map(|peaks| gflops_per_second / peaks.product_gflops_per_second),
            of_copy: peaks.map(|peaks| gbytes_per_second / peaks.copy_gbytes_per_second),
            milliseconds: timed.times,
        }
    }
}

/// What every version says first.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    version: Option<u32>,
}

impl Report {
    pub fn new(device: &Device, bounds_checks: bool, shaders: bool) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            drdiff: env!("CARGO_PKG_VERSION").to_owned(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            device: device.name(),
            bounds_checks,
            shaders,
            peaks: None,
            rows: Vec::new(),
        }
    }

    /// Reads what `--output json` gave.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |problem: String| Error::Format { path: path.to_owned(), problem, source: None };
        let text = read_text(path)?;
        let wrong = |source: serde_json::Error| Error::Format {
            path: path.to_owned(),
            problem: "not what `drdiff bench --output json` gives".to_owned(),
            source: Some(Box::new(source)),
        };
        let head: Head = serde_json::from_str(&text).map_err(wrong)?;
        match (head.format.as_deref(), head.version) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), Some(other)) => {
                let problem = format!("a bench file of version {other}, expected version {VERSION}: measure anew");
                return Err(refuse(problem));
            }
            _ => return Err(refuse(format!("expected a file of `drdiff bench --output json`, version {VERSION}"))),
        }
        let report: Self = serde_json::from_str(&text).map_err(wrong)?;
        match report.rows.iter().find(|row| row.milliseconds.is_empty() || row.median <= 0.0) {
            Some(row) => Err(refuse(format!("{} {} has no times", row.op, row.case))),
            None => Ok(report),
        }
    }

    /// Refuses to be compared with another device.
    pub fn check_device(&self, path: &Path, new: &Self) -> Result<()> {
        if self.device == new.device {
            return Ok(());
        }
        let problem = format!("measured on {}, expected this device, {}", self.device, new.device);
        Err(Error::Format { path: path.to_owned(), problem, source: None })
    }

    /// The file's text, with the comparison where there is one.
    pub fn json(&self, comparison: Option<&Comparison>) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        if let Some(comparison) = comparison {
            value["comparison"] = serde_json::to_value(comparison)?;
        }
        Ok(format!("{value:#}\n"))
    }
}
