// Four neighbouring elements of a row in a buffer of f32, zeros where there is no such row or where the row has ended.
// Importers name the function, the buffer, how many rows it has and how wide they are. (WGSL has no pointers to buffers
// as arguments.)
#parameters load buffer rows width

fn load(row: u32, first: u32) -> vec4<f32> {
    var four = vec4(0.0);
    if row < rows {
        let at = row * width + first;
        if first + 4u <= width {
            four = vec4(buffer[at], buffer[at + 1u], buffer[at + 2u], buffer[at + 3u]);
        } else {
            if first < width {
                four.x = buffer[at];
            }
            if first + 1u < width {
                four.y = buffer[at + 1u];
            }
            if first + 2u < width {
                four.z = buffer[at + 2u];
            }
        }
    }
    return four;
}
