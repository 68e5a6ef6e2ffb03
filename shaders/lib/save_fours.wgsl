// Stores what lib/load_fours.wgsl loads, unless the line has ended.
#parameters save buffer

fn save(start: u32, four: u32, width: u32, elements: vec4<f32>) {
    if 4u * four < width {
        buffer[start / 4u + four] = elements;
    }
}
