//! What goes to a device and comes back: words, commands, and the news that they are done.

use std::sync::Arc;

use super::context::{Gpu, Home};
use super::lock;
use super::wait::Signal;
use crate::{Error, Result, memory};

/// Most bytes that are staged in one piece on their way to the device.
const STAGING: usize = 16 << 20;

impl Gpu {
    /// A storage buffer that holds `words`.
    ///
    /// # Errors
    /// If it exceeds the device's limit or its memory.
    pub fn upload(&self, what: &str, words: &[u32]) -> Result<wgpu::Buffer> {
        let buffer = self.buffer(what, words.len() as u64 * 4)?;
        self.write(what, &buffer, 0, words)?;
        Ok(buffer)
    }

    /// Writes `words` to `buffer` from byte `offset` on, ahead of all work that is submitted later.
    ///
    /// # Errors
    /// If there is no memory to stage them, or the device was lost.
    pub(crate) fn write(&self, what: &str, buffer: &wgpu::Buffer, offset: u64, words: &[u32]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(words);
        if bytes.len() <= STAGING {
            self.attempt(what, bytes.len() as u64, |_| self.queue().write_buffer(buffer, offset, bytes))?;
            return self.check();
        }
        // wgpu would stage all of it at once, and lose the device where there is no memory for that.
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        for (index, bytes) in bytes.chunks(STAGING).enumerate() {
            let size = bytes.len() as u64;
            let staging = self.allocate(what, size, usage, true)?;
            let mut view = staging.get_mapped_range_mut(..).map_err(|error| self.lost_or(what, error))?;
            view.copy_from_slice(bytes);
            drop(view);
            staging.unmap();
            self.attempt(what, size, |device| {
                let mut encoder = device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(&staging, 0, buffer, offset + (index * STAGING) as u64, size);
                self.queue().submit([encoder.finish()]);
            })?;
        }
        self.check()
    }

    /// Writes `words` to `buffer` with little of them on their way at a time: `staged` counts the bytes that are.
    ///
    /// # Errors
    /// If there is no memory to stage them, or the device was lost.
    pub(crate) async fn write_slowly(
        &self,
        what: &str,
        buffer: &wgpu::Buffer,
        words: &[u32],
        staged: &mut usize,
    ) -> Result<()> {
        for (index, words) in words.chunks(STAGING / 4).enumerate() {
            if *staged + words.len() * 4 > STAGING {
                self.wait_async().await?;
                *staged = 0;
            }
            self.write(what, buffer, (index * STAGING) as u64, words)?;
            *staged += words.len() * 4;
        }
        Ok(())
    }

    /// The buffer of a constant on this device, where it has one.
    pub(crate) fn constant(&self, constant: u64) -> Option<wgpu::Buffer> {
        lock(&self.inner.constants).get(&constant).cloned()
    }

    /// Keeps the buffer of a constant until the constant says otherwise, or the device is no longer used.
    pub(crate) fn keep_constant(&self, constant: u64, buffer: wgpu::Buffer) -> Home {
        lock(&self.inner.constants).insert(constant, buffer);
        Home(Arc::downgrade(&self.inner))
    }

    /// A kernel's parameters.
    pub(super) fn uniform(&self, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let (what, size) = ("a kernel's parameters", bytes.len() as u64);
        let buffer = self.allocate(what, size, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST, false)?;
        self.attempt(what, size, |_| self.queue().write_buffer(&buffer, 0, bytes))?;
        Ok(buffer)
    }

    /// The first `words` words of `buffer`, once all submitted work is done.
    ///
    /// # Errors
    /// If the device was lost or the buffer cannot be mapped.
    #[cfg(not(target_family = "wasm"))]
    pub fn download(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        super::block_on(self.download_async(buffer, words))
    }

    /// The first `words` words of `buffer`, once all submitted work is done.
    ///
    /// # Errors
    /// If the device was lost or the buffer cannot be mapped.
    pub async fn download_async(&self, buffer: &wgpu::Buffer, words: usize) -> Result<Vec<u32>> {
        let mut all = self.download_all(&[(buffer, words)]).await?;
        Ok(all.swap_remove(0))
    }

    /// The first words of several buffers, at one wait.
    pub(crate) async fn download_all(&self, wanted: &[(&wgpu::Buffer, usize)]) -> Result<Vec<Vec<u32>>> {
        let what = "a read-back";
        let sizes = || wanted.iter().map(|(_, words)| *words as u64 * 4);
        let bytes = sizes().sum();
        if bytes == 0 {
            return Ok(vec![Vec::new(); wanted.len()]);
        }
        let mut read = Vec::with_capacity(wanted.len());
        for (_, words) in wanted {
            read.push(memory::zeroed(what, *words)?);
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.allocate(what, bytes, usage, false)?;
        let mapped = self.attempt(what, bytes, |device| {
            let mut encoder = device.create_command_encoder(&Default::default());
            let mut end = 0;
            for ((buffer, _), size) in wanted.iter().zip(sizes()) {
                encoder.copy_buffer_to_buffer(buffer, 0, &staging, end, size);
                end += size;
            }
            let copied = self.queue().submit([encoder.finish()]);
            let (sender, mapped) = self.inner.poller.signal(&self.inner.health, Some(copied));
            self.point();
            staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
                // Whoever waits may have lost interest.
                let _ = sender.send(result);
            });
            mapped
        })?;
        self.settle().await?;
        let mapped = mapped.await;
        self.check()?;
        self.point();
        match mapped {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(self.lost_or(what, error)),
            None => return Err(self.unanswered(what)),
        }
        let view = staging.slice(..).get_mapped_range().map_err(|error| self.lost_or(what, error))?;
        let mut rest = &view[..];
        for words in &mut read {
            let (own, others) = rest.split_at(words.len() * 4);
            rest = others;
            bytemuck::cast_slice_mut::<u32, u8>(words).copy_from_slice(own);
        }
        Ok(read)
    }

    /// Submits what `encode` encodes, in an error scope.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub(crate) fn submit(
        &self,
        what: &str,
        encode: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<wgpu::SubmissionIndex> {
        let submitted = self.attempt(what, 0, |device| {
            let mut encoder = device.create_command_encoder(&Default::default());
            encode(&mut encoder);
            self.queue().submit([encoder.finish()])
        })?;
        self.check().map(|()| submitted)
    }

    /// What comes once the work submitted so far is done; `last` is the last of it, where that is known.
    pub(crate) fn submitted(&self, last: Option<wgpu::SubmissionIndex>) -> Signal<()> {
        let (sender, done) = self.inner.poller.signal(&self.inner.health, last);
        self.queue().on_submitted_work_done(move || {
            // Whoever waits may have lost interest.
            let _ = sender.send(());
        });
        done
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self) -> Result<()> {
        super::block_on(self.wait_async())
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub async fn wait_async(&self) -> Result<()> {
        self.settle().await?;
        self.reached(self.submitted(None)).await?;
        // Work of a lost device is done, too.
        self.lost().map_or(Ok(()), Err)
    }

    /// Waits for what [`Gpu::submitted`] gave.
    ///
    /// # Errors
    /// If the device was lost or refused the work.
    pub(crate) async fn reached(&self, done: Signal<()>) -> Result<()> {
        let done = done.await;
        self.check()?;
        done.ok_or_else(|| self.unanswered("waiting for the device"))
    }

    /// The error for a callback that went without being called.
    fn unanswered(&self, what: &str) -> Error {
        self.lost_or(what, std::io::Error::other("the device let go of its callback"))
    }
}
