//! Kernels as naga sees them.

use drdiff::gpu::{Capability, Kernel};
use naga::Module;
use naga::valid::{Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

/// The module of a text.
pub fn parse(label: &str, text: &str) -> Module {
    naga::front::wgsl::parse_str(text).unwrap_or_else(|error| panic!("{label}: {}", error.emit_to_string(text)))
}

/// Nothing beyond WebGPU's own but what the kernel says: one without needs runs everywhere.
fn capabilities(needs: &[Capability]) -> Capabilities {
    let each = needs.iter().map(|capability| match capability {
        Capability::Subgroups => Capabilities::SUBGROUP,
        Capability::F16 => Capabilities::SHADER_FLOAT16,
        Capability::Matrix { .. } => Capabilities::COOPERATIVE_MATRIX,
    });
    each.collect()
}

/// The module of a kernel, once it is valid with what the kernel needs.
pub fn validate(kernel: &Kernel) -> (Module, ModuleInfo) {
    let module = parse(&kernel.label(), &kernel.wgsl().unwrap());
    let mut validator = Validator::new(ValidationFlags::all(), capabilities(kernel.needs));
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", kernel.label()));
    (module, info)
}
