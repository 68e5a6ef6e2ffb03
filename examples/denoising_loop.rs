//! A denoising loop of your own: every step is yours to start, to look at, and to make the last.
//!
//! `cargo run --release --example denoising_loop -- [PROMPT] [MODEL DIRECTORY]` prints the text as it forms, and stops
//! as soon as the model is as sure of it as it gets, however many steps were planned.

use std::io::{Write, stdout};

use drdiff::model::{Generated, Request};
use drdiff::{Device, GpuOptions, Model, Prompt, Sampler, SessionOptions};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let prompt = arguments.next().unwrap_or_else(|| "And the king".to_owned());
    let folder = arguments.next().unwrap_or_else(|| "models".to_owned());
    let model = Model::load(folder, &Device::open(&GpuOptions::default())?)?;
    let sampler = Sampler { steps: 40, seed: 7, ..Sampler::default() };
    let (generated, entropies) = run(&model, &Prompt::prefix(prompt), &sampler, &mut stdout())?;
    println!("\n{}\n{} of {} steps were made", generated.text, entropies.len(), sampler.steps);
    Ok(())
}

/// Samples 64 tokens until their mean entropy no longer falls: gives the text, and the mean entropy at each step, in nats.
pub fn run(model: &Model, prompt: &Prompt, sampler: &Sampler, out: &mut dyn Write) -> Outcome<(Generated, Vec<f32>)> {
    let mut session = model.session(SessionOptions { length: 64, ..Default::default() })?;
    let request = Request { prompt: prompt.clone(), ..Request::default() };
    let mut generation = session.start(&[request], sampler)?;
    // At first nothing is settled, and the model is about as unsure from one step to the next: the rule waits.
    let settling = 0.5 * (model.config().vocab_size as f32).ln();
    let mut entropies = Vec::new();
    while generation.step()? {
        // What is not asked for is not read: without these calls the device would go on to the next step by itself.
        let progress = generation.progress();
        let entropy = mean(&progress.entropy()?.as_f32().unwrap_or(&[])[progress.anchors()..]);
        let text = progress.snapshot()?.concat().replace('\n', " ");
        writeln!(out, "{:3} of {}  {entropy:6.3} nats  {text}", progress.step, progress.steps)?;
        let falls = entropies.last().is_none_or(|&last| entropy < last);
        entropies.push(entropy);
        if entropy < settling && !falls {
            break;
        }
    }
    // `finish` would make the steps that are left.
    let generated = generation.stop()?.pop().ok_or("a batch of one text gives one")?;
    Ok((generated, entropies))
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}
