//! Calls that are timed in turn, and what a device can do at most.

use std::time::Instant;

use drdiff::graph::{Call, ExecutorOptions, Prepared, Way};
use drdiff::op::{Arguments, Cost, Entry};
use drdiff::ops::REGISTRY;
use drdiff::{Desc, Device, Error, Result, Tensor};
use drdiff_check::{Case, Copy};

use super::step::Step;

/// A timed run is as many calls as take this many milliseconds, so that a clock's steps do not show.
const RUN_MS: f64 = 2.0;
const MOST_CALLS: usize = 100;
/// Rows of four numbers that a copy moves: 64 MiB, which fits every device's bindings and few caches.
const COPY_ROWS: usize = 1 << 22;
/// A product is large enough when it takes this many milliseconds.
const PRODUCT_MS: f64 = 20.0;
const SMALLEST_PRODUCT: usize = 512;
const LARGEST_PRODUCT: usize = 4096;

/// One way to compute a case, and the times that it took.
pub struct Timed {
    pub op: &'static str,
    pub case: String,
    pub way: Way,
    /// Whether the device takes this way by itself.
    pub taken: bool,
    /// Its length: the largest size of its first input but the last.
    pub n: usize,
    pub cost: Cost,
    /// Milliseconds a call, in the order of the runs.
    pub times: Vec<f64>,
    work: Work,
    calls: usize,
}

/// What a run does.
enum Work {
    /// A call that has no memory on the device yet.
    Call(Call),
    Ready(Box<Prepared>),
    Step(Step),
}

impl Timed {
    fn new(op: &'static str, case: &str, call: Call, way: (Way, bool), n: usize) -> Result<Self> {
        let (cost, (way, taken)) = (call.cost()?, way);
        let case = case.to_owned();
        Ok(Self { op, case, way, taken, n, cost, times: Vec::new(), work: Work::Call(call), calls: 1 })
    }

    /// Whole steps of a model.
    pub fn step(step: Step) -> Self {
        Self {
            op: "step",
            case: format!("N={}", step.length()),
            way: Way::default(),
            taken: true,
            n: step.length(),
            cost: Cost::default(),
            times: Vec::new(),
            work: Work::Step(step),
            calls: 1,
        }
    }

    /// The ways in which `device` can compute a case, or the one that it takes.
    pub fn all(entry: &Entry, case: &Case, device: &Device, taken: bool) -> Result<Vec<Self>> {
        let call = || Call::by_name(entry, case.arguments.try_clone()?);
        let ways = call()?.ways(device)?.into_iter().enumerate();
        let ways = ways.take(if taken { 1 } else { usize::MAX });
        let n = length(entry, &case.arguments);
        ways.map(|(place, way)| Self::new(entry.name(), &case.label, call()?, (way, place == 0), n)).collect()
    }

    /// Ready to run, after a run that makes up for what is set up lazily.
    pub fn prepared(mut self, device: &Device) -> Result<Self> {
        if let Work::Call(call) = self.work {
            let options = ExecutorOptions { profile: true, choice: Some(self.way.place), ..Default::default() };
            self.work = Work::Ready(Box::new(call.prepare(device, options)?));
        }
        self.run()?;
        let one = self.run()?;
        match &mut self.work {
            Work::Step(step) => step.lengthen(one),
            _ => self.calls = ((RUN_MS / one) as usize).clamp(1, MOST_CALLS),
        }
        Ok(self)
    }

    /// Milliseconds a call: on a GPU by timestamps, if it has them.
    fn run(&mut self) -> Result<f64> {
        let executor = match &mut self.work {
            Work::Ready(prepared) => &mut prepared.executor,
            Work::Step(step) => return step.run(),
            Work::Call(call) => return Err(Error::argument("a call", format!("{call:?}"), "one that is prepared")),
        };
        let mut sum = 0.0;
        for _ in 0..self.calls {
            let begin = Instant::now();
            executor.run()?;
            executor.wait()?;
            let wall = begin.elapsed().as_secs_f64() * 1e3;
            let stamped: f64 = executor.times()?.iter().map(|time| (time.end - time.begin) / 1e6).sum();
            sum += if stamped > 0.0 { stamped } else { wall };
        }
        Ok(sum / self.calls as f64)
    }
}

