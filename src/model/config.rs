//! `config.json`: sizes, schedule, levels and budgets of a model.

use serde::{Deserialize, Serialize};

use super::sharpening::{EMPHASES, Sharpening, TEMPERATURES};
use crate::ops::attention::MAX_HEAD_DIM;
use crate::ops::{Experts, Pattern, SegmentMean, norm, rope, time_embedding};
use crate::schedule::Schedule;
use crate::{Error, Result};

/// Most of whatever a size counts that no op bounds.
const MAX_SIZE: usize = 1 << 20;
/// Widths of place features that are accepted.
const PLACE_DIMS: std::ops::RangeInclusive<usize> = 2..=64;
/// Most anchors of a level.
const MAX_ANCHORS: usize = 4096;
/// Most text positions of a level.
const MAX_LENGTH: usize = 1 << 24;

/// A model's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the architecture is called in files: `drdiff-1`, or `LangFlow`.
    pub format: String,
    /// Tokens, V.
    pub vocab_size: usize,
    /// Width of an embedding, De.
    pub embedding_dim: usize,
    /// Width of the hidden state, D.
    pub model_dim: usize,
    /// Attention heads, H; D is a multiple of it.
    pub heads: usize,
    /// Transformer blocks, L.
    pub layers: usize,
    /// Dimensions of each head that RoPE turns; even.
    pub rotary_dim: usize,
    /// Base of RoPE's frequencies.
    pub rope_base: f64,
    /// Width of the time embedding, T; even.
    pub time_dim: usize,
    /// Features of a position's place in the text, P; even.
    pub place_dim: usize,
    /// Added to the mean square in RMS norm.
    pub norm_eps: f32,
    /// Hidden width of each expert; 0 passes the token.
    pub expert_widths: Vec<u32>,
    /// Experts per token.
    pub top_k: usize,
    /// The token that ends a text.
    pub eos_token: u32,
    /// Noise as a function of time.
    pub schedule: Schedule,
    /// Attention patterns by length, shortest first.
    pub levels: Vec<Level>,
    /// Compute budgets.
    pub budget: BudgetConfig,
    /// Times at which anchor states are refreshed.
    pub anchor_times: Vec<f64>,
    /// What the network's logits are divided by when sampling; see [`super::Sharpening`].
    #[serde(default = "unchanged")]
    pub temperature: f32,
    /// How far sampling stresses what the context says; see [`super::Sharpening`].
    #[serde(default)]
    pub emphasis: f32,
    /// The largest gamma at which sampling sharpens; every gamma if absent.
    #[serde(default)]
    pub sharpen_below: Option<f64>,
    /// What the architecture fixes.
    #[serde(skip)]
    pub conventions: Conventions,
}

/// What follows from a model's architecture, and is not in a `config.json` of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conventions {
    /// The network was trained with given text in its input.
    pub given_text: bool,
    /// The network has anchors, and reads the place of each row.
    pub anchors: bool,
    /// The exact Bayes term of the noisy state is added to the logits.
    pub bayes_term: bool,
    /// The last prediction is an input of the network.
    pub self_conditioning: bool,
    /// Rows of the embedding are scaled to the norm sqrt(De) when they are read, whatever the file holds.
    pub normalized_embedding: bool,
    /// Tokens that may end a text, the first that the tokenizer has; where there are none, `eos_token` does.
    pub end_tokens: &'static [&'static str],
    /// Texts go on past an end: the model writes several, one after another, and special tokens say nothing.
    pub continues: bool,
}

impl Default for Conventions {
    /// Those of our own architecture.
    fn default() -> Self {
        Self {
            given_text: true,
            anchors: true,
            bayes_term: true,
            self_conditioning: true,
            normalized_embedding: false,
            end_tokens: &[],
            continues: false,
        }
    }
}

fn unchanged() -> f32 {
    1.0
}

/// The attention pattern up to a length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LevelFields", into = "LevelFields")]
pub struct Level {
    /// Text positions up to which it is used.
    pub max_length: usize,
    /// Dense or sparse.
    pub pattern: PatternName,
    /// Half-window of the sparse pattern; 0 where dense.
    pub window: usize,
    /// Dilations (r, k) of the sparse pattern; none where dense.
    pub dilations: Vec<(usize, usize)>,
    /// Anchor rows before the text; the globals of the sparse pattern.
    pub anchors: usize,
}

/// A level as files spell it: only the sparse pattern has a window, and it must say which.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelFields {
    max_length: usize,
    pattern: PatternName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dilations: Option<Vec<(usize, usize)>>,
    anchors: usize,
}

impl TryFrom<LevelFields> for Level {
    type Error = String;

