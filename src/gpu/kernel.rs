//! WGSL kernels as they are built in, and their specialisation by constants.

use std::fmt::Write as _;
use std::path::Path;

use super::Tier;
use super::capabilities::Capability;
use super::expand::expand;
use super::params::Field;
use crate::{Error, Result};

/// A WGSL text: a file with its imports expanded, or an application's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    name: &'static str,
    text: &'static str,
    /// The higher tiers whose text is not that of the tier below, from the lowest.
    tiers: &'static [(Tier, &'static str)],
    /// Whether it is one of the files under `shaders/`.
    file: bool,
}

impl Source {
    /// An application's own text, for every tier. It is taken as it is: `#import` and a folder of edited shaders
    /// ([`GpuOptions::shaders`](crate::GpuOptions::shaders)) are for the files of this crate.
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, tiers: &[], file: false }
    }

    /// `family/name`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The text for a tier.
    pub fn text(&self, tier: Tier) -> &'static str {
        self.tiers.iter().rev().find(|(of, _)| *of <= tier).map_or(self.text, |(_, text)| text)
    }

    /// Whether it is one of the files under `shaders/`.
    pub(crate) fn is_built_in(&self) -> bool {
        self.file
    }

    /// The tiers that have a text of their own.
    pub fn tiers(&self) -> Vec<Tier> {
        std::iter::once(Tier::Core).chain(self.tiers.iter().map(|(tier, _)| *tier)).collect()
    }
}

/// The numbers that a file declares, which its module in [`shaders`] holds as constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The file.
    pub source: Source,
    /// Its constants of type `u32` by name, those of imported files included.
    pub constants: &'static [(&'static str, u32)],
    /// Threads of a workgroup along x, y and z.
    pub workgroup: [u32; 3],
}

/// The WGSL files under `shaders/`, imports expanded, each with a module of the numbers that it declares.
pub mod shaders {
    use super::{Declared, Source};
    include!(concat!(env!("OUT_DIR"), "/shaders.rs"));
}

/// Whether workgroup memory is filled with zeros before a kernel starts. It is not, so each kernel writes what it reads:
/// on DX12 one thread would do the filling, in code that Microsoft's older compiler (FXC) takes up to a minute over.
pub const ZERO_WORKGROUP_MEMORY: bool = false;

/// One variant of a WGSL text: constants that shape its arrays replace those in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The text.
    pub source: Source,
    /// The tier whose files its slots take.
    pub tier: Tier,
    /// What a device must have to run it, beyond what WebGPU grants everyone.
    pub needs: &'static [Capability],
    /// Constants by name; the text declares each as `const NAME: u32 = ...;`.
    pub constants: &'static [(&'static str, u32)],
    /// The fields of its uniform `params`: `FIELDS` of a struct that [`params!`](crate::params) declares. Tests compare
    /// them with naga's reflection.
    pub params: &'static [Field],
    /// Its storage bindings after `params`, in order: true where it writes.
    pub writes: &'static [bool],
}

impl Kernel {
    /// A kernel of the core tier with the constants that its text has.
    pub const fn core(source: Source, params: &'static [Field], writes: &'static [bool]) -> Self {
        Self { source, tier: Tier::Core, needs: &[], constants: &[], params, writes }
    }

    /// With constants in place of those in the text.
    #[must_use]
    pub const fn with(mut self, constants: &'static [(&'static str, u32)]) -> Self {
        self.constants = constants;
        self
    }

    /// Of a higher tier, whose files its slots take.
    #[must_use]
    pub const fn of_tier(mut self, tier: Tier, needs: &'static [Capability]) -> Self {
        self.tier = tier;
        self.needs = needs;
        self
    }

    /// `family/name`, the tier where it is not the core, and the constants, for labels and as the pipeline's key.
    pub fn label(&self) -> String {
        let mut label = self.source.name.to_owned();
        if self.tier != Tier::Core {
            let _ = write!(label, " {}", self.tier.name());
        }
        for (name, value) in self.constants {
            let _ = write!(label, " {name}={value}");
        }
        label
    }

    /// The WGSL text of this variant.
    ///
    /// # Errors
    /// If the text does not declare one of the constants.
    pub fn wgsl(&self) -> Result<String> {
        self.specialise(self.source.text(self.tier).to_owned())
    }

    /// The same from the files in `folder` as they are now; an application's own text has none and stays as it is.
    ///
    /// # Errors
    /// If a file cannot be read, imports are wrong, or the text does not declare one of the constants.
    pub fn wgsl_from(&self, folder: &Path) -> Result<String> {
        if !self.source.file {
            return self.wgsl();
        }
        let file = folder.join(self.source.name).with_extension("wgsl");
        let text = expand(folder, &file, self.tier as usize);
        self.specialise(text.map_err(|(path, source)| Error::File { path, doing: "read", source })?)
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

#[cfg(test)]
mod tests {
    use super::super::expand::TIERS;
    use super::*;

    #[test]
    fn a_tier_is_the_file_of_its_name() {
        for tier in [Tier::Core, Tier::Subgroup, Tier::Coop] {
            assert_eq!(TIERS[tier as usize], tier.name());
        }
    }

    #[test]
    fn a_text_is_that_of_the_highest_tier_up_to_ones_own() {
        let source = Source { tiers: &[(Tier::Coop, "coop")], ..Source::new("mine", "const N: u32 = 1u;") };
        assert_eq!([Tier::Core, Tier::Subgroup, Tier::Coop].map(|tier| source.text(tier).len()), [18, 18, 4]);
        let kernel = Kernel { constants: &[("N", 7)], ..Kernel::core(source, &[], &[]) };
        assert_eq!(kernel.wgsl().unwrap(), "const N: u32 = 7u;");
        assert_eq!(kernel.wgsl_from(Path::new("nowhere")).unwrap(), "const N: u32 = 7u;");
        let coop = Kernel { tier: Tier::Coop, ..kernel };
        assert_eq!(coop.label(), "mine coop N=7");
        assert!(coop.wgsl().unwrap_err().to_string().contains("mine"));
    }
}
