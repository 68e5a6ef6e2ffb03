//! What a device can do beyond what WebGPU grants everyone.

/// One fact about a device that a kernel may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Operations across the threads of a subgroup, `subgroup_id` and `num_subgroups` included.
    Subgroups,
    /// 16-bit floats in arithmetic and in buffers.
    F16,
    /// Cooperative matrices of `size` rows and columns, f16 in, f32 accumulated.
    Matrix {
        /// Rows and columns.
        size: u32,
    },
}
