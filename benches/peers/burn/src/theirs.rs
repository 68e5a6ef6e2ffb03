//! The cases in burn: its own ops, put together as its users would.

use burn::tensor::activation::{silu, softmax};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};
use drdiff_peers::{Case, Contestant, Kind, Outcome, Running};

/// The release that is measured; `Cargo.toml` pins it.
pub const VERSION: &str = "0.22.1";

/// One call of burn's and the results since the last wait, which keep it from leaving out what nobody reads.
struct Call<const D: usize, F> {
    call: F,
    device: Device,
    results: Vec<Tensor<D>>,
    last: Option<Tensor<D>>,
}

impl<const D: usize, F: Fn() -> Tensor<D>> Running for Call<D, F> {
    fn start(&mut self) -> Outcome<()> {
        self.results.push((self.call)());
        Ok(())
    }

    fn wait(&mut self) -> Outcome<()> {
        self.device.sync().map_err(|error| format!("{error:?}"))?;
        self.last = self.results.pop();
        self.results.clear();
        Ok(())
    }

    fn result(&mut self) -> Outcome<Vec<f32>> {
        let last = self.last.clone().ok_or("nothing was run")?;
        let shape: Vec<usize> = last.dims().to_vec();
        let values = last.into_data().try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
        Ok(match shape.as_slice() {
            &[1, heads, n, dim] => swapped(&values, heads, n, dim),
            _ => values,
        })
    }
}

fn way<const D: usize, F>(name: &str, device: &Device, call: F) -> Contestant
where
    F: Fn() -> Tensor<D> + 'static,
{
    let (name, device) = (name.to_owned(), device.clone());
    let prepare =
        move || -> Outcome<Box<dyn Running>> { Ok(Box::new(Call { call, device, results: Vec::new(), last: None })) };
    Contestant { name, prepare: Box::new(prepare) }
}

fn tensor<const D: usize>(case: &Case, name: &str, device: &Device) -> Tensor<D> {
    let (shape, values) = case.input(name);
    Tensor::from_data(TensorData::new(values.to_vec(), shape.to_vec()), device)
}

/// The ways in which burn computes a case. Inputs are on the device before the first call is timed.
pub fn ways(case: &Case, device: &Device) -> Vec<Contestant> {
    let ways = match &case.kind {
        Kind::Product { .. } => {
            let (x, weight) = (tensor::<2>(case, "x", device), tensor::<2>(case, "weight", device));
            vec![way("burn", device, move || x.clone().matmul(weight.clone().transpose()))]
        }
        Kind::Attention { .. } => attention_ways(case, device),
        Kind::Experts { widths, top_k, .. } => vec![experts(case, widths, *top_k, device)],
        Kind::Vocabulary { .. } => vec![vocabulary(case, device)],
    };
    // Uploads are no part of a first call.
    let _ = device.sync();
    ways
}

/// `[a, b, dim]` as `[b, a, dim]`.
fn swapped(values: &[f32], a: usize, b: usize, dim: usize) -> Vec<f32> {
    let mut moved = Vec::with_capacity(values.len());
    for second in 0..b {
        for first in 0..a {
            let start = (first * b + second) * dim;
            moved.extend_from_slice(&values[start..start + dim]);
        }
    }
    moved
}

/// drdiff's `[N, H, Dh]` as burn's `[1, H, N, Dh]`, laid out so.
fn heads_first(case: &Case, name: &str, device: &Device) -> Tensor<4> {
    let (shape, values) = case.input(name);
    let [n, heads, dim] = [shape[0], shape[1], shape[2]];
    Tensor::from_data(TensorData::new(swapped(values, n, heads, dim), [1, heads, n, dim]), device)
}

fn attention_ways(case: &Case, device: &Device) -> Vec<Contestant> {
    let [q, k, v] = ["q", "k", "v"].map(|name| heads_first(case, name, device));
    let scale = 1.0 / (q.dims()[3] as f64).sqrt();
    let (q2, k2, v2) = (q.clone(), k.clone(), v.clone());
    let own = move || {
        let options = AttentionModuleOptions::default();
        attention(q.clone(), k.clone(), v.clone(), None, None, options)
    };
    let parts = move || {
        let scores = q2.clone().matmul(k2.clone().swap_dims(2, 3)) * scale;
        softmax(scores, 3).matmul(v2.clone())
    };
    vec![way("burn's own", device, own), way("matmul + softmax", device, parts)]
}

/// All experts on all rows, each hidden unit weighted by its expert's share: burn has no ragged product, and gathering
/// rows by expert would wait for their counts in the middle of every call.
fn experts(case: &Case, widths: &[usize], top_k: usize, device: &Device) -> Contestant {
    let x = tensor::<2>(case, "x", device);
    let logits = tensor::<2>(case, "router_logits", device);
    let both = Tensor::cat(vec![tensor::<2>(case, "gate", device), tensor::<2>(case, "up", device)], 0);
    let down = tensor::<2>(case, "down", device);
    let owners: Vec<i32> = widths.iter().enumerate().flat_map(|(e, &width)| vec![e as i32; width]).collect();
    let hidden = owners.len();
    let owners = Tensor::<1, Int>::from_data(TensorData::new(owners, [hidden]), device);
    way("burn, dense", device, move || {
        let (values, indices) = logits.clone().topk_with_indices(top_k, 1);
        let shares = logits.zeros_like().scatter(1, indices, softmax(values, 1), burn::tensor::IndexingUpdateOp::Add);
        let projected = x.clone().matmul(both.clone().transpose());
        let gate = projected.clone().slice([0..projected.dims()[0], 0..hidden]);
        let up = projected.clone().slice([0..projected.dims()[0], hidden..2 * hidden]);
        let weighted = silu(gate) * up * shares.select(1, owners.clone());
        weighted.matmul(down.clone().transpose())
    })
}

/// One product for both terms of the logits, as their tables can be put side by side once; arg-max is left out.
fn vocabulary(case: &Case, device: &Device) -> Contestant {
    let (h, skip) = (tensor::<2>(case, "h", device), tensor::<2>(case, "skip", device));
    let embed = tensor::<2>(case, "embed", device);
    let table = Tensor::cat(vec![tensor::<2>(case, "unembed", device), embed.clone()], 1);
    way("burn", device, move || {
        let query = Tensor::cat(vec![h.clone(), skip.clone()], 1);
        softmax(query.matmul(table.clone().transpose()), 1).matmul(embed.clone())
    })
}
