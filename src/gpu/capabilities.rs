//! What a device can do beyond WebGPU's core, fact by fact, and what kernels need of it.

/// Something that a kernel needs beyond WebGPU's core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Operations over the threads of a subgroup, `subgroup_id` and `num_subgroups` included.
    Subgroups,
    /// 16-bit floats.
    F16,
    /// Products of square cooperative matrices of f16, summed in f32.
    Matrix {
        /// Rows, columns and depth.
        size: u32,
    },
}

/// What a device can do, each a fact of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Operations over the threads of a subgroup: the fewest and the most threads that one has.
    pub subgroups: Option<(u32, u32)>,
    /// 16-bit floats.
    pub f16: bool,
    /// Sizes of the square cooperative matrices (f16, summed in f32) that there are.
    pub matrices: Vec<u32>,
    /// Bytes of memory that a workgroup has.
    pub workgroup_memory: u32,
    /// Bytes of the largest storage binding.
    pub binding: u64,
    /// Whether a processor stands in for a GPU: workgroup memory is then no faster than other memory, and threads wait
    /// for one another by being put aside.
    pub software: bool,
}

impl Capabilities {
    /// What every device grants: WebGPU's core and its default limits.
    pub fn core() -> Self {
        let limits = wgpu::Limits::default();
        Self {
            subgroups: None,
            f16: false,
            matrices: Vec::new(),
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            binding: limits.max_storage_buffer_binding_size,
            software: false,
        }
    }

    /// What an open device can do; optional features count where they were asked for when it was opened.
    pub(super) fn of(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Self {
        let (features, limits) = (device.features(), device.limits());
        // naga's HLSL gives an entry point's struct of built-ins no semantics for those of subgroups, and DXC refuses that.
        let subgroups = features.contains(wgpu::Features::SUBGROUP) && info.backend != wgpu::Backend::Dx12;
        Self {
            subgroups: subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
            f16: features.contains(wgpu::Features::SHADER_F16),
            matrices: Vec::new(),
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            software: info.device_type == wgpu::DeviceType::Cpu,
        }
    }

    /// The first of `needs` that the device lacks, in words.
    pub fn missing(&self, needs: &[Capability]) -> Option<String> {
        needs.iter().find_map(|need| match need {
            Capability::Subgroups => self.subgroups.is_none().then(|| "subgroup operations".to_owned()),
            Capability::F16 => (!self.f16).then(|| "16-bit floats".to_owned()),
            Capability::Matrix { size } => {
                (!self.matrices.contains(size)).then(|| format!("cooperative matrices of {size} x {size}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_is_a_fact_of_its_own() {
        let needs = [Capability::Subgroups, Capability::F16, Capability::Matrix { size: 8 }];
        let mut device = Capabilities::core();
        assert_eq!(device.missing(&[]), None);
        assert_eq!(device.missing(&needs).unwrap(), "subgroup operations");
        device.subgroups = Some((8, 8));
        assert_eq!(device.missing(&needs).unwrap(), "16-bit floats");
        device.f16 = true;
        device.matrices = vec![16];
        assert_eq!(device.missing(&needs).unwrap(), "cooperative matrices of 8 x 8");
        device.matrices.push(8);
        assert_eq!(device.missing(&needs), None);
    }
}
