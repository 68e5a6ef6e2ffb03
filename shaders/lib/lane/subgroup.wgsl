// Where a thread is in its workgroup and in its subgroup: a parameter of the entry point, which hands it on to the
// functions of slots.
//
// naga takes these built-in values without a directive and refuses `enable subgroups;`. A browser wants that line, and
// `subgroup_id` and `num_subgroups` from it, but wgpu does not offer it subgroups yet: this tier is for native devices.
struct Lane {
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) place: u32,
    @builtin(subgroup_size) size: u32,
}
