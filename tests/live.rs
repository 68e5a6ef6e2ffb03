//! Kernels from a folder: what a developer edits is what runs, without a rebuild.

use std::path::Path;

use drdiff::graph::Call;
use drdiff::op::Entry;
use drdiff::ops::{Embedding, REGISTRY};
use drdiff::{Device, DeviceChoice, Error, GpuOptions, Result, Tensor, explain};
use drdiff_check::Gen;

const SHADERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");

#[test]
fn files_are_put_together_as_those_built_in() {
    for kernel in REGISTRY.iter().flat_map(Entry::kernels) {
        assert_eq!(kernel.wgsl_from(Path::new(SHADERS)).unwrap(), kernel.wgsl().unwrap(), "{}", kernel.label());
    }
}

/// One row of a table, by the kernels in `folder`.
fn row(folder: &Path) -> Result<Vec<f32>> {
    let shaders = Some(folder.to_owned());
    let device = Device::open(&GpuOptions { device: DeviceChoice::Gpu, shaders, ..Default::default() })?;
    let (table, ids) = (Gen::new(0, "").normal([3, 4], 1.0), Tensor::u32([1], vec![1])?);
    let mut call = Call::new(Embedding, vec![Some(table), Some(ids)]).prepare(&device, Default::default())?;
    call.executor.run()?;
    Ok(call.executor.read(call.values[0])?.as_f32().unwrap().to_vec())
}

#[test]
fn an_edit_is_picked_up_and_a_mistake_is_named() {
    let plain = row(Path::new(SHADERS)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for part in ["nn", "lib"] {
        std::fs::create_dir(folder.path().join(part)).unwrap();
    }
    let missing = row(folder.path()).unwrap_err();
    assert!(matches!(&missing, Error::File { path, .. } if path.ends_with("nn/embedding.wgsl")), "{missing:?}");
    std::fs::copy(format!("{SHADERS}/lib/grid.wgsl"), folder.path().join("lib/grid.wgsl")).unwrap();
    let text = std::fs::read_to_string(format!("{SHADERS}/nn/embedding.wgsl")).unwrap();
    let write = |from: &str, to: &str| {
        assert!(text.contains(from));
        std::fs::write(folder.path().join("nn/embedding.wgsl"), text.replace(from, to)).unwrap();
    };
    write("y[index] = value;", "y[index] = 2.0 * value;");
    let doubled: Vec<f32> = plain.iter().map(|x| 2.0 * x).collect();
    assert_eq!(row(folder.path()).unwrap(), doubled);
    write("y[index] = value;", "y[index] = nothing;");
    let refused = explain(&row(folder.path()).unwrap_err());
    assert!(refused.contains("nn/embedding") && refused.contains("nothing"), "{refused}");
}
