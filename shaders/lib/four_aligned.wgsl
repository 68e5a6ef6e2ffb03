// As lib/four, of a buffer of vec4<f32> that rows of whole vec4s lie in; `first` is a multiple of 4.
#parameters load buffer rows width

fn load(row: u32, first: u32) -> vec4<f32> {
    var four = vec4(0.0);
    if row < rows && first < width {
        four = buffer[(row * width + first) / 4u];
    }
    return four;
}
