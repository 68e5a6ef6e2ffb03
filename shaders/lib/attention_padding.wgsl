#import lib/attention_lse.wgsl

// Rows first..first + TILE of a sequence that are past its length: out 0, lse minus infinity.
fn clear_padding(part: Part, thread: u32) {
    let lane = thread % 8u;
    for (var row = thread / 8u; row < TILE; row += 16u) {
        let position = part.first_query + row;
        if position >= part.length && position < params.rows {
            let at = query_row(part.batch, position, part.head);
            for (var d = lane * 4u; d < params.head_dim; d += CHUNK) {
                store_vector(at, d, vec4(0.0));
            }
            if lane == 0u {
                lse[at] = params.padding_lse;
            }
        }
    }
}
