//! `vocab_expectation`: the mean embedding under a softmax over the vocabulary; `rounding`: the nearest token.

mod cases;
mod near_tie;
pub mod rounding;

use drdiff_reference as reference;

use super::{dims, expect, filled, index32, require};
use crate::check::{Arguments, Call, Check, Entry, Output};
use crate::gpu::{Binding, Grid, Kernel, Recorder, shaders};
use crate::graph::{Bindings, Cost, CpuIo, Op, OracleData, OracleIo, Shapes};
use crate::{DType, Desc, Error, Result, cpu};

const NAME: &str = "vocab_expectation";

/// Inputs: `h` `[.., D]`, `unembed` `[V, D]`, `embed` `[V, De]`, optional `skip` `[.., De]`, with
/// `logits = h unembed^T + skip embed^T`. Outputs: `x0` `[.., De] = softmax(logits) embed`, then for each row `[..]`
/// `lse` (natural log of the sum of exp), `entropy` in nats, and `token` u32, the arg-max, the lower one of equals
/// (score interpolation, Dieleman et al. 2022). Memory grows with rows, never with rows times V. Logits must be finite:
/// a row where they are not has a `token` below V and else no meaning.
///
/// In f32 NMSE is at most 1e-9 (`entropy` 1e-8), and `token` right but for logits within 1e-5 of the row's largest, where
/// logits are good to about 2e-5, as a softmax turns the error of a logit into a relative one of its weight: where the
/// sizes of the products of a logit sum to 64 or so; where those products and their sums are exact, whatever their size;
/// and where one token stands far above the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct VocabExpectation;

crate::params! {
    struct Params {
        rows: u32,
        dim: u32,
        vocab: u32,
        embed_dim: u32,
        skip: u32,
        splits: u32,
        split: u32,
        chunks: u32,
    }
}

crate::params! {
    struct MergeParams {
        rows: u32,
        embed_dim: u32,
        splits: u32,
    }
}

const fn expectation(constants: &'static [(&'static str, u32)]) -> Kernel {
    let writes = &[false, false, false, false, true, true, true, true];
    Kernel { constants, ..Kernel::core(shaders::VOCAB_EXPECTATION, Params::FIELDS, writes) }
}

/// 32 rows and 32 columns of `x0` a workgroup.
pub const EXPECTATION_32: Kernel = expectation(&[("VALUE_DIM", 32)]);
/// 32 rows and 64 columns of `x0` a workgroup.
pub const EXPECTATION_64: Kernel = expectation(&[("VALUE_DIM", 64)]);
/// 32 rows and 128 columns of `x0` a workgroup.
pub const EXPECTATION_128: Kernel = expectation(&[("VALUE_DIM", 128)]);
/// 32 rows and 256 columns of `x0` a workgroup; wider embeddings take several, which each make the scores.
pub const EXPECTATION_256: Kernel = expectation(&[("VALUE_DIM", 256)]);
/// Adds up the splits of the vocabulary.
pub const MERGE: Kernel =
    Kernel::core(shaders::VOCAB_MERGE, MergeParams::FIELDS, &[false, false, false, false, true, true, true, true]);

/// Rows of a workgroup, and tokens of a tile.
const TILE: usize = shaders::vocab_expectation::ROWS as usize;
const _: () = assert!(shaders::vocab_expectation::KEYS as usize == TILE);
/// Workgroups wanted: where rows give fewer, the vocabulary is split.
const GROUPS: usize = 256;
/// Fewest tiles of a split: below, what a split costs in the merge shows.
const SPLIT_TILES: usize = 8;
/// The merge kernel holds one factor a thread.
const MAX_SPLITS: usize = shaders::vocab_merge::MAX_SPLITS as usize;

/// Elements of the largest scratch of a pass over the rows: 64 MiB, half of what WebGPU promises for a binding.
const SCRATCH: usize = 1 << 24;
/// Passes begin at a multiple of this many rows: 256 bytes of one word each, WebGPU's alignment of bindings.
const PASS_ROWS: usize = 64;

#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    /// Rows of one sequence.
    sequence: usize,
    dim: usize,
    vocab: usize,
    embed_dim: usize,
}

impl Sizes {
    fn of(shapes: &Shapes) -> Self {
        let h = shapes.input(0);
        let (vocab, embed_dim) = (shapes.input(1).dim(0), shapes.input(2).dim(1));
        Self { rows: h.rows(), sequence: h.sequence_rows(), dim: h.last(), vocab, embed_dim }
    }

    /// The kernel and how many columns of `x0` it makes.
    fn kernel(&self) -> (&'static Kernel, usize) {
        match self.embed_dim {
            ..=32 => (&EXPECTATION_32, 32),
            33..=64 => (&EXPECTATION_64, 64),
            65..=128 => (&EXPECTATION_128, 128),
            _ => (&EXPECTATION_256, 256),
        }
    }

