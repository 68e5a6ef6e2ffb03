//! Every kernel in HLSL, as wgpu hands it to each of Microsoft's two compilers: `scripts/hlsl.sh` compiles what this
//! writes.
//!
//! `cargo run --example hlsl -- FOLDER` writes `FOLDER/{fxc,dxc}/{checked,unchecked}/KERNEL.hlsl`: shader model 5.1 and
//! 6.0 (where a kernel needs more than WebGPU grants everyone, the lowest that has it), each with the checks of array indices and without.

use std::path::Path;

use drdiff::op::Entry;
use drdiff::ops::REGISTRY;
use naga::back::hlsl::ShaderModel;

#[path = "../tests/common/hlsl.rs"]
mod hlsl;
#[path = "../tests/common/wgsl.rs"]
mod wgsl;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: hlsl FOLDER")?;
    for kernel in REGISTRY.iter().flat_map(Entry::kernels) {
        let (module, info) = wgsl::validate(kernel);
        let name = kernel.label().replace(['/', ' ', '='], "_");
        for &model in hlsl::models(kernel) {
            let compiler = if model == ShaderModel::V5_1 { "fxc" } else { "dxc" };
            for (variant, checks) in [("checked", true), ("unchecked", false)] {
                let folder = Path::new(&folder).join(compiler).join(variant);
                std::fs::create_dir_all(&folder)?;
                let text = hlsl::write(kernel, &module, &info, model, checks);
                std::fs::write(folder.join(&name).with_extension("hlsl"), text)?;
            }
        }
    }
    Ok(())
}
