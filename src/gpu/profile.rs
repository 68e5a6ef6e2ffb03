//! Time of each op on the GPU, by timestamps around its pass.

use super::Gpu;
use crate::Result;

/// Timestamps of one run: two for each op.
#[derive(Debug)]
pub struct Profiler {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    ops: u32,
}

impl Profiler {
    /// Queries for `ops` passes; `None` if the device has no timestamps.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn new(gpu: &Gpu, ops: usize) -> Result<Option<Self>> {
        let ops = u32::try_from(ops).unwrap_or(u32::MAX);
        let able = gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        if !able || ops == 0 || ops > wgpu::QUERY_SET_MAX_QUERIES / 2 {
            return Ok(None);
        }
        let (what, bytes) = ("op times", u64::from(ops) * 16);
        let queries = gpu.attempt(what, bytes, |device| {
            device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some(what),
                ty: wgpu::QueryType::Timestamp,
                count: ops * 2,
            })
        })?;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = gpu.allocate(what, bytes, usage, false)?;
        Ok(Some(Self { queries, resolved, ops }))
    }

    /// Where the pass of op `index` writes its begin and end.
    pub fn writes(&self, index: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = index as u32 * 2;
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Ends a run; encode it after the last pass.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..self.ops * 2, &self.resolved, 0);
    }

    /// Begin and end of each op in nanoseconds.
    ///
    /// # Errors
    /// If the device was lost.
    pub async fn read_async(&self, gpu: &Gpu) -> Result<Vec<(f64, f64)>> {
        let words = gpu.download_async(&self.resolved, self.ops as usize * 4).await?;
        let period = f64::from(gpu.queue().get_timestamp_period());
        let time = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as f64 * period;
        Ok(words.chunks_exact(4).map(|w| (time(w[0], w[1]), time(w[2], w[3]))).collect())
    }
}
