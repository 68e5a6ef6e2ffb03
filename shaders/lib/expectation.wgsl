// What both kernels of vocab/expectation do, however they load and store: see there.
#import lib/overflowing.wgsl
#import lib/place
#import lib/scores.wgsl
#import lib/step.wgsl

const VALUE_DIM: u32 = 32u;
const SLICES: u32 = VALUE_DIM / 32u;
// Vec4s between the weights of two rows.
const WEIGHTS: u32 = 9u;

struct Params {
    rows: u32,
    dim: u32,
    vocab: u32,
    embed_dim: u32,
    skip: u32,
    // How many workgroups the rows make.
    tiles: u32,
    splits: u32,
    // Tokens of a split, a multiple of 64.
    split: u32,
    // How many VALUE_DIM columns make embed_dim.
    chunks: u32,
    // Whether skip is the state z, of which the step makes the query.
    bayes: u32,
    // Whether rows of h are normed and modulated first.
    norm: u32,
    shift_offset: u32,
    scale_offset: u32,
    eps: f32,
}

// 32 columns of the embeddings of 32 tokens.
var<workgroup> values: array<vec4<f32>, 256>;
// What the sums of each row are multiplied by before the next tokens are added.
var<workgroup> factors: array<f32, ROWS>;

// What each row of h is multiplied by where it is normed.
var<workgroup> inverses: array<f32, ROWS>;

// Four elements of a row of h, as they are multiplied by unembed.
fn hidden4(row0: u32, line: u32, k: u32) -> vec4<f32> {
    var four = h4(row0 + line, k);
    if params.norm != 0u {
        four = modulated(four * inverses[line], k);
    }
    return four;
}

// Four elements of a row of skip, as they are multiplied by embed.
fn query4(row: u32, k: u32) -> vec4<f32> {
    var four = skip4(row, k);
    if params.bayes != 0u {
        four = step.bayes_scale * (four - (1.0 - step.alpha) * absorb4(0u, k));
    }
    return four;
}

// The inverse root of a mean square, from the sums of the squares and of those of values times SHRINK.
fn inverse_root(squares: f32, shrunk: f32) -> f32 {
    let count = f32(params.dim);
    var inverse = 1.0 / sqrt(squares / count + params.eps);
    if squares > OVERFLOWING {
        inverse = SHRINK / sqrt(shrunk / count);
    }
    return inverse;
}

// What is kept of a row.
struct Row {
    best: f32,
    token: u32,
    tail: f32,
    t: f32,
}

// A score, and whose among 32 tokens it is.
struct Candidate {
    score: f32,
    place: u32,
}

fn prefer(best: ptr<function, Candidate>, score: f32, place: u32) {
    if score > (*best).score || (score == (*best).score && place < (*best).place) {
        *best = Candidate(score, place);
    }
}

// Takes 32 tokens from `token0` on into row `line`, whose scores the tile has, and leaves their e^(l - max) in their
// place. Returns what the row's sums are to be multiplied by.
fn take_in(row: ptr<function, Row>, line: u32, token0: u32) -> f32 {
    var highest = tile[line * WEIGHTS];
    var at = vec4(0u, 1u, 2u, 3u);
    for (var k = 1u; k < 8u; k += 1u) {
        let scores = tile[line * WEIGHTS + k];
        let rises = scores > highest;
        highest = select(highest, scores, rises);
        at = select(at, 4u * k + vec4(0u, 1u, 2u, 3u), rises);
    }
    // On a tie the lowest token.
    var first = Candidate(highest.x, at.x);
    prefer(&first, highest.y, at.y);
    prefer(&first, highest.z, at.z);
    prefer(&first, highest.w, at.w);
    // No token of these.
    var place = 32u;
    var factor = 1.0;
    if first.score > (*row).best {
        // At -200 exp is 0 in f32: bounded, so that 0 times infinity does not arise.
        let shift = max((*row).best - first.score, -200.0);
        factor = exp(shift);
        place = first.place;
        (*row).t = ((*row).t + ((*row).tail + 1.0) * shift) * factor;
        (*row).tail = ((*row).tail + 1.0) * factor;
        (*row).best = first.score;
        (*row).token = token0 + place;
    }
    var tail = vec4(0.0);
    var t = vec4(0.0);
    for (var k = 0u; k < 8u; k += 1u) {
        let distance = tile[line * WEIGHTS + k] - (*row).best;
        let weights = exp(distance);
        let is_best = 4u * k + vec4(0u, 1u, 2u, 3u) == vec4(place);
        let others = select(weights, vec4(0.0), is_best);
        tail += others;
        t += others * max(distance, vec4(-200.0));
        tile[line * WEIGHTS + k] = select(weights, vec4(1.0), is_best);
    }
    (*row).tail += lanes(tail);
    (*row).t += lanes(t);
    return factor;
}

