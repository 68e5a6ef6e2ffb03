// Inner products of 32 rows with 32 keys, for workgroups of 128 threads: chunks of 32 elements of each go through
// workgroup memory, and a thread at `place` = (thread % 8, thread / 8) owns rows place.y and place.y + 16 and keys
// 4 place.x to 4 place.x + 3.
//
// A line of a tile is 8 vec4s, 9 apart so that lines start in different banks; key 4 a + b lies in line 8 b + a, so
// that the 8 keys that are read at one time are in neighbouring lines.
const THREADS: u32 = 128u;
const ROWS: u32 = 32u;
const KEYS: u32 = 32u;
const DEPTH: u32 = 32u;
const PITCH: u32 = 9u;
// Below every score that counts; finite, so that differences are never NaN.
const LOWEST: f32 = -3.0e38;

var<workgroup> row_tile: array<vec4<f32>, ROWS * PITCH>;
var<workgroup> key_tile: array<vec4<f32>, KEYS * PITCH>;

// Where the tile keeps vec4 `quad` of key `key`.
fn key_slot(key: u32, quad: u32) -> u32 {
    return (key % 4u * 8u + key / 4u) * PITCH + quad;
}

// Adds the products of one chunk, the four lanes kept separate: element 4 i + j is row place.y + 16 i, key 4 place.x
// + j.
fn add_products(products: ptr<function, array<vec4<f32>, 8>>, place: vec2<u32>) {
    for (var k = 0u; k < DEPTH / 4u; k += 1u) {
        let a = row_tile[place.y * PITCH + k];
        let b = row_tile[(place.y + 16u) * PITCH + k];
        let at = place.x * PITCH + k;
        let key0 = key_tile[at];
        let key1 = key_tile[at + 8u * PITCH];
        let key2 = key_tile[at + 16u * PITCH];
        let key3 = key_tile[at + 24u * PITCH];
        (*products)[0] += a * key0;
        (*products)[1] += a * key1;
        (*products)[2] += a * key2;
        (*products)[3] += a * key3;
        (*products)[4] += b * key0;
        (*products)[5] += b * key1;
        (*products)[6] += b * key2;
        (*products)[7] += b * key3;
    }
}

fn lanes(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

// The scores of four neighbouring keys from `key`; those from `end` on do not count.
fn four_scores(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, key: u32, end: u32) -> vec4<f32> {
    let scores = vec4(lanes(a), lanes(b), lanes(c), lanes(d));
    return select(vec4(LOWEST), scores, vec4(key) + vec4(0u, 1u, 2u, 3u) < vec4(end));
}

// Which of four is the largest, the first on a tie.
fn largest(v: vec4<f32>) -> u32 {
    let low = select(0u, 1u, v.y > v.x);
    let high = select(2u, 3u, v.w > v.z);
    return select(low, high, max(v.z, v.w) > max(v.x, v.y));
}
