// Four neighbouring elements of a line of `width` elements that begins at `start`, from a buffer of fours: both are
// multiples of 4. The caller keeps within the line.
#parameters load buffer

fn load(start: u32, four: u32, width: u32) -> vec4<f32> {
    return buffer[start / 4u + four];
}
