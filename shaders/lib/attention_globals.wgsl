// The global positions, sorted, and a test for them.
@group(0) @binding(7) var<storage, read> globals: array<u32>;

fn is_global(position: u32) -> bool {
    let count = params.globals;
    if count == 0u {
        return false;
    }
    // Anchors are positions 0..count: strictly sorted, so the last one tells.
    if globals[count - 1u] == count - 1u {
        return position < count;
    }
    var low = 0u;
    var high = count;
    while low < high {
        let middle = (low + high) / 2u;
        if globals[middle] < position {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low < count && globals[min(low, count - 1u)] == position;
}
