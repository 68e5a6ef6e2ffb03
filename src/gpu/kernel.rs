//! WGSL kernels as they are built in, and their specialisation by constants.

use std::fmt::Write as _;
use std::path::Path;

use super::expand::expand;
use super::params::Field;
use crate::{Error, Result};

/// A WGSL file with its imports expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

impl Source {
    /// `family/name`.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// The WGSL files under `shaders/`, imports expanded.
pub mod shaders {
    use super::Source;
    include!(concat!(env!("OUT_DIR"), "/shaders.rs"));
}

/// Whether workgroup memory is filled with zeros before a kernel starts. It is not, so each kernel writes what it reads:
/// on DX12 one thread would do the filling, in code that Microsoft's older compiler (FXC) takes up to a minute over.
pub const ZERO_WORKGROUP_MEMORY: bool = false;

/// One variant of a WGSL file: constants that shape its arrays replace those in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The file.
    pub source: Source,
    /// Constants by name; the file declares each as `const NAME: u32 = ...;`.
    pub constants: &'static [(&'static str, u32)],
    /// The fields of its uniform `params`: `FIELDS` of a struct that [`params!`](crate::params) declares. Tests compare
    /// them with naga's reflection.
    pub params: &'static [Field],
    /// Its storage bindings after `params`, in order: true where it writes.
    pub writes: &'static [bool],
}

impl Kernel {
    /// `family/name` and the constants, for labels and as the pipeline's key.
    pub fn label(&self) -> String {
        let mut label = self.source.name.to_owned();
        for (name, value) in self.constants {
            let _ = write!(label, " {name}={value}");
        }
        label
    }

    /// The WGSL text of this variant.
    ///
    /// # Errors
    /// Where the file does not declare one of the constants.
    pub fn wgsl(&self) -> Result<String> {
        self.specialise(self.source.text.to_owned())
    }

    /// The same from the files in `folder` as they are now.
    ///
    /// # Errors
    /// Where a file cannot be read or does not declare one of the constants.
    pub fn wgsl_from(&self, folder: &Path) -> Result<String> {
        let file = folder.join(self.source.name).with_extension("wgsl");
        let text = expand(folder, &file).map_err(|(path, source)| Error::File { path, doing: "read", source })?;
        self.specialise(text)
    }

    fn specialise(&self, mut text: String) -> Result<String> {
        for (name, value) in self.constants {
            let head = format!("const {name}: u32 = ");
            let declared = text.find(&head).and_then(|start| {
                let start = start + head.len();
                text[start..].find(';').map(|len| start..start + len)
            });
            let range = declared.ok_or_else(|| {
                Error::argument(format!("a constant of {}", self.source.name), name, "one it declares")
            })?;
            text.replace_range(range, &format!("{value}u"));
        }
        Ok(text)
    }
}
