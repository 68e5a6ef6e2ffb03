//! Prompts from a file, texts out of it: one JSON line for each, in the file's order.
//!
//! `cargo run --release --example batch_from_file -- FILE [TEXTS AT ONCE] [MODEL DIRECTORY]`
//!
//! FILE has a prompt on each line: plain text, or, where it starts with a brace, JSON such as
//! `{"prompt": "And the king", "suffix": "the end.", "seed": 7}`, of which every part may be left out. A text depends on
//! its prompt and seed alone, not on how many are made at once; a line without a seed has its own number for one.

use std::fs::File;
use std::io::{BufRead, BufReader, Write, stdout};
use std::ops::ControlFlow;

use drdiff::model::Request;
use drdiff::{Device, GpuOptions, Model, Prompt, Sampler, SessionOptions};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: batch_from_file FILE [TEXTS AT ONCE] [MODEL DIRECTORY]")?;
    let at_once = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let folder = arguments.next().unwrap_or_else(|| "models".to_owned());
    let file = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
    let model = Model::load(folder, &Device::open(&GpuOptions::default())?)?;
    run(&model, &Sampler::default(), BufReader::new(file), at_once, &mut stdout())
}

/// A line of the file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: Option<String>,
    suffix: Option<String>,
    seed: Option<u64>,
}

impl Line {
    fn request(self, number: usize) -> Request {
        let prompt = self.prompt.map_or_else(Prompt::none, Prompt::prefix);
        let prompt = match self.suffix {
            Some(suffix) => prompt.and_suffix(suffix),
            None => prompt,
        };
        // Of the place in the batch, as the sampler would have it, the text would depend on its neighbours' number.
        Request { prompt, seed: Some(self.seed.unwrap_or(number as u64)), length: None }
    }
}

/// Makes texts of 64 tokens, `at_once` at a time, and writes each batch as soon as it is there.
pub fn run(model: &Model, sampler: &Sampler, file: impl BufRead, at_once: usize, out: &mut dyn Write) -> Outcome<()> {
    // All lines are read first: a mistake in the last one shows before any work is done.
    let requests = requests(file)?;
    let mut session = model.session(SessionOptions { length: 64, ..Default::default() })?;
    for batch in requests.chunks(at_once.max(1)) {
        let (numbers, requests): (Vec<usize>, Vec<Request>) = batch.iter().cloned().unzip();
        let texts = session.generate_batch(&requests, sampler, |_| ControlFlow::Continue(()));
        let texts = texts.map_err(|error| format!("lines {numbers:?}: {}", drdiff::explain(&error)))?;
        for (line, generated) in numbers.iter().zip(texts) {
            let (seed, text) = (generated.seed, generated.text);
            writeln!(out, "{}", serde_json::json!({ "line": line, "seed": seed, "text": text }))?;
        }
        out.flush()?;
    }
    Ok(())
}

/// What each line asks for, with its number; empty lines ask for nothing.
fn requests(file: impl BufRead) -> Outcome<Vec<(usize, Request)>> {
    let mut requests = Vec::new();
    for (number, line) in (1..).zip(file.lines()) {
        let line = line.map_err(|error| format!("line {number}: {error}"))?;
        let line = match line.trim() {
            "" => continue,
            json if json.starts_with('{') => {
                serde_json::from_str(json).map_err(|error| format!("line {number}: {error}"))?
            }
            text => Line { prompt: Some(text.to_owned()), suffix: None, seed: None },
        };
        requests.push((number, line.request(number)));
    }
    Ok(requests)
}
