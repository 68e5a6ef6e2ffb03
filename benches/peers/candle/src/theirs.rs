//! The cases in candle: its own ops, put together as its users would.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::attention::{AttnMask, flash_attn};
use candle_nn::ops::softmax_last_dim;
use drdiff_peers::{Case, Contestant, Kind, Outcome, Running};

/// One call of candle's, which has ended when it returns, and what it gave.
struct Call<F> {
    call: F,
    last: Option<Tensor>,
    /// Axes of the result that are swapped against drdiff's, for the comparison alone.
    swap: Option<(usize, usize)>,
}

impl<F: Fn() -> Result<Tensor>> Running for Call<F> {
    fn start(&mut self) -> Outcome<()> {
        self.last = Some((self.call)()?);
        Ok(())
    }

    fn wait(&mut self) -> Outcome<()> {
        Ok(())
    }

    fn result(&mut self) -> Outcome<Vec<f32>> {
        let mut last = self.last.clone().ok_or("nothing was run")?;
        if let Some((a, b)) = self.swap {
            last = last.transpose(a, b)?;
        }
        Ok(last.contiguous()?.flatten_all()?.to_vec1()?)
    }
}

fn way<F>(name: &str, swap: Option<(usize, usize)>, call: F) -> Contestant
where
    F: Fn() -> Result<Tensor> + 'static,
{
    let prepare = move || -> Outcome<Box<dyn Running>> { Ok(Box::new(Call { call, last: None, swap })) };
    Contestant { name: name.to_owned(), prepare: Box::new(prepare) }
}

fn tensor(case: &Case, name: &str) -> Result<Tensor> {
    let (shape, values) = case.input(name);
    Tensor::from_slice(values, shape, &Device::Cpu)
}

/// The ways in which candle computes a case; none of experts, which it has no ragged product for.
///
/// # Errors
/// If candle refuses the inputs.
pub fn ways(case: &Case) -> Result<Vec<Contestant>> {
    match &case.kind {
        Kind::Product { .. } => {
            let (x, weight) = (tensor(case, "x")?, tensor(case, "weight")?);
            Ok(vec![way("candle", None, move || x.matmul(&weight.t()?))])
        }
        Kind::Attention { dim, .. } => attention(case, 1.0 / (*dim as f64).sqrt()),
        Kind::Experts { .. } => Ok(Vec::new()),
        Kind::Vocabulary { .. } => {
            let (h, skip, embed) = (tensor(case, "h")?, tensor(case, "skip")?, tensor(case, "embed")?);
            let table = Tensor::cat(&[&tensor(case, "unembed")?, &embed], 1)?;
            Ok(vec![way("candle", None, move || {
                let query = Tensor::cat(&[&h, &skip], 1)?;
                softmax_last_dim(&query.matmul(&table.t()?)?)?.matmul(&embed)
            })])
        }
    }
}

fn attention(case: &Case, scale: f64) -> Result<Vec<Contestant>> {
    let rows = ["q", "k", "v"].map(|name| tensor(case, name)?.unsqueeze(0));
    let [q, k, v] = rows;
    let (q, k, v) = (q?, k?, v?);
    let heads = |x: &Tensor| x.transpose(1, 2)?.contiguous();
    let (q2, k2, v2) = (heads(&q)?, heads(&k)?, heads(&v)?);
    let own = move || flash_attn::<f32>(&q, &k, &v, scale as f32, AttnMask::None, None, None);
    let parts = move || {
        let scores = (q2.matmul(&k2.transpose(D::Minus2, D::Minus1)?)? * scale)?;
        softmax_last_dim(&scores)?.matmul(&v2)
    };
    Ok(vec![way("candle's own", Some((1, 2)), own), way("matmul + softmax", Some((1, 2)), parts)])
}
