//! A layer of sparse attention in an app's own commands, on the app's own buffers, beside the dense one that it replaces.
//!
//! `cargo run --release --example sparse_attention -- [POSITIONS]`

use drdiff::graph::RecordedOp;
use drdiff::op::Op;
use drdiff::ops::{Attention, Linear, Pattern};
use drdiff::{Desc, DeviceChoice, Gpu, GpuOptions};
use wgpu::BufferUsages;
use wgpu::util::{BufferInitDescriptor, DeviceExt};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Width of a row, D.
pub const DIM: usize = 64;
/// Heads, of D / H channels each.
pub const HEADS: usize = 4;
/// The first positions see all, and are seen by all.
pub const GLOBALS: [u32; 4] = [0, 1, 2, 3];

/// Position `i` sees `i - 16` to `i + 16`, and 8 positions to each side at every 8th and at every 64th.
pub fn pattern() -> Pattern {
    Pattern::Hsa { window: 16, dilations: vec![(8, 8), (64, 8)] }
}

fn main() -> Outcome<()> {
    let positions = std::env::args().nth(1).map_or(Ok(1024), |text| text.parse())?;
    // Any adapter will do, a software driver too. An app with a device of its own calls `Gpu::from_wgpu`.
    let gpu = Gpu::open(&GpuOptions { device: DeviceChoice::Gpu, ..Default::default() })?;
    // The window alone reaches across a short text: there the two are the same.
    for positions in [17, positions] {
        let x = numbers(9, positions * DIM);
        let [dense, sparse] = [Pattern::Dense, pattern()].map(|pattern| run(&gpu, &x, pattern));
        let ((dense, dense_flops), (sparse, sparse_flops)) = (dense?, sparse?);
        let apart = dense.iter().zip(&sparse).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{positions} positions: {dense_flops:.2e} FLOPs of dense attention, {sparse_flops:.2e} of sparse,");
        println!("results up to {apart:.1e} apart, the first {:.4?} and {:.4?}", &dense[..3], &sparse[..3]);
    }
    Ok(())
}

/// `y = x + attention(x Wq^T, x Wk^T, x Wv^T) Wo^T` of `x` `[N, D]`: gives y, and the FLOPs of the attention in it.
pub fn run(gpu: &Gpu, x: &[f32], pattern: Pattern) -> Outcome<(Vec<f32>, f64)> {
    let rows = Desc::f32([1, x.len() / DIM, DIM]);
    let attention = Attention { heads: Some(HEADS), pattern, ..Default::default() };

    // Every buffer is the app's; ops read and write them as storage.
    let device = gpu.device();
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
    let filled = |contents: &[u8]| device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage });
    let empty = |bytes| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false })
    };
    let x = filled(bytemuck::cast_slice(x));
    let [wq, wk, wv, wo] = weights().map(|weight| filled(bytemuck::cast_slice(&weight)));
    let [q, k, v, mixed, y] = [(); 5].map(|()| empty(rows.bytes()));
    let lse = empty(4 * rows.dim(1) as u64 * HEADS as u64);
    let globals = filled(bytemuck::cast_slice(&GLOBALS));

    // Recorded once, to be encoded as often as the app likes. `None` stands for an optional input that is not given.
    let given = |buffer: &wgpu::Buffer| Some((rows.clone(), buffer.into()));
    let globals = Some((Desc::u32([GLOBALS.len()]), (&globals).into()));
    let linear = |from: &wgpu::Buffer, weight: &wgpu::Buffer, residual, to: &wgpu::Buffer| {
        let weight = Some((Desc::f32([DIM, DIM]), weight.into()));
        RecordedOp::new(gpu, &Linear::default(), &[given(from), weight, None, residual, None], &[to.into()])
    };
    let inputs = [given(&q), given(&k), given(&v), globals, None];
    let attend = RecordedOp::new(gpu, &attention, &inputs, &[(&mixed).into(), (&lse).into()])?;
    let layer = [
        linear(&x, &wq, None, &q)?,
        linear(&x, &wk, None, &k)?,
        linear(&x, &wv, None, &v)?,
        attend,
        linear(&mixed, &wo, given(&x), &y)?,
    ];

    // One pass, which could hold kernels of the app's as well.
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    layer.iter().for_each(|op| op.encode_in(&mut pass));
    drop(pass);
    gpu.queue().submit([encoder.finish()]);

    let descs: Vec<_> = inputs.iter().map(|input| input.as_ref().map(|(desc, _)| desc)).collect();
    let flops = attention.cost(&attention.infer(&descs)?).flops;
    let y = gpu.download(&y, rows.len())?;
    Ok((y.into_iter().map(f32::from_bits).collect(), flops))
}

/// The weights of queries, keys, values and output, `[D, D]` each, in place of trained ones.
pub fn weights() -> [Vec<f32>; 4] {
    [1, 2, 3, 4].map(|seed| numbers(seed, DIM * DIM).into_iter().map(|w| w * 0.2).collect())
}

/// Numbers between -1 and 1.
pub fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9)), next);
    states.skip(1).take(count).map(|state| (state >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}