/// The largest size but the last, of the input that a signature has first.
fn length(entry: &Entry, arguments: &Arguments) -> usize {
    let first = entry.signature.inputs.first().and_then(|&input| arguments.peek(input));
    let shape = first.map_or(&[][..], |tensor| &tensor.desc().shape);
    shape[..shape.len().saturating_sub(1)].iter().copied().max().unwrap_or(1)
}

/// Times the group, and the peaks with it: in each run every call has its turn, and each run begins with another one, so
/// that a machine that slows down does so for all.
pub fn take_turns(group: &mut [Timed], peaks: &mut Peaks, runs: usize) -> Result<()> {
    let mut all: Vec<&mut Timed> = group.iter_mut().chain(&mut peaks.copy).chain(&mut peaks.products).collect();
    let count = all.len();
    for run in 0..runs {
        for place in 0..count {
            let timed = &mut *all[(place + run * count / runs) % count];
            let time = timed.run()?;
            timed.times.push(time);
        }
    }
    Ok(())
}

/// The least, the quartiles and the greatest.
pub fn quantiles(values: &[f64]) -> [f64; 5] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| {
        let place = share * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    })
}

/// Calls that show what a device can do at most: nothing else has to be believed of it.
#[derive(Default)]
pub struct Peaks {
    copy: Option<Timed>,
    /// A large product, by each choice of kernels.
    products: Vec<Timed>,
}

impl Peaks {
    pub fn new(device: &Device) -> Result<Self> {
        // The oracle is not meant to be fast.
        if matches!(device, Device::Reference) {
            return Ok(Self::default());
        }
        let zeros = Tensor::zeros(Desc::f32([COPY_ROWS, 4]))?;
        let call = Call::new(Copy, vec![Some(zeros)]);
        let way = call.ways(device)?.swap_remove(0);
        let copy = Timed::new("copy", "64 MiB", call, (way, true), COPY_ROWS)?.prepared(device)?;
        let mut size = SMALLEST_PRODUCT;
        while size < LARGEST_PRODUCT {
            let first = product(size, device, true)?;
            let [Some(mut timed)] = [first.into_iter().next()] else { break };
            timed.calls = 1;
            if timed.run()? >= PRODUCT_MS {
                break;
            }
            size *= 2;
        }
        Ok(Self { copy: Some(copy), products: product(size, device, false)? })
    }

    /// What was measured until now; `None` before that.
    pub fn measured(&self) -> Option<super::report::Peaks> {
        let median = |timed: &Timed| quantiles(&timed.times)[2];
        let copy = self.copy.as_ref().filter(|copy| !copy.times.is_empty())?;
        let best = self.products.iter().min_by(|a, b| median(a).total_cmp(&median(b)))?;
        Some(super::report::Peaks {
            copy_gbytes_per_second: copy.cost.bytes / median(copy) / 1e6,
            product_gflops_per_second: best.cost.flops / median(best) / 1e6,
            product: best.case.clone(),
            product_kernels: best.way.kernels.clone(),
        })
    }
}

/// A square product by the ways that the device has.
fn product(size: usize, device: &Device, taken: bool) -> Result<Vec<Timed>> {
    let Some(entry) = REGISTRY.iter().find(|entry| entry.name() == "linear") else { return Ok(Vec::new()) };
    let ones = || Tensor::f32([size, size], vec![1.0; size * size]);
    let arguments = Arguments::new().with("x", ones()?).with("weight", ones()?);
    let case = Case::new(format!("{size}x{size}x{size}"), arguments);
    Timed::all(entry, &case, device, taken)?.into_iter().map(|timed| timed.prepared(device)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantiles(&[3.0]), [3.0; 5]);
        assert_eq!(quantiles(&[4.0, 1.0, 3.0, 2.0, 5.0]), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(quantiles(&[1.0, 2.0]), [1.0, 1.25, 1.5, 1.75, 2.0]);
    }
}