    /// Parts of the vocabulary, and tokens of a part. By sizes of one sequence alone, so that every GPU adds in one order,
    /// whatever the batch.
    fn splits(&self) -> (usize, usize) {
        let groups = self.sequence.div_ceil(TILE) * self.embed_dim.div_ceil(self.kernel().1);
        let tiles = self.vocab.div_ceil(TILE);
        let most = (tiles / SPLIT_TILES).clamp(1, MAX_SPLITS);
        let tiles_each = tiles.div_ceil(GROUPS.div_ceil(groups.max(1)).min(most));
        (tiles.div_ceil(tiles_each), tiles_each * TILE)
    }

    /// Rows of a pass: all, but where the scratch of a large batch would be too large.
    fn pass(&self) -> usize {
        match self.splits().0 {
            1 => self.rows,
            splits => {
                let most = SCRATCH / (splits * self.embed_dim.max(2));
                (most / PASS_ROWS * PASS_ROWS).max(PASS_ROWS).min(self.rows)
            }
        }
    }
}

/// What is left of a buffer behind `first` rows of `width` words.
fn behind(binding: &Binding, first: usize, width: usize) -> Binding {
    let skipped = first as u64 * width as u64 * 4;
    let size = binding.size.and_then(|size| std::num::NonZeroU64::new(size.get() - skipped));
    Binding { buffer: binding.buffer.clone(), offset: binding.offset + skipped, size }
}

impl Op for VocabExpectation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static str] {
        &["h", "unembed", "embed", "skip"]
    }

    fn infer(&self, inputs: &[Option<&Desc>]) -> Result<Vec<Desc>> {
        let h = require(NAME, inputs, 0, "h", DType::F32)?;
        let unembed = require(NAME, inputs, 1, "unembed", DType::F32)?;
        let embed = require(NAME, inputs, 2, "embed", DType::F32)?;
        let [vocab, dim] = dims(NAME, "unembed", unembed)?;
        let [rows, embed_dim] = dims(NAME, "embed", embed)?;
        for (name, desc) in [("h", h), ("unembed", unembed), ("embed", embed)] {
            filled(NAME, name, desc)?;
        }
        if rows != vocab {
            return Err(Error::shape(NAME, "embed", embed.to_string(), format!("[{vocab}, De] as unembed {unembed}")));
        }
        let Some((_, outer)) = h.shape.split_last().filter(|(last, _)| **last == dim) else {
            return Err(Error::shape(NAME, "h", h.to_string(), format!("[.., {dim}] as unembed {unembed}")));
        };
        let mut shape = outer.to_vec();
        shape.push(embed_dim);
        let x0 = Desc::f32(shape);
        expect(NAME, inputs, 3, "skip", &x0)?;
        Ok(vec![x0, Desc::f32(outer), Desc::f32(outer), Desc::u32(outer)])
    }

    fn scratch(&self, shapes: &Shapes) -> Vec<Desc> {
        let sizes = Sizes::of(shapes);
        match sizes.splits().0 {
            1 => Vec::new(),
            splits => vec![
                Desc::f32([splits, sizes.pass(), sizes.embed_dim]),
                Desc::f32([splits, sizes.pass()]),
                Desc::f32([splits, sizes.pass(), 2]),
                Desc::u32([splits, sizes.pass()]),
            ],
        }
    }

    fn encode(&self, recorder: &mut Recorder<'_>, shapes: &Shapes, io: &Bindings) -> Result<()> {
        let sizes = Sizes::of(shapes);
        let Sizes { rows, dim, vocab, embed_dim, .. } = sizes;
        let (splits, split) = sizes.splits();
        let (kernel, value_dim) = sizes.kernel();
        let chunks = embed_dim.div_ceil(value_dim);
        for elements in [rows * dim, rows * embed_dim, vocab * dim, vocab * embed_dim] {
            index32(NAME, "a tensor", elements)?;
        }
        // Tokens and rows are counted past the end by up to a tile.
        index32(NAME, "V", vocab + split)?;
        index32(NAME, "rows", rows + TILE)?;
        let skip = shapes.inputs[3].is_some();
        for first in (0..rows).step_by(sizes.pass()) {
            let rows = sizes.pass().min(rows - first);
            let groups = rows.div_ceil(TILE) * splits * chunks;
            index32(NAME, "workgroups", groups)?;
            let params = Params {
                rows: rows as u32,
                dim: dim as u32,
                vocab: vocab as u32,
                embed_dim: embed_dim as u32,
                skip: skip.into(),
                splits: splits as u32,
                split: split as u32,
                chunks: chunks as u32,
            };
            let mut inputs = io.inputs.clone();
            inputs[0] = behind(&inputs[0], first, dim);
            if skip {
                inputs[3] = behind(&inputs[3], first, embed_dim);
            }
            let widths = [embed_dim, 1, 1, 1];
            let outputs: Vec<_> = io.outputs.iter().zip(widths).map(|(out, width)| behind(out, first, width)).collect();
            let partial = if splits == 1 { &outputs } else { &io.scratch };
            let buffers: Vec<_> = inputs.iter().chain(partial).collect();
            recorder.dispatch(kernel, &params, &buffers, Grid::flat(groups))?;
            if splits > 1 {
                let params = MergeParams { rows: rows as u32, embed_dim: embed_dim as u32, splits: splits as u32 };
                let buffers: Vec<_> = io.scratch.iter().chain(&outputs).collect();
                recorder.dispatch(&MERGE, &params, &buffers, Grid::flat(rows))?;
            }
        }
        Ok(())
    }

    fn run(&self, shapes: &Shapes, io: &mut CpuIo<'_>) -> Result<()> {
        let Sizes { sequence, dim, vocab, embed_dim, .. } = Sizes::of(shapes);
        let [h, unembed, embed] = [0, 1, 2].map(|index| io.inputs.f32(index));
        let [x0, lse, entropy, token] = io.outputs.split();
        let [x0, lse, entropy] = [x0, lse, entropy].map(bytemuck::cast_slice_mut);
        let skip = io.inputs.get(3);
        let problem = cpu::vocab::Vocabulary { h, unembed, embed, skip, sequence, dim, vocab, embed_dim };
        problem.expectation(x0, lse, entropy, token)
    }

    fn evaluate(&self, shapes: &Shapes, io: &OracleIo<'_>) -> Vec<OracleData> {
        let Sizes { rows, dim, vocab, embed_dim, .. } = Sizes::of(shapes);
        let dims = reference::vocab::Dims { rows, dim, vocab, embed_dim };
        let [h, unembed, embed] = [0, 1, 2].map(|index| io.inputs.f64(index));
        let result = reference::vocab::vocab_expectation(h, unembed, embed, io.inputs.get(3), &dims);
        vec![
            OracleData::F64(result.x0),
            OracleData::F64(result.lse),
            OracleData::F64(result.entropy),
            OracleData::U32(result.token),
        ]
    }

    fn cost(&self, shapes: &Shapes) -> Cost {
        let Sizes { rows, dim, vocab, embed_dim, .. } = Sizes::of(shapes);
        let products = dim + embed_dim * (1 + usize::from(shapes.inputs[3].is_some()));
        Cost { flops: 2.0 * rows as f64 * vocab as f64 * products as f64, bytes: shapes.bytes() }
    }
}

