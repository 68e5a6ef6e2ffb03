//! Two or more ways to compute a case, timed in turn, and what came of it.

use std::time::Instant;

use crate::{Case, Outcome};

/// A call that can be run over and over.
pub trait Running {
    /// Starts one call.
    ///
    /// # Errors
    /// As the library has them.
    fn start(&mut self) -> Outcome<()>;

    /// Waits for every call that was started.
    ///
    /// # Errors
    /// As the library has them.
    fn wait(&mut self) -> Outcome<()>;

    /// What the last call gave.
    ///
    /// # Errors
    /// As the library has them.
    fn result(&mut self) -> Outcome<Vec<f32>>;
}

/// One who computes a case.
pub struct Contestant {
    pub name: String,
    /// Makes the first call possible: for drdiff this makes pipelines, so it counts as a part of the first call.
    pub prepare: Box<dyn FnOnce() -> Outcome<Box<dyn Running>>>,
}

/// How a contest is run.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Only cases whose name holds this text
    pub filter: Option<String>,
    /// Timed samples of each side, in turn
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..))]
    pub pairs: u32,
    /// A sample is as many calls as take about this long, in milliseconds
    #[arg(long, default_value_t = 60.0)]
    pub sample_ms: f64,
}

impl Options {
    /// Whether a case is to be measured.
    pub fn takes(&self, case: &Case) -> bool {
        self.filter.as_ref().is_none_or(|filter| case.label().contains(filter))
    }
}

/// Two results that are further apart than this (mean square of the difference over mean square) are not the same.
const SAME: f64 = 1e-4;
/// Calls of one sample at most: results are kept until the wait.
const MOST_CALLS: f64 = 64.0;

/// The head of the table.
pub fn heading() -> String {
    let names = ["case", "drdiff ms", "peer", "ms", "times as fast", "at best", "first call ms", "peer's", "NMSE"];
    format!(
        "{}{}",
        row(&names.map(str::to_owned)),
        row(&["---", "--:", "---", "--:", "--:", "--:", "--:", "--:", "--:"].map(str::to_owned))
    )
}

fn row(cells: &[String; 9]) -> String {
    let widths = [44, 9, 16, 9, 22, 7, 13, 9, 7];
    let cells: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("| {} |\n", cells.join(" | "))
}

struct Entrant {
    name: String,
    running: Box<dyn Running>,
    first_ms: f64,
    /// Milliseconds a call, by sample.
    times: Vec<f64>,
    calls: usize,
}

impl Entrant {
    /// The first call, from nothing but inputs in memory.
    fn new(contestant: Contestant) -> Outcome<Self> {
        let begin = Instant::now();
        let mut running = (contestant.prepare)()?;
        running.start()?;
        running.wait()?;
        let first_ms = milliseconds(begin);
        Ok(Self { name: contestant.name, running, first_ms, times: Vec::new(), calls: 1 })
    }

    /// Milliseconds a call, over one sample.
    fn sample(&mut self) -> Outcome<f64> {
        let begin = Instant::now();
        for _ in 0..self.calls {
            self.running.start()?;
        }
        self.running.wait()?;
        Ok(milliseconds(begin) / self.calls as f64)
    }

    fn median(&self) -> f64 {
        middle(&self.times).1
    }
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// The least, the median and the greatest.
fn middle(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let median = if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
    (sorted[0], median, sorted[sorted.len() - 1])
}

/// Mean square of the difference over the mean square.
fn nmse(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let error: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    error / b.iter().map(|&b| square(b)).sum::<f64>()
}

/// Runs drdiff and its peers in turn and gives the rows of the table, one for each peer.
///
/// # Errors
/// If a side fails, or the results of two differ.
pub fn contest(case: &Case, ours: Contestant, peers: Vec<Contestant>, options: &Options) -> Outcome<String> {
    let mut entrants = Vec::new();
    for contestant in std::iter::once(ours).chain(peers) {
        entrants.push(Entrant::new(contestant)?);
    }
    for entrant in &mut entrants {
        // What is set up lazily is behind the second call; the third says how long a call takes.
        entrant.sample()?;
        let one = entrant.sample()?;
        entrant.calls = (options.sample_ms / one).clamp(1.0, MOST_CALLS) as usize;
        entrant.sample()?;
    }
    for turn in 0..options.pairs as usize {
        // Each begins a turn as often as the others.
        for place in 0..entrants.len() {
            let place = (place + turn) % entrants.len();
            let time = entrants[place].sample()?;
            entrants[place].times.push(time);
        }
    }
    let (ours, peers) = entrants.split_at_mut(1);
    let ours = &mut ours[0];
    let expected = ours.running.result()?;
    let mut rows = String::new();
    for peer in peers {
        let result = peer.running.result()?;
        if result.len() != expected.len() {
            return Err(format!("{} gave {} numbers, drdiff {}", peer.name, result.len(), expected.len()).into());
        }
        let distance = nmse(&result, &expected);
        let ratios: Vec<_> = peer.times.iter().zip(&ours.times).map(|(peer, ours)| peer / ours).collect();
        let (least, median, most) = middle(&ratios);
        rows += &row(&[
            case.label(),
            format!("{:.3}", ours.median()),
            peer.name.clone(),
            format!("{:.3}", peer.median()),
            format!("{median:.2} [{least:.2} to {most:.2}]"),
            // On a machine with other work, the least time of either is what tells most.
            format!("{:.2}", middle(&peer.times).0 / middle(&ours.times).0),
            format!("{:.0}", ours.first_ms),
            format!("{:.0}", peer.first_ms),
            format!("{distance:.0e}"),
        ]);
        // NaN is not the same either.
        if !(distance < SAME) {
            print!("{rows}");
            return Err(format!("{} and drdiff do not agree: NMSE {distance:e}", peer.name).into());
        }
    }
    Ok(rows)
}
