//! `drdiff eval`.

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum as _};
use drdiff::eval::{Corpus, Infill, InfillOptions, Likelihood, LikelihoodOptions, Statistics, cut_alike};
use drdiff::model::{Config, Vocabulary};
use drdiff::{Error, Model, Sampler};
use serde_json::{Value, json};

use crate::device::{DeviceArgs, ModelArgs};
use crate::eval_report::{Alike, Report, Timed};
use crate::method::MethodArg;
use crate::terminal::{Stop, bar, spinner};
use crate::{Failure, note, print, samples};

#[derive(Args)]
pub struct Eval {
    /// Text to score: UTF-8, one document per line
    #[arg(long, value_name = "FILE", required_unless_present = "samples")]
    text: Option<PathBuf>,
    /// Texts whose variety is measured: one per file, or .json files as `generate --json` prints them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    samples: Vec<PathBuf>,
    /// Tokens per window
    #[arg(long, default_value_t = 512)]
    length: usize,
    /// Windows to score, spread evenly over the text [default: all]
    #[arg(long)]
    windows: Option<usize>,
    /// Noise levels at which each window is scored
    #[arg(long, default_value_t = 8)]
    draws: usize,
    /// Windows per evaluation
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Seed of the noise and of the choice of hidden tokens
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of the most expensive choice's expert FLOPs, above 0, at most 1 [default: the model's own]
    #[arg(long)]
    budget: Option<f64>,
    /// Share of the tokens to hide and fill in, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    infill: f64,
    /// Windows to fill in; 0 for none
    #[arg(long, default_value_t = 4)]
    infill_windows: usize,
    /// Steps for filling in
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// The solver, for filling in
    #[arg(long, value_enum, default_value_t = MethodArg::Multistep)]
    method: MethodArg,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub fn run(self) -> Result<(), Failure> {
        if !(self.infill > 0.0 && self.infill < 1.0) {
            return Err(Error::argument("the share to hide", self.infill, "a number above 0 and below 1").into());
        }
        let (folder, _) = self.model.folder();
        let config = Config::read(&folder.join("config.json"))?;
        let vocabulary = Vocabulary::read(&folder.join("tokenizer.json"), &config)?;
        // Files first: a wrong name must not cost an evaluation.
        let corpus = self.text.as_ref().map(|path| Corpus::read(path, &vocabulary)).transpose()?;
        let mut samples = Vec::new();
        for path in &self.samples {
            samples.extend(samples::read(path, &vocabulary, &config)?);
        }
        let samples: Vec<&[u32]> = samples.iter().map(Vec::as_slice).collect();
        let mut report = Report::default();
        if let Some(corpus) = &corpus {
            self.score(corpus, &mut report)?;
            report.text = Some(Statistics::of(&[corpus.tokens()])?);
        }
        if !samples.is_empty() {
            report.samples = Some(Statistics::of(&samples)?);
        }
        if let (Some(corpus), false) = (&corpus, samples.is_empty()) {
            let (text, samples) = cut_alike(corpus.tokens(), &samples);
            report.alike = Some(Alike { text: Statistics::of(&text)?, samples: Statistics::of(&samples)? });
        }
        print(&if self.json { format!("{:#}\n", self.json(&report)) } else { report.table() })
    }

    fn json(&self, report: &Report) -> Value {
        let mut json = report.json();
        let method = self.method.to_possible_value();
        json["settings"] = json!({
            "model": self.model.folder().0, "text": self.text, "samples": self.samples, "windows": self.windows,
            "length": self.length, "draws": self.draws, "batch": self.batch, "seed": self.seed, "budget": self.budget,
            "infill": self.infill, "steps": self.steps, "method": method.as_ref().map(PossibleValue::get_name),
        });
        json
    }

    fn score(&self, corpus: &Corpus, report: &mut Report) -> Result<(), Failure> {
        let device = self.device.open()?;
        let (folder, _) = self.model.folder();
        let loading = spinner(format!("loading {}", folder.display()));
        let model = Model::load(&folder, &device)?;
        loading.finish_and_clear();
        let stop = Stop::on_interrupt()?;
        let likelihood = self.likelihood(&model, corpus, &stop)?;
        let (tokens, seconds) = (likelihood.value.tokens, likelihood.seconds);
        note(format_args!("{tokens} tokens scored in {seconds:.2} s: {:.1} tokens/s", tokens as f64 / seconds));
        report.device = Some(device.name());
        report.likelihood = Some(likelihood);
        if self.infill_windows > 0 {
            report.infill = Some(self.infill(&model, corpus, &stop)?);
        }
        Ok(())
    }

    fn likelihood(&self, model: &Model, corpus: &Corpus, stop: &Stop) -> drdiff::Result<Timed<Likelihood>> {
        let options = LikelihoodOptions {
            length: self.length,
            windows: self.windows,
            draws: self.draws,
            batch: self.batch,
            budget: self.budget,
            seed: self.seed,
        };
        let bar = bar("scoring", 0);
        let begin = Instant::now();
        let value = model.likelihood(corpus, &options, |step, steps| {
            bar.set_length(steps as u64);
            bar.set_position(step as u64);
            stop.flow()
        });
        bar.finish_and_clear();
        Ok(Timed { value: value?, seconds: begin.elapsed().as_secs_f64() })
    }

    fn infill(&self, model: &Model, corpus: &Corpus, stop: &Stop) -> drdiff::Result<Timed<Infill>> {
        let (steps, seed, budget) = (self.steps, self.seed, self.budget);
        let options = InfillOptions {
            length: self.length,
            windows: self.windows,
            filled: self.infill_windows,
            share: self.infill,
            sampler: Sampler { steps, seed, method: self.method.into(), budget, ..Sampler::default() },
        };
        let bar = bar("filling in", steps);
        let begin = Instant::now();
        let value = model.infill(corpus, &options, |progress| {
            bar.set_position(progress.step as u64);
            stop.flow()
        });
        bar.finish_and_clear();
        Ok(Timed { value: value?, seconds: begin.elapsed().as_secs_f64() })
    }
}
