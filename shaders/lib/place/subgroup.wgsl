// Where a thread stands where the threads of a workgroup are lines of 8: along its line, and which line. The kernel
// declares THREADS, a multiple of 8.
//
// Subgroups of 8 threads are the lines: what depends on the line alone is then known to be the same for a whole
// subgroup, and is loaded once. Vulkan, the only interface with such subgroups, fills them where the workgroup is a
// multiple of their size. (A test of `num_subgroups` here would undo what it guards: no compiler could tell any more.)
#import lib/lane

fn place_of(lane: Lane) -> vec2<u32> {
    return select(vec2(lane.thread % 8u, lane.thread / 8u), vec2(lane.place, lane.subgroup), lane.size == 8u);
}
