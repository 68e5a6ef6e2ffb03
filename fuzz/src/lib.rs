//! What the fuzz targets share.

pub mod call;
pub mod json;

use std::fs;
use std::path::{Path, PathBuf};

use drdiff::model::Config;

/// A model so small that its files are a few kilobytes.
pub const MICRO: &str = include_str!("micro.json");

/// A folder for the files of one run, in memory where scripts/fuzz.sh says so.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder of this process.
    ///
    /// # Panics
    /// Where it cannot be made.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("drdiff-fuzz-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for files can be made");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts a file there, and says where.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// Takes a file away, where it is.
    pub fn remove(&self, name: &str) {
        // That it was not there is as good.
        let _ = fs::remove_file(self.0.join(name));
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// The configuration of the micro model.
///
/// # Panics
/// Where the library refuses it: the targets would find nothing then.
pub fn micro(folder: &Folder) -> Config {
    Config::read(&folder.write("config.json", MICRO.as_bytes())).expect("the micro model is accepted")
}

/// Runs what is parallel on the fuzzer's own thread: runs are too short to share, and can be repeated so.
///
/// # Panics
/// Where something was run in parallel before.
pub fn one_thread() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().expect("nothing has run in parallel yet");
}