/// How `verify`, `bench` and `op` call it.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "x0 [N,De] = softmax(h [N,D] unembed [V,D]^T + skip [N,De] embed [V,De]^T) embed; lse, entropy, token [N]",
    kernels: &[EXPECTATION_32, EXPECTATION_64, EXPECTATION_128, EXPECTATION_256, MERGE],
    build,
    cases: cases::cases,
    bench: cases::bench,
};

fn build(mut arguments: Arguments) -> Result<Call> {
    let inputs = vec![
        Some(arguments.tensor("h")?),
        Some(arguments.tensor("unembed")?),
        Some(arguments.tensor("embed")?),
        arguments.optional("skip"),
    ];
    arguments.finish(NAME)?;
    let outputs = vec![
        Output::new("x0", Check::Nmse(1e-9)),
        Output::new("lse", Check::Nmse(1e-9)),
        Output::new("entropy", Check::Nmse(1e-8)),
        Output::new("token", Check::Rule(near_tie::of_logits)),
    ];
    Ok(Call::new(VocabExpectation, inputs, outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Tensor};

    fn run(h: Vec<f32>, unembed: Vec<f32>) -> Vec<Tensor> {
        let vocab = unembed.len();
        let inputs = [
            Tensor::f32([h.len(), 1], h).unwrap(),
            Tensor::f32([vocab, 1], unembed).unwrap(),
            Tensor::f32([vocab, 1], vec![1.0; vocab]).unwrap(),
        ];
        let mut inputs: Vec<_> = inputs.into_iter().map(Some).collect();
        inputs.push(None);
        let mut prepared =
            Call::new(VocabExpectation, inputs, Vec::new()).prepare(&Device::Cpu, Default::default()).unwrap();
        prepared.executor.run().unwrap();
        prepared.values.iter().map(|&value| prepared.executor.read(value).unwrap()).collect()
    }

    #[test]
    fn ties_go_to_the_lower_token_across_blocks_and_spans() {
        let unembed: Vec<f32> = (0..3000).map(|token| if token % 700 == 699 { 2.0 } else { 1.0 }).collect();
        let outputs = run(vec![1.0, -1.0, 0.0], unembed);
        assert_eq!(outputs[3].as_u32().unwrap(), [699, 0, 0]);
    }

    #[test]
    fn a_sure_row_keeps_its_entropy() {
        // One token 40 above 63 others: log1p(tail) + 40 tail / (1 + tail) with tail = 63 e^-40.
        let mut unembed = vec![0.0; 64];
        unembed[37] = 1.0;
        let outputs = run(vec![40.0, f32::NAN], unembed);
        let entropy = outputs[2].as_f32().unwrap();
        approx::assert_relative_eq!(f64::from(entropy[0]), 1.097_349_904_141_817e-14, max_relative = 1e-6);
        assert!(entropy[1].is_nan());
        assert!(outputs[3].as_u32().unwrap()[1] < 64);
    }
}
