//! Compiled pipelines, kept from run to run where the back end lets them be (Vulkan).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file of a device's pipelines.
///
/// It begins with a line that names the device, its driver, this crate's version and a checksum of the rest: what does not
/// match all of them is made anew.
#[derive(Debug)]
pub(super) struct PipelineFile {
    path: PathBuf,
    /// The line up to the checksum.
    owner: String,
    pub cache: wgpu::PipelineCache,
    /// Why the file's pipelines are not used, where there is one.
    pub note: Option<String>,
    /// How many pipelines were made when it was last written.
    written: AtomicUsize,
}

impl PipelineFile {
    /// The pipelines that `folder` holds for a device; `None` where its back end gives none away.
    pub fn open(folder: &Path, device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let name = format!("pipelines-{}-{:04x}-{:04x}", info.backend.to_str(), info.vendor, info.device);
        let (path, owner) = (folder.join(name), owner(info));
        // There may be none yet, or none that can be read: a run does not need it.
        let file = fs::read(&path).ok();
        let (data, note) = match file.as_deref().map(|file| contents(file, &owner)) {
            None => (None, None),
            Some(Ok(data)) => (Some(data), None),
            Some(Err(why)) => (None, Some(format!("{}: {why}; its pipelines are compiled again", path.display()))),
        };
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("drdiff"), data, fallback: true };
        #[expect(unsafe_code, reason = "wgpu cannot know where the bytes of a cache come from")]
        // SAFETY: they are what `get_data` gave for this device, driver and version: the file says so, and its checksum
        // holds.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Self { path, owner, cache, note, written: AtomicUsize::new(0) })
    }

    /// Writes it if there are more than the `made` pipelines of the last time. What cannot be written is compiled again by
    /// the next run.
    pub fn save(&self, made: usize) {
        if self.written.swap(made, Ordering::Relaxed) >= made {
            return;
        }
        let Some(data) = self.cache.get_data() else { return };
        let mut file = format!("{} {:016x}\n", self.owner, checksum(&data)).into_bytes();
        file.extend_from_slice(&data);
        let beside = self.path.with_extension(std::process::id().to_string());
        let folder = self.path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = folder.and_then(|()| fs::write(&beside, file)).and_then(|()| fs::rename(&beside, &self.path));
        if written.is_err() {
            // Nothing of it is left where it can be helped.
            let _ = fs::remove_file(&beside);
        }
    }
}

fn owner(info: &wgpu::AdapterInfo) -> String {
    let wgpu::AdapterInfo { name, driver, driver_info, .. } = info;
    let line = format!("drdiff {} for {name}, {driver} {driver_info},", env!("CARGO_PKG_VERSION"));
    line.replace(['\n', '\r'], " ")
}

/// What a file holds for its owner.
fn contents<'a>(file: &'a [u8], owner: &str) -> Result<&'a [u8], &'static str> {
    let end = file.iter().position(|&byte| byte == b'\n').ok_or("not a file of pipelines")?;
    let (line, data) = (&file[..end], &file[end + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| "not a file of pipelines")?;
    let (found, sum) = line.rsplit_once(' ').ok_or("not a file of pipelines")?;
    match found == owner {
        false => Err("of another device, driver or version"),
        true if sum == format!("{:016x}", checksum(data)) => Ok(data),
        true => Err("damaged"),
    }
}

/// FNV-1a.
fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_owners_alone_and_whole() {
        let data = b"any bytes,\nlines too";
        let file = [format!("mine, 1.0, {:016x}\n", checksum(data)).as_bytes(), data].concat();
        assert_eq!(contents(&file, "mine, 1.0,"), Ok(&data[..]));
        assert_eq!(contents(&file, "mine, 2.0,"), Err("of another device, driver or version"));
        assert_eq!(contents(&file[..file.len() - 1], "mine, 1.0,"), Err("damaged"));
        for other in [&b""[..], b"\n", b"one_word\n", b"\xff \n", b"no end"] {
            assert!(contents(other, "mine, 1.0,").is_err(), "{other:?}");
        }
    }
}
