//! `drdiff bench`: time of every op by every way that a device has, against its FLOPs and bytes.

mod compare;
mod measure;
mod plot;
mod raster;
mod report;
mod step;
mod table;

use std::path::PathBuf;

use clap::Args;
use drdiff::gpu::BoundsChecks;
use drdiff::op::Entry;
use drdiff::{Device, Error, GpuOptions};
use drdiff_check::{Case, Gen, Wanted, benches, sized};

use crate::device::{DeviceArgs, ModelArgs};
use crate::verify::entries;
use crate::{Failure, print};
use compare::Comparison;
use measure::{Peaks, Timed, take_turns};
use report::{Report, Row};
use step::Step;
use table::Format;

/// Memory of calls that are timed in turn, about: with more, they come in several groups.
const GROUP_BYTES: f64 = 512.0 * 1024.0 * 1024.0;

#[derive(Args)]
pub struct Bench {
    /// Only this op
    #[arg(long)]
    op: Option<String>,
    /// Only cases whose name holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// A call of these sizes instead of the cases that there are, such as rows=1024,K=512,N=512: each name of the op's
    /// signature (docs/OPS.md), and `rows` for what stands in front; again for another call
    #[arg(long, value_name = "NAME=SIZE,..", requires = "op")]
    size: Vec<String>,
    /// A setting of those calls, as `drdiff op` takes it; elements of a tensor have commas between
    #[arg(long, value_name = "NAME=VALUE", requires = "op")]
    set: Vec<String>,
    /// An optional input that those calls are to have
    #[arg(long, value_name = "INPUT", requires = "op", value_delimiter = ',')]
    with: Vec<String>,
    /// Whole steps of the model at these lengths instead of ops
    #[arg(long, value_name = "N,..", value_delimiter = ',', conflicts_with_all = ["op", "filter"])]
    step: Vec<usize>,
    #[command(flatten)]
    model: ModelArgs,
    /// Only the kernels that the device takes by itself (up to --tier), not each choice that it can run
    #[arg(long)]
    taken: bool,
    #[command(flatten)]
    device: DeviceArgs,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Timed runs per case, all cases in turn
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Leave out what the device can do at most: a copy and a product
    #[arg(long)]
    no_peaks: bool,
    /// Say which cases are faster or slower than in this file, which `--output json` gave
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Fail if a case is slower
    #[arg(long, requires = "compare")]
    fail_if_slower: bool,
    /// Draw a roofline, and time against length, into a file that ends in .png or .svg
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Clamp array indices in kernels, as `verify` does
    #[arg(long)]
    bounds_checks: bool,
    /// Kernels from this folder, a copy of `shaders/`, instead of those built in
    #[arg(long, value_name = "DIR")]
    shaders: Option<PathBuf>,
}

impl Bench {
    pub fn run(self) -> Result<(), Failure> {
        if self.runs == 0 {
            return Err(Error::argument("the number of runs", 0, "at least 1").into());
        }
        if self.compare.is_some() && self.output == Format::Csv {
            return Err(Error::argument("--output", "csv", "another format with --compare").into());
        }
        // What could end the command is looked at before anything is timed.
        let picture = self.plot.as_deref().map(plot::Picture::new).transpose()?;
        let old = self.compare.as_deref().map(Report::read).transpose()?;
        let cases = self.cases()?;
        let bounds_checks = if self.bounds_checks { BoundsChecks::On } else { BoundsChecks::Off };
        let options = GpuOptions { bounds_checks, shaders: self.shaders.clone(), ..GpuOptions::default() };
        let device = self.device.open_with(options)?;
        let mut report = Report::new(&device, self.bounds_checks, self.shaders.is_some());
        if let (Some(old), Some(path)) = (&old, &self.compare) {
            old.check_device(path, &report)?;
        }
        self.measure(&device, cases, &mut report)?;
        let comparison = old.as_ref().map(|old| Comparison::new(old, &report));
        match self.output {
            Format::Json => print(&report.json(comparison.as_ref())?)?,
            format => {
                if let Some(peaks) = &report.peaks {
                    print(&format.peaks(peaks))?;
                }
                if let Some(comparison) = &comparison {
                    print(&format.comparison(comparison))?;
                }
            }
        }
        if let Some(picture) = picture {
            picture.write(&report)?;
        }
        match comparison.map_or(0, |comparison| comparison.slower()) {
            slower if slower > 0 && self.fail_if_slower => Err(format!("{slower} cases are slower").into()),
            _ => Ok(()),
        }
    }

