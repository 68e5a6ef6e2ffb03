//! Which experts each position went to at each step, as data or as a picture.

use std::io::Write as _;
use std::path::Path;

use drdiff::files::write_with;
use drdiff::model::Config;
use drdiff::{Error, Result, Tensor, memory};
use serde_json::json;

/// Pixels of a position's side.
const CELL: usize = 4;

/// Chosen experts of every step: `[step][layer]` of u32 `[B, R, k]`, the first sequence's text rows alone.
#[derive(Default)]
pub struct Routing {
    steps: Vec<Vec<Vec<u32>>>,
}

impl Routing {
    pub fn add(&mut self, anchors: usize, layers: Vec<Tensor>) -> Result<()> {
        let text = |tensor: &Tensor| {
            let shape = &tensor.desc().shape;
            let (rows, k) = (shape[shape.len() - 2], shape[shape.len() - 1]);
            let first = tensor.words().get(..rows * k).unwrap_or(tensor.words());
            memory::copied("the routing", &first[(anchors * k).min(first.len())..])
        };
        self.steps.push(layers.iter().map(text).collect::<Result<_>>()?);
        Ok(())
    }

    /// Refuses a file name that ends in neither .png nor .json.
    pub fn check_name(path: &Path) -> Result<()> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json" | "png") => Ok(()),
            _ => Err(Error::argument("the routing file", path.display(), "a name that ends in .png or .json")),
        }
    }

    /// Writes `.json` (the indices and each step's share of the most expensive choice) or `.png` (step by position,
    /// brightness the mean width over layers).
    pub fn write(&self, path: &Path, config: &Config) -> Result<()> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => self.data(path, config),
            _ => self.picture(path, config),
        }
    }

    /// FLOPs at each position of a step as a share of the most expensive choice, mean over layers.
    fn shares(config: &Config, layers: &[Vec<u32>]) -> impl Iterator<Item = f64> {
        let (costs, k) = (config.expert_costs(), config.top_k);
        let positions = layers.first().map_or(0, |layer| layer.len() / k);
        (0..positions).map(move |position| {
            let chosen = layers.iter().flat_map(|layer| &layer[position * k..(position + 1) * k]);
            let cost = |&expert: &u32| costs.get(expert as usize).copied().unwrap_or(0.0);
            chosen.map(cost).sum::<f64>() / layers.len() as f64
        })
    }

    fn data(&self, path: &Path, config: &Config) -> Result<()> {
        let share = |layers: &Vec<Vec<u32>>| {
            let (count, sum) = Self::shares(config, layers).fold((0, 0.0), |(n, sum), share| (n + 1, sum + share));
            sum / f64::from(count.max(1))
        };
        let shares: Vec<_> = self.steps.iter().map(share).collect();
        write_with(path, |file| {
            let (widths, shares) = (json!(config.expert_widths), json!(shares));
            write!(file, "{{\"widths\":{widths},\"top_k\":{},\"share\":{shares},\"indices\":", config.top_k)?;
            serde_json::to_writer(&mut *file, &self.steps)?;
            write!(file, "}}")
        })
    }

    fn picture(&self, path: &Path, config: &Config) -> Result<()> {
        let positions = self.steps.first().map_or(0, |layers| Self::shares(config, layers).count());
        let (width, height) = (positions * CELL, self.steps.len() * CELL);
        let mut row = memory::zeroed("a row of the picture", width)?;
        // Its encoder keeps a few rows.
        memory::room("the rows of the picture", 8 * width as u64)?;
        write_with(path, |file| {
            let mut encoder = png::Encoder::new(file, width as u32, height as u32);
            encoder.set_color(png::ColorType::Grayscale);
            let mut writer = encoder.write_header()?;
            let mut pixels = writer.stream_writer()?;
            for layers in &self.steps {
                for (cell, share) in row.chunks_exact_mut(CELL).zip(Self::shares(config, layers)) {
                    cell.fill((share.clamp(0.0, 1.0) * 255.0) as u8);
                }
                (0..CELL).try_for_each(|_| pixels.write_all(&row))?;
            }
            pixels.finish()?;
            Ok(writer.finish()?)
        })
    }
}
