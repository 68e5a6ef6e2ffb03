// Stores what lib/load_ones.wgsl loads, as far as the line goes.
#parameters save buffer

fn save(start: u32, four: u32, width: u32, elements: vec4<f32>) {
    let first = 4u * four;
    let at = start + first;
    if first < width {
        buffer[at] = elements.x;
    }
    if first + 1u < width {
        buffer[at + 1u] = elements.y;
    }
    if first + 2u < width {
        buffer[at + 2u] = elements.z;
    }
    if first + 3u < width {
        buffer[at + 3u] = elements.w;
    }
}