    fn try_from(fields: LevelFields) -> std::result::Result<Self, String> {
        let LevelFields { max_length, pattern, window, dilations, anchors } = fields;
        let window = match (pattern, window, &dilations) {
            (PatternName::Hsa, Some(window), _) => window,
            (PatternName::Hsa, None, _) => {
                return Err("an `hsa` level without `window`, expected its half-window".into());
            }
            (PatternName::Dense, None, None) => 0,
            (PatternName::Dense, ..) => {
                return Err("a `dense` level with `window` or `dilations`, expected them at `hsa` alone".into());
            }
        };
        Ok(Self { max_length, pattern, window, dilations: dilations.unwrap_or_default(), anchors })
    }
}

impl From<Level> for LevelFields {
    fn from(level: Level) -> Self {
        let Level { max_length, pattern, window, dilations, anchors } = level;
        let sparse = pattern == PatternName::Hsa;
        Self { max_length, pattern, window: sparse.then_some(window), dilations: sparse.then_some(dilations), anchors }
    }
}

/// Kinds of pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatternName {
    /// Every position sees every position.
    Dense,
    /// Local, dilated and global.
    Hsa,
}

impl Level {
    /// The pattern as the op takes it.
    pub fn pattern(&self) -> Pattern {
        match self.pattern {
            PatternName::Dense => Pattern::Dense,
            PatternName::Hsa => Pattern::Hsa { window: self.window, dilations: self.dilations.clone() },
        }
    }
}

/// How a budget becomes a shift of the router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// The share of the most expensive choice that the router takes unshifted.
    pub default: f64,
    /// (budget, lambda), budget increasing, lambda decreasing.
    pub lambda: Vec<(f64, f64)>,
}

impl Config {
    /// Whether the network was trained with given text in its input; if not, what it writes may not follow from a prompt.
    pub fn trained_for_prompts(&self) -> bool {
        self.conventions.given_text
    }

    /// Channels of a head.
    pub fn head_dim(&self) -> usize {
        self.model_dim / self.heads
    }

    /// Sum of the experts' widths.
    pub fn expert_width(&self) -> usize {
        self.expert_widths.iter().map(|&width| width as usize).sum()
    }

    /// Values of one modulation: six for each layer, two for the head.
    pub fn modulation_len(&self) -> usize {
        (6 * self.layers + 2) * self.model_dim
    }

    /// Each expert's cost: its width as a share of the most expensive choice.
    pub fn expert_costs(&self) -> Vec<f64> {
        let mut widths = self.expert_widths.clone();
        widths.sort_unstable_by(|a, b| b.cmp(a));
        let dearest: u32 = widths.iter().take(self.top_k).sum();
        self.expert_widths.iter().map(|&width| f64::from(width) / f64::from(dearest.max(1))).collect()
    }

    /// What sampling does to the network's logits unless a caller says otherwise.
    pub fn sharpening(&self) -> Sharpening {
        Sharpening { temperature: self.temperature, emphasis: self.emphasis }
    }

    /// The shift of the router that keeps expert FLOPs at `budget`, by the calibration table; 0 for the default.
    ///
    /// # Errors
    /// If `budget` is outside (0, 1].
    pub fn lambda(&self, budget: Option<f64>) -> Result<f64> {
        let Some(budget) = budget else { return Ok(0.0) };
        if !(budget > 0.0 && budget <= 1.0) {
            return Err(Error::argument("the budget", budget, "a number above 0 and at most 1"));
        }
        let table = &self.budget.lambda;
        let above = table.iter().position(|(b, _)| *b >= budget);
        Ok(match above {
            Some(0) => table[0].1,
            Some(i) => {
                let ((b0, l0), (b1, l1)) = (table[i - 1], table[i]);
                l0 + (l1 - l0) * (budget - b0) / (b1 - b0)
            }
            None => table.last().map_or(0.0, |(_, lambda)| *lambda),
        })
    }

    /// The index of the level for a text of `length` positions.
    ///
    /// # Errors
    /// If the length is 0 or beyond the last level.
    pub fn level(&self, length: usize) -> Result<usize> {
        let longest = self.levels.last().map_or(0, |level| level.max_length);
        let level = self.levels.iter().position(|level| length <= level.max_length && length > 0);
        level.ok_or_else(|| {
            Error::argument("the length", length, format!("1 to {longest} tokens, as the model's levels go"))
        })
    }

