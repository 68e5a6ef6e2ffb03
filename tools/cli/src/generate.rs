//! `drdiff generate`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use drdiff::model::{Generated, Progress, Request};
use drdiff::{Device, Model, Prompt, Sampler, SessionOptions, memory};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::device::{DeviceArgs, ModelArgs};
use crate::method::MethodArg;
use crate::routing::Routing;
use crate::terminal::{Stop, bar, spinner};
use crate::trace::Trace;
use crate::{Failure, note, print};

const DEFAULT_PROMPT: &str = "And he said to them,";

#[derive(Args)]
pub struct Generate {
    /// How the text begins [default: "And he said to them," if there is no suffix either]
    prompt: Option<String>,
    /// How the text ends; what lies between is filled in
    #[arg(long)]
    suffix: Option<String>,
    /// Length of the text in tokens, including the prompt
    #[arg(long, default_value_t = 256)]
    length: usize,
    /// How many texts to sample, as one batch
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Denoising steps (evaluations of the network)
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Seed of the first text; each further text adds 1
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of the most expensive choice's expert FLOPs, above 0, at most 1 [default: the model's own]
    #[arg(long)]
    budget: Option<f64>,
    /// The solver
    #[arg(long, value_enum, default_value_t = MethodArg::Multistep)]
    method: MethodArg,
    /// Strength of the guidance by anchor states, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    guidance: f32,
    /// Divides the network's logits: below 1, text is likelier and less varied [default: the model's own]
    #[arg(long)]
    temperature: Option<f32>,
    /// How much the context counts compared with how often a token occurs anyway, 0 to 4 [default: the model's own]
    #[arg(long)]
    emphasis: Option<f32>,
    /// The largest gamma at which temperature and emphasis act [default: the model's own]
    #[arg(long, value_name = "GAMMA", allow_negative_numbers = true)]
    sharpen_below: Option<f64>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// Show the texts on standard error every STEPS steps
    #[arg(long, value_name = "STEPS")]
    snapshots: Option<usize>,
    /// Write the time of every op as a Chrome trace
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write which experts each position went to, as a picture (.png) or as data (.json)
    #[arg(long, value_name = "FILE")]
    routing: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub fn run(self) -> Result<(), Failure> {
        if !(1..=4096).contains(&self.count) {
            return Err(drdiff::Error::argument("the count", self.count, "1 to 4096").into());
        }
        if let Some(path) = &self.routing {
            Routing::check_name(path)?;
        }
        if self.routing.is_some() && self.routing == self.trace {
            return Err(drdiff::Error::argument("--trace and --routing", "the same file", "two files").into());
        }
        if self.snapshots == Some(0) {
            return Err(drdiff::Error::argument("the interval of snapshots", 0, "at least 1").into());
        }
        let device = self.device.open()?;
        let (folder, _) = self.model.folder();
        let loading = spinner(format!("loading {}", folder.display()));
        let model = Model::load(&folder, &device)?;
        loading.finish_and_clear();
        if (self.prompt.is_some() || self.suffix.is_some()) && !model.config().trained_for_prompts() {
            note("note: this model was not trained to continue a prompt: its text may not follow from it");
        }
        let options =
            SessionOptions { length: self.length, profile: self.trace.is_some(), inspect: self.routing.is_some() };
        let mut session = model.session(options)?;
        let sampler = self.sampler();
        let given = self.prompt.iter().chain(&self.suffix).map(String::len).sum::<usize>();
        memory::room("the prompts", (self.count * given) as u64)?;
        let request = Request { prompt: self.prompt(), ..Request::default() };
        let requests = vec![request; self.count];

        let stop = Stop::on_interrupt()?;
        let bar = bar("denoising", self.steps);
        let mut trace = self.trace.as_ref().map(|_| Trace::default());
        let mut routing = self.routing.as_ref().map(|_| Routing::default());
        let mut failed = None;
        let begin = Instant::now();
        let outcome = session.generate_batch(&requests, &sampler, |progress| {
            bar.set_position(progress.step as u64);
            if let Err(error) = self.observe(progress, &bar, trace.as_mut(), routing.as_mut()) {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            stop.flow()
        });
        let seconds = begin.elapsed().as_secs_f64();
        bar.finish_and_clear();
        if let Some(error) = failed {
            return Err(error.into());
        }
        let generated = outcome?;
        let positions: usize = generated.iter().map(|generated| generated.tokens.len()).sum();
        let (peak, bound) = session.plan().map_or((0, 0), |plan| (plan.peak(), plan.lower_bound()));
        note(format_args!(
            "{positions} tokens in {seconds:.2} s: {:.1} tokens/s, {:.3} s per step; temporaries {:.1} MiB (lower bound {:.1})",
            positions as f64 / seconds,
            seconds / self.steps as f64,
            peak as f64 / 1048576.0,
            bound as f64 / 1048576.0,
        ));
        // The text first: a file that cannot be written must not cost it.
        self.print(&generated, &device, seconds)?;
        if let (Some(path), Some(trace)) = (&self.trace, trace) {
            trace.write(path)?;
        }
        if let (Some(path), Some(routing)) = (&self.routing, routing) {
            routing.write(path, model.config())?;
        }
        Ok(())
    }

    fn sampler(&self) -> Sampler {
        let (steps, seed, budget) = (self.steps, self.seed, self.budget);
        let (method, guidance) = (self.method.into(), self.guidance);
        let (temperature, emphasis, sharpen_below) = (self.temperature, self.emphasis, self.sharpen_below);
        let lower_order_final = Sampler::default().lower_order_final;
        Sampler { steps, seed, method, lower_order_final, budget, guidance, temperature, emphasis, sharpen_below }
    }

    fn prompt(&self) -> Prompt {
        match (&self.prompt, &self.suffix) {
            (Some(prefix), Some(suffix)) => Prompt::prefix(prefix).and_suffix(suffix),
            (Some(prefix), None) => Prompt::prefix(prefix),
            (None, Some(suffix)) => Prompt::suffix(suffix),
            (None, None) => Prompt::prefix(DEFAULT_PROMPT),
        }
    }

    fn observe(
        &self,
        progress: &Progress<'_>,
        bar: &ProgressBar,
        trace: Option<&mut Trace>,
        routing: Option<&mut Routing>,
    ) -> drdiff::Result<()> {
        if self.snapshots.is_some_and(|every| progress.step.is_multiple_of(every)) {
            for text in progress.snapshot()? {
                bar.suspend(|| note(format_args!("[{}/{}] {text}", progress.step, progress.steps)));
            }
        }
        if let Some(trace) = trace {
            let times = progress.times()?;
            if times.is_empty() {
                return Err(drdiff::Error::argument(
                    "--trace",
                    "on a device without timestamps",
                    "a device that has them",
                ));
            }
            trace.add(progress.step, times)?;
        }
        if let Some(routing) = routing {
            routing.add(progress.anchors(), progress.routing()?)?;
        }
        Ok(())
    }

    fn print(&self, generated: &[Generated], device: &Device, seconds: f64) -> Result<(), Failure> {
        let text = memory::written("what is printed", |out| {
            if self.json {
                let texts = generated.iter().map(|g| Text { seed: g.seed, text: &g.text, tokens: &g.tokens });
                let texts = texts.collect();
                let report = Report { device: device.name(), seconds, steps: self.steps, texts };
                serde_json::to_writer_pretty(&mut *out, &report)?;
            } else {
                for (index, generated) in generated.iter().enumerate() {
                    let rule = if index > 0 { "\n\n---\n\n" } else { "" };
                    write!(out, "{rule}{}", generated.text)?;
                }
            }
            writeln!(out)
        })?;
        print(std::str::from_utf8(&text)?)
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    device: String,
    seconds: f64,
    steps: usize,
    texts: Vec<Text<'a>>,
}

#[derive(Serialize)]
struct Text<'a> {
    seed: u64,
    text: &'a str,
    tokens: &'a [u32],
}