    /// What is to be measured.
    fn cases(&self) -> Result<Vec<(&'static Entry, Case)>, Failure> {
        let mut cases = Vec::new();
        if !self.step.is_empty() {
            return Ok(cases);
        }
        for entry in entries(self.op.as_deref())? {
            let mut random = Gen::new(0, entry.name());
            let found = match self.own()? {
                own if own.is_empty() => benches(entry, &mut random),
                own => own.iter().map(|wanted| sized(entry, wanted, &mut random)).collect::<Result<_, _>>()?,
            };
            let named = |case: &Case| self.filter.as_ref().is_none_or(|text| case.label.contains(text));
            cases.extend(found.into_iter().filter(named).map(|case| (entry, case)));
        }
        match (&self.filter, cases.is_empty()) {
            (Some(text), true) => {
                Err(Error::argument("--filter", format!("`{text}`"), "a part of a case's name").into())
            }
            _ => Ok(cases),
        }
    }

    /// The calls that the command line asks for, where it does.
    fn own(&self) -> Result<Vec<Wanted>, Error> {
        let pair = |text: &str| {
            let pair = text.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
            pair.filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| Error::argument("a setting", format!("`{text}`"), "NAME=VALUE"))
        };
        let settings: Vec<_> = self.set.iter().map(|text| pair(text)).collect::<Result<_, _>>()?;
        let wanted = |text: &str| {
            let mut wanted = Wanted { settings: settings.clone(), with: self.with.clone(), ..Wanted::default() };
            for part in text.split(',').filter(|part| !part.trim().is_empty()) {
                let refuse = |found: String| Error::argument("a size", found, "NAME=SIZE, each name once");
                let (name, size) = part.split_once('=').ok_or_else(|| refuse(format!("`{part}`")))?;
                let size = size.trim().parse().map_err(|_| refuse(format!("`{part}`")))?;
                let name = name.trim();
                if wanted.sizes.iter().any(|(of, _)| of.eq_ignore_ascii_case(name)) {
                    return Err(refuse(format!("`{name}`, given twice")));
                }
                wanted.sizes.push((name.to_owned(), size));
            }
            Ok(wanted)
        };
        match self.size.is_empty() {
            true if self.set.is_empty() && self.with.is_empty() => Ok(Vec::new()),
            true => Ok(vec![wanted("")?]),
            false => self.size.iter().map(|text| wanted(text)).collect(),
        }
    }

    /// Times the cases in groups, prints each group's lines and adds them to the report.
    fn measure(&self, device: &Device, cases: Vec<(&'static Entry, Case)>, report: &mut Report) -> Result<(), Failure> {
        let (mut group, mut bytes) = (Vec::new(), 0.0);
        if !self.step.is_empty() {
            for step in Step::all(&self.model.folder().0, &self.step, device)? {
                group.push(Timed::step(step).prepared(device)?);
            }
        }
        let mut peaks = if self.no_peaks { Peaks::default() } else { Peaks::new(device)? };
        print(&self.output.head())?;
        for (entry, case) in cases {
            for timed in Timed::all(entry, &case, device, self.taken)? {
                if bytes + timed.cost.bytes > GROUP_BYTES {
                    self.finish(&mut group, &mut peaks, report)?;
                    bytes = 0.0;
                }
                bytes += timed.cost.bytes;
                group.push(timed.prepared(device)?);
            }
        }
        self.finish(&mut group, &mut peaks, report)
    }

    fn finish(&self, group: &mut Vec<Timed>, peaks: &mut Peaks, report: &mut Report) -> Result<(), Failure> {
        if group.is_empty() {
            return Ok(());
        }
        take_turns(group, peaks, self.runs)?;
        report.peaks = peaks.measured();
        for timed in group.drain(..) {
            let row = Row::new(timed, report.peaks.as_ref());
            print(&self.output.line(&row))?;
            report.rows.push(row);
        }
        Ok(())
    }
}
