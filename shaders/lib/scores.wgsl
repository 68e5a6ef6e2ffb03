// Inner products of ROWS rows with 64 tokens, for workgroups of THREADS threads: slices of 16 elements of each go
// through workgroup memory, and the thread at `place` = (thread % 8, thread / 8) has the scores of rows place.y +
// LINES i and of two fours of neighbouring tokens, from 4 place.x and from 32 + 4 place.x. Each score is one sum over
// the elements in their order, whatever ROWS and THREADS are.
//
// A line of the tile is 4 vec4s, 5 apart so that lines start in different banks; the 8 tokens that are read at one time
// are in neighbouring lines (`token_line`).
const THREADS: u32 = 128u;
const ROWS: u32 = 64u;
const TOKENS: u32 = 64u;
const DEPTH: u32 = 16u;
const PITCH: u32 = 5u;
// Distance of a thread's rows, and how many it has.
const LINES: u32 = THREADS / 8u;
const OWN: u32 = ROWS / LINES;
// Below every score that counts; finite, so that differences are never NaN.
const LOWEST: f32 = -3.0e38;

// Rows, then tokens.
var<workgroup> tile: array<vec4<f32>, (ROWS + TOKENS) * PITCH>;

// The line of the tile that keeps a token.
fn token_line(token: u32) -> u32 {
    return ROWS + token / 32u * 32u + token % 4u * 8u + token % 32u / 4u;
}

// Adds the products of four elements of a row with those of four tokens, whose x are together in `x` and so on.
fn add_four(sum: vec4<f32>, row: vec4<f32>, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32>) -> vec4<f32> {
    return (((sum + row.x * x) + row.y * y) + row.z * z) + row.w * w;
}

// Adds the products of a slice: `low` and `high` are the two fours of tokens of each row.
fn add_slice(low: ptr<function, array<vec4<f32>, OWN>>, high: ptr<function, array<vec4<f32>, OWN>>, place: vec2<u32>) {
    for (var k = 0u; k < DEPTH / 4u; k += 1u) {
        let at = (ROWS + place.x) * PITCH + k;
        let a = tile[at];
        let b = tile[at + 8u * PITCH];
        let c = tile[at + 16u * PITCH];
        let d = tile[at + 24u * PITCH];
        let e = tile[at + 32u * PITCH];
        let f = tile[at + 40u * PITCH];
        let g = tile[at + 48u * PITCH];
        let h = tile[at + 56u * PITCH];
        let low_x = vec4(a.x, b.x, c.x, d.x);
        let low_y = vec4(a.y, b.y, c.y, d.y);
        let low_z = vec4(a.z, b.z, c.z, d.z);
        let low_w = vec4(a.w, b.w, c.w, d.w);
        let high_x = vec4(e.x, f.x, g.x, h.x);
        let high_y = vec4(e.y, f.y, g.y, h.y);
        let high_z = vec4(e.z, f.z, g.z, h.z);
        let high_w = vec4(e.w, f.w, g.w, h.w);
        for (var i = 0u; i < OWN; i += 1u) {
            let row = tile[(place.y + LINES * i) * PITCH + k];
            (*low)[i] = add_four((*low)[i], row, low_x, low_y, low_z, low_w);
            (*high)[i] = add_four((*high)[i], row, high_x, high_y, high_z, high_w);
        }
    }
}

// Scores of four neighbouring tokens from `token`, of which those from `end` on do not count.
fn counted(scores: vec4<f32>, token: u32, end: u32) -> vec4<f32> {
    return select(vec4(LOWEST), scores, vec4(token) + vec4(0u, 1u, 2u, 3u) < vec4(end));
}

// Which of four is the largest, the first on a tie.
fn largest(v: vec4<f32>) -> u32 {
    let low = select(0u, 1u, v.y > v.x);
    let high = select(2u, 3u, v.w > v.z);
    return select(low, high, max(v.z, v.w) > max(v.x, v.y));
}

fn lanes(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}