// What workgroup `index` does.
fn sum_split(index: u32, lane: Lane) {
    let thread = lane.thread;
    let place = place_of(lane);
    let chunk = index % params.chunks;
    let row0 = index / params.chunks % params.tiles * ROWS;
    let split = index / params.chunks / params.tiles;
    if split >= params.splits {
        return;
    }
    let value0 = chunk * VALUE_DIM;
    let begin = split * params.split;
    let end = min(begin + params.split, params.vocab);
    let hidden_slices = (params.dim + DEPTH - 1u) / DEPTH;
    var slices = hidden_slices;
    if params.skip != 0u {
        slices += (params.embed_dim + DEPTH - 1u) / DEPTH;
    }
    // The row that this thread keeps book of; the first tokens make up for the 1 of a maximum that there was not.
    var row = Row(LOWEST, begin, 0.0, 0.0);
    // Columns value0 + 32 s + 4 place.x of row place.y + LINES i at [s][i].
    var sums = array<array<vec4<f32>, OWN>, SLICES>();

    let quad = thread % 4u;
    if params.norm != 0u {
        for (var line = thread / 4u; line < ROWS; line += THREADS / 4u) {
            var squares = vec4(0.0);
            var shrunk = vec4(0.0);
            for (var k = 4u * quad; k < params.dim; k += 16u) {
                let four = h4(row0 + line, k);
                let small = four * SHRINK;
                squares += four * four;
                shrunk += small * small;
            }
            tile[line * 4u + quad] = vec4(lanes(squares), lanes(shrunk), 0.0, 0.0);
        }
        workgroupBarrier();
        if thread < ROWS {
            let at = 4u * thread;
            let sums = (tile[at] + tile[at + 1u]) + (tile[at + 2u] + tile[at + 3u]);
            inverses[thread] = inverse_root(sums.x, sums.y);
        }
    }

    for (var token0 = begin; token0 < end; token0 += TOKENS) {
        var low = array<vec4<f32>, OWN>();
        var high = array<vec4<f32>, OWN>();
        for (var slice = 0u; slice < slices; slice += 1u) {
            workgroupBarrier();
            if slice < hidden_slices {
                let k = slice * DEPTH + 4u * quad;
                for (var line = thread / 4u; line < ROWS; line += THREADS / 4u) {
                    tile[line * PITCH + quad] = hidden4(row0, line, k);
                }
                for (var line = thread / 4u; line < TOKENS; line += THREADS / 4u) {
                    tile[token_line(line) * PITCH + quad] = unembed4(token0 + line, k);
                }
            } else {
                let k = (slice - hidden_slices) * DEPTH + 4u * quad;
                for (var line = thread / 4u; line < ROWS; line += THREADS / 4u) {
                    tile[line * PITCH + quad] = query4(row0 + line, k);
                }
                for (var line = thread / 4u; line < TOKENS; line += THREADS / 4u) {
                    tile[token_line(line) * PITCH + quad] = embed4(token0 + line, k);
                }
            }
            workgroupBarrier();
            add_slice(&low, &high, place);
        }

        for (var half = 0u; half < 2u && token0 + 32u * half < end; half += 1u) {
            let token = token0 + 32u * half;
            workgroupBarrier();
            for (var i = 0u; i < OWN; i += 1u) {
                let scores = select(low[i], high[i], half == 1u);
                tile[(place.y + LINES * i) * WEIGHTS + place.x] = counted(scores, token + 4u * place.x, end);
            }
            for (var s = 0u; s < SLICES; s += 1u) {
                let column0 = value0 + 32u * s;
                if s > 0u {
                    workgroupBarrier();
                }
                for (var i = thread; i < 256u; i += THREADS) {
                    values[i] = embed4(token + i / 8u, column0 + i % 8u * 4u);
                }
                workgroupBarrier();
                if s == 0u {
                    if thread < ROWS {
                        factors[thread] = take_in(&row, thread, token);
                    }
                    workgroupBarrier();
                }
                for (var i = 0u; i < OWN; i += 1u) {
                    sums[s][i] *= factors[place.y + LINES * i];
                }
                for (var k = 0u; k < 8u; k += 1u) {
                    let a = values[32u * k + place.x];
                    let b = values[32u * k + 8u + place.x];
                    let c = values[32u * k + 16u + place.x];
                    let d = values[32u * k + 24u + place.x];
                    for (var i = 0u; i < OWN; i += 1u) {
                        let weights = tile[(place.y + LINES * i) * WEIGHTS + k];
                        sums[s][i] = add_four(sums[s][i], weights, a, b, c, d);
                    }
                }
            }
        }
    }

    for (var i = 0u; i < OWN; i += 1u) {
        let line = row0 + place.y + LINES * i;
        if line < params.rows {
            for (var s = 0u; s < SLICES; s += 1u) {
                store_x0(split * params.rows + line, value0 + 32u * s + 4u * place.x, sums[s][i]);
            }
        }
    }
    if thread < ROWS && row0 + thread < params.rows && chunk == 0u {
        let bits = bitcast<vec3<u32>>(vec3(row.best, row.tail, row.t));
        state[split * params.rows + row0 + thread] = vec4(bits, row.token);
    }
}
