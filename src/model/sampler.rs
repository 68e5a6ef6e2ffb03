//! How a text is sampled, and what it starts from.

use super::config::Config;
use super::sharpening::Sharpening;
use super::text::Vocabulary;
use crate::{Error, Result, memory};

/// The solver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// DPM-Solver++ 2M.
    #[default]
    Multistep,
    /// DPM-Solver++ of first order, which is DDIM.
    FirstOrder,
    /// The posterior of the forward process, with fresh noise at every step.
    Ancestral,
}

/// Settings of a sampling run.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    /// Evaluations of the network.
    pub steps: usize,
    /// The first sequence's seed; each further one adds 1.
    pub seed: u64,
    /// The solver.
    pub method: Method,
    /// First order for the last step too; no effect if that goes to sigma = 0, which is first order anyway.
    pub lower_order_final: bool,
    /// Share of the most expensive choice's expert FLOPs, in (0, 1]; `None` is what the model was trained for.
    pub budget: Option<f64>,
    /// Strength of the guidance by anchor states; 0 is off.
    pub guidance: f32,
    /// What the network's logits are divided by, in [0.1, 10]: below 1, text keeps to what is likely and varies less.
    /// `None` is what the model's configuration says.
    pub temperature: Option<f32>,
    /// How much the context counts compared with how often a token occurs anyway, in [0, 4]; see
    /// [`Sharpening`]. `None` is what the model's configuration says.
    pub emphasis: Option<f32>,
    /// The largest gamma at which logits are sharpened: at more noise, where a text's subject is settled, they are left as
    /// they are (an interval of guidance, Kynkäänniemi et al. 2024). `None` is what the model's configuration says.
    pub sharpen_below: Option<f64>,
}

impl Default for Sampler {
    fn default() -> Self {
        let method = Method::default();
        Self {
            steps: 20,
            seed: 0,
            method,
            lower_order_final: true,
            budget: None,
            guidance: 0.0,
            temperature: None,
            emphasis: None,
            sharpen_below: None,
        }
    }
}

impl Sampler {
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        if self.steps == 0 || self.steps > 10_000 {
            return Err(Error::argument("the number of steps", self.steps, "1 to 10000"));
        }
        if !(0.0..=1.0).contains(&self.guidance) {
            return Err(Error::argument("the guidance", self.guidance, "0 to 1"));
        }
        self.sharpening(config).check()?;
        if let Some(below) = self.sharpen_below.filter(|gamma| !gamma.is_finite()) {
            return Err(Error::argument("the gamma to sharpen below", below, "a finite number"));
        }
        config.lambda(self.budget).map(|_| ())
    }

    pub(super) fn sharpening(&self, config: &Config) -> Sharpening {
        let (temperature, emphasis) = (self.temperature, self.emphasis);
        let own = config.sharpening();
        Sharpening { temperature: temperature.unwrap_or(own.temperature), emphasis: emphasis.unwrap_or(own.emphasis) }
    }
}

/// The part of a text that is given: any of its positions. Prefix, suffix and infill are one mechanism.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    prefix: Option<String>,
    suffix: Option<String>,
    tokens: Option<Vec<Option<u32>>>,
}

impl Prompt {
    /// No prompt.
    pub fn none() -> Self {
        Self::default()
    }

    /// The text's beginning.
    pub fn prefix(text: impl Into<String>) -> Self {
        Self { prefix: Some(text.into()), ..Self::default() }
    }

    /// The text's end.
    pub fn suffix(text: impl Into<String>) -> Self {
        Self { suffix: Some(text.into()), ..Self::default() }
    }

    /// Adds an end; what lies between is filled in.
    #[must_use]
    pub fn and_suffix(mut self, text: impl Into<String>) -> Self {
        self.suffix = Some(text.into());
        self
    }

    /// Token ids at chosen positions; `None` is to be filled in. The text is as long as this list.
    pub fn tokens(tokens: Vec<Option<u32>>) -> Self {
        Self { tokens: Some(tokens), ..Self::default() }
    }

    /// Bytes of what is given.
    pub(super) fn bytes(&self) -> u64 {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let tokens = self.tokens.as_ref().map_or(0, |tokens| size_of_val(tokens.as_slice()));
        (text(&self.prefix) + text(&self.suffix) + tokens) as u64
    }

    /// The length of a prompt that names every position.
    pub(super) fn given_length(&self) -> Option<usize> {
        self.tokens.as_ref().map(Vec::len)
    }

    /// The ids at each of `length` positions.
    pub(super) fn positions(
        &self,
        length: usize,
        vocabulary: &Vocabulary,
        config: &Config,
    ) -> Result<Vec<Option<u32>>> {
        if let Some(tokens) = &self.tokens {
            if self.suffix.is_some() {
                return Err(Error::argument("the prompt", "token ids with a suffix", "one or the other"));
            }
            if tokens.len() != length {
                return Err(Error::argument("the prompt", format!("{} positions", tokens.len()), format!("{length}")));
            }
            if let Some(id) = tokens.iter().flatten().find(|&&id| id as usize >= config.vocab_size) {
                return Err(Error::argument("a prompt token", id, format!("below {}", config.vocab_size)));
            }
            return memory::copied("the prompt", tokens);
        }
        let encode = |text: &Option<String>, what: &str| match text {
            None => Ok(Vec::new()),
            Some(text) if text.is_empty() => Err(Error::argument(what, "empty", "text, or none at all")),
            Some(text) => match vocabulary.encode(text)? {
                ids if ids.is_empty() => Err(Error::argument(what, "nothing to the tokenizer", "text with a token")),
                ids => Ok(ids),
            },
        };
        let (prefix, suffix) = (encode(&self.prefix, "the prompt")?, encode(&self.suffix, "the suffix")?);
        let given = prefix.len() + suffix.len();
        if given >= length {
            let expected = format!("fewer than the text's length of {length}");
            return Err(Error::argument("the prompt", format!("{given} tokens"), expected));
        }
        let mut positions = memory::filled("the prompt", length, None)?;
        for (position, id) in positions.iter_mut().zip(&prefix) {
            *position = Some(*id);
        }
        for (position, id) in positions.iter_mut().rev().zip(suffix.iter().rev()) {
            *position = Some(*id);
        }
        Ok(positions)
    }
}
