//! HLSL of a kernel, written as wgpu's DX12 back end writes it for a pipeline of ours.

use drdiff::gpu::{Capability, Kernel, ZERO_WORKGROUP_MEMORY};
use naga::back::hlsl::{BindTarget, Options, PipelineOptions, ShaderModel, Writer};
use naga::valid::ModuleInfo;
use naga::{AddressSpace, Module, ResourceBinding, ShaderStage, StorageAccess};

/// The shader models that the kernel is written for: FXC's and DXC's where it needs nothing, DXC's alone for f16 (6.2).
/// None for matrices, which naga's writer does not know, and none for subgroups: it writes the entry point's struct of
/// their built-ins without semantics, so DX12 counts as a device without them.
pub fn models(kernel: &Kernel) -> &'static [ShaderModel] {
    let needs = |wanted: fn(&Capability) -> bool| kernel.needs.iter().any(wanted);
    if needs(|capability| matches!(capability, Capability::Matrix { .. } | Capability::Subgroups)) {
        &[]
    } else if needs(|capability| *capability == Capability::F16) {
        &[ShaderModel::V6_2]
    } else {
        &[ShaderModel::V5_1, ShaderModel::V6_0]
    }
}

/// The HLSL of the entry point `main`, with every array index checked or with none.
pub fn write(kernel: &Kernel, module: &Module, info: &ModuleInfo, model: ShaderModel, bounds_checks: bool) -> String {
    // Registers count up by kind: constants, read-only buffers, writable ones.
    let [mut constants, mut read, mut written] = [BindTarget::default(); 3];
    let mut options = Options {
        shader_model: model,
        fake_missing_bindings: false,
        zero_initialize_workgroup_memory: ZERO_WORKGROUP_MEMORY,
        restrict_indexing: bounds_checks,
        force_loop_bounding: false,
        ..Default::default()
    };
    let mut variables: Vec<_> = module.global_variables.iter().map(|(_, variable)| variable).collect();
    variables.retain(|variable| variable.binding.is_some());
    variables.sort_by_key(|variable| variable.binding.map(|at| at.binding));
    for variable in variables {
        let next = match variable.space {
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => &mut written,
            AddressSpace::Storage { .. } => &mut read,
            _ => &mut constants,
        };
        let Some(ResourceBinding { group, binding }) = variable.binding else { continue };
        options.binding_map.insert(ResourceBinding { group, binding }, *next);
        next.register += 1;
    }
    // The grid's size, which DX12 does not tell a shader by itself.
    options.special_constants_binding = Some(constants);
    let pipeline = PipelineOptions { entry_point: Some((ShaderStage::Compute, "main".to_owned())) };
    let mut text = String::new();
    let reflection = Writer::new(&mut text, &options, &pipeline).write(module, info, None);
    let reflection = reflection.unwrap_or_else(|error| panic!("{}: {error}", kernel.label()));
    let entry = reflection.entry_point_names[0].as_ref().unwrap_or_else(|error| panic!("{}: {error}", kernel.label()));
    assert_eq!(entry, "main", "{}: the entry point's name in HLSL", kernel.label());
    text
}
