//! Tiles of a product, which several ops have: the kernels of `lib/product` and `lib/product_direct.wgsl`, and
//! which to prefer.

use crate::gpu::{Capabilities, Kernel};

/// A kernel that computes tiles.
pub(super) struct Tiles {
    /// The kernel.
    pub kernel: Kernel,
    rows: usize,
    columns: usize,
}

/// Those of a kernel over `lib/product`: 64 x 64, and 32 x 32 for few tiles.
pub(super) const fn staged(kernel: Kernel) -> [Tiles; 2] {
    [
        Tiles { kernel: kernel.with(&[("ROWS", 8), ("GROUPS", 2)]), rows: 64, columns: 64 },
        Tiles { kernel: kernel.with(&[("ROWS", 4), ("GROUPS", 1)]), rows: 32, columns: 32 },
    ]
}

/// Those of a kernel over `lib/product_direct.wgsl`: 32 x 128, and 16 x 64 where that leaves less of the tiles empty.
pub(super) const fn direct(kernel: Kernel) -> [Tiles; 2] {
    [
        Tiles { kernel: kernel.with(&[("ROWS", 32), ("THREADS", 32)]), rows: 32, columns: 128 },
        Tiles { kernel: kernel.with(&[("ROWS", 16), ("THREADS", 16)]), rows: 16, columns: 64 },
    ]
}

/// Their kernels.
pub(super) const fn kernels(tiles: &[Tiles; 2]) -> [Kernel; 2] {
    [tiles[0].kernel, tiles[1].kernel]
}

/// From this many workgroups on, a GPU has enough to do for large tiles.
const MANY_TILES: usize = 200;

impl Tiles {
    /// Tiles of a product of m rows and n columns.
    pub fn count(&self, m: usize, n: usize) -> usize {
        m.div_ceil(self.rows) * n.div_ceil(self.columns)
    }

    /// Sums that the tiles have room for.
    fn room(&self, m: usize, n: usize) -> usize {
        self.count(m, n) * self.rows * self.columns
    }
}

/// The staged and the direct tiles of an op for m rows and n columns, the ones to prefer first.
pub(super) fn preferred<'a>(
    [[large, small], [wide, narrow]]: &'a [[Tiles; 2]; 2],
    (m, n): (usize, usize),
    device: &Capabilities,
) -> [&'a Tiles; 4] {
    let staged = if large.count(m, n) >= MANY_TILES { [large, small] } else { [small, large] };
    let direct = if wide.room(m, n) <= narrow.room(m, n) { [wide, narrow] } else { [narrow, wide] };
    let [[a, b], [c, d]] = if device.software { [direct, staged] } else { [staged, direct] };
    [a, b, c, d]
}
