//! Which experts each position went to at each step, as data or as a picture.

use std::path::Path;

use drdiff::model::{Config, write_whole};
use drdiff::{Error, Result, Tensor};
use serde_json::json;

/// Chosen experts of every step: `[step][layer]` of u32 `[B, R, k]`, the first sequence's text rows alone.
#[derive(Default)]
pub struct Routing {
    steps: Vec<Vec<Vec<u32>>>,
}

impl Routing {
    pub fn add(&mut self, anchors: usize, layers: Vec<Tensor>) {
        let text = |tensor: &Tensor| {
            let shape = &tensor.desc().shape;
            let (rows, k) = (shape[shape.len() - 2], shape[shape.len() - 1]);
            let first = tensor.words().get(..rows * k).unwrap_or(tensor.words());
            first[(anchors * k).min(first.len())..].to_vec()
        };
        self.steps.push(layers.iter().map(text).collect());
    }

    /// Refuses a file name whose extension says neither picture nor data.
    pub fn check_name(path: &Path) -> Result<()> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json" | "png") => Ok(()),
            _ => Err(Error::argument("the routing file", path.display(), "a name that ends in .png or .json")),
        }
    }

    /// Writes `.json` (the indices and each step's share of the dearest choice) or `.png` (step by position, brightness
    /// the mean width over layers).
    pub fn write(&self, path: &Path, config: &Config) -> Result<()> {
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => {
                let report = json!({
                    "widths": config.expert_widths, "top_k": config.top_k,
                    "share": self.shares(config).iter().map(|step| mean(step)).collect::<Vec<_>>(),
                    "indices": self.steps,
                });
                report.to_string().into_bytes()
            }
            _ => self.picture(config, path)?,
        };
        write_whole(path, &bytes)
    }

    /// `[step][position]`: FLOPs as a share of the dearest choice, mean over layers.
    fn shares(&self, config: &Config) -> Vec<Vec<f64>> {
        let (costs, k) = (config.expert_costs(), config.top_k);
        let step = |layers: &Vec<Vec<u32>>| {
            let positions = layers.first().map_or(0, |layer| layer.len() / k);
            let share = |position: usize| {
                let chosen = layers.iter().flat_map(|layer| &layer[position * k..(position + 1) * k]);
                chosen.map(|&expert| costs.get(expert as usize).copied().unwrap_or(0.0)).sum::<f64>()
                    / layers.len() as f64
            };
            (0..positions).map(share).collect()
        };
        self.steps.iter().map(step).collect()
    }

    fn picture(&self, config: &Config, path: &Path) -> Result<Vec<u8>> {
        const CELL: usize = 4;
        let shares = self.shares(config);
        let (height, width) = (shares.len() * CELL, shares.first().map_or(0, Vec::len) * CELL);
        let pixels: Vec<u8> = (0..height * width)
            .map(|at| (shares[at / width / CELL][at % width / CELL].clamp(0.0, 1.0) * 255.0) as u8)
            .collect();
        let mut bytes = Vec::new();
        let failed = |source: png::EncodingError| Error::File {
            path: path.to_owned(),
            doing: "encode",
            source: std::io::Error::other(source),
        };
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