    /// What is wrong with it, if anything.
    pub(super) fn contradiction(&self) -> Option<String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("embedding_dim", self.embedding_dim),
            ("model_dim", self.model_dim),
            ("heads", self.heads),
            ("layers", self.layers),
            ("top_k", self.top_k),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| *size == 0 || *size > MAX_SIZE) {
            return Some(format!("`{name}` is {size}, expected 1 to {MAX_SIZE}"));
        }
        if !TEMPERATURES.contains(&self.temperature) {
            return Some(format!("`temperature` is {}, expected 0.1 to 10", self.temperature));
        }
        if !EMPHASES.contains(&self.emphasis) {
            return Some(format!("`emphasis` is {}, expected 0 to 4", self.emphasis));
        }
        if !self.model_dim.is_multiple_of(self.heads) || self.head_dim() > MAX_HEAD_DIM {
            let (d, h) = (self.model_dim, self.heads);
            let expected = format!("expected whole heads of at most {MAX_HEAD_DIM} channels");
            return Some(format!("`model_dim` {d} and `heads` {h}: {expected}"));
        }
        let fits = PLACE_DIMS.contains(&self.place_dim) && self.place_dim.is_multiple_of(2);
        if self.conventions.anchors && !fits {
            let (least, most) = (PLACE_DIMS.start(), PLACE_DIMS.end());
            return Some(format!("`place_dim` is {}, expected an even number from {least} to {most}", self.place_dim));
        }
        if self.expert_widths.iter().any(|&width| width as usize > MAX_SIZE) {
            return Some(format!("`expert_widths` must be at most {MAX_SIZE}"));
        }
        if self.eos_token as usize >= self.vocab_size {
            return Some(format!("`eos_token` is {}, outside the {} tokens", self.eos_token, self.vocab_size));
        }
        if !(self.rope_base > 1.0 && self.rope_base.is_finite()) {
            return Some(format!("`rope_base` is {}, expected a number above 1", self.rope_base));
        }
        if self.norm_eps >= 1.0 {
            return Some(format!("`norm_eps` is {:e}, expected a number below 1", self.norm_eps));
        }
        // What the ops would refuse once a graph is built.
        let experts = Experts { top_k: self.top_k, widths: self.expert_widths.clone(), gate_offset: 0 };
        let refusal = [
            ("norm_eps", norm::check_eps(self.norm_eps)),
            ("rotary_dim", rope::check_dim(self.rotary_dim, self.head_dim())),
            ("time_dim", time_embedding::check_dim(self.time_dim)),
            ("expert_widths", experts.check().map(|_| ())),
        ];
        for (field, outcome) in refusal {
            if let Err(error) = outcome {
                return Some(format!("`{field}`: {error}"));
            }
        }
        self.schedule_contradiction().or_else(|| self.level_contradiction())
    }

    fn schedule_contradiction(&self) -> Option<String> {
        if let Some(problem) = self.schedule.contradiction() {
            return Some(problem.to_owned());
        }
        if self.anchor_times.iter().any(|time| !(0.0..=1.0).contains(time)) {
            return Some("`anchor_times` must lie in [0, 1]".to_owned());
        }
        let table = &self.budget.lambda;
        let ordered = table.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1);
        let finite = table.iter().all(|(budget, lambda)| (0.0..=1.0).contains(budget) && (*lambda as f32).is_finite());
        if table.is_empty() || !ordered || !finite {
            return Some(
                "`budget.lambda` must be pairs of rising budgets in [0, 1] and falling finite lambdas".to_owned(),
            );
        }
        let default = self.budget.default;
        if !(default > 0.0 && default <= 1.0) {
            return Some(format!("`budget.default` is {default}, expected a number above 0 and at most 1"));
        }
        None
    }

    fn level_contradiction(&self) -> Option<String> {
        let rising = self.levels.windows(2).all(|pair| pair[0].max_length < pair[1].max_length);
        if self.levels.is_empty() || !rising || self.levels[0].max_length == 0 {
            return Some("there must be at least one level, with rising `max_length`".to_owned());
        }
        for (index, level) in self.levels.iter().enumerate() {
            let fewest = usize::from(self.conventions.anchors);
            if !(fewest..=MAX_ANCHORS).contains(&level.anchors) || level.max_length > MAX_LENGTH {
                return Some(format!(
                    "level {index} must have {fewest} to {MAX_ANCHORS} anchors and at most {MAX_LENGTH} positions"
                ));
            }
            let positions = level.anchors + level.max_length;
            let segments = |()| match level.anchors {
                0 => Ok(()),
                anchors => SegmentMean { anchors }.check(positions),
            };
            let refusal = level.pattern().check().and_then(segments);
            if let Err(error) = refusal {
                return Some(format!("level {index}: {error}"));
            }
        }
        None
    }
}
