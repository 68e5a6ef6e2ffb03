// Flat index of a workgroup whose grid the host folded into two dimensions.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
