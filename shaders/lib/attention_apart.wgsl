// Blocks of a sparse pattern hold no global keys: those come as a list of their own.
fn is_excluded(position: u32) -> bool {
    return is_global(position);
}

fn excluded_end() -> u32 {
    var end = 0u;
    if params.globals > 0u {
        // Past every position already, whatever the list holds.
        end = min(globals[params.globals - 1u], params.rows) + 1u;
    }
    return end;
}
