// Four neighbouring elements of a line of `width` elements that begins at `start`, from a buffer of single ones; zeros
// where the line has ended.
#parameters load buffer

fn load(start: u32, four: u32, width: u32) -> vec4<f32> {
    let first = 4u * four;
    let at = start + first;
    var elements = vec4(0.0);
    if first + 4u <= width {
        elements = vec4(buffer[at], buffer[at + 1u], buffer[at + 2u], buffer[at + 3u]);
    } else {
        if first < width {
            elements.x = buffer[at];
        }
        if first + 1u < width {
            elements.y = buffer[at + 1u];
        }
        if first + 2u < width {
            elements.z = buffer[at + 2u];
        }
    }
    return elements;
}
