// Where a thread stands where the threads of a workgroup are lines of 8: along its line, and which line. The kernel
// declares THREADS.
#import lib/lane

fn place_of(lane: Lane) -> vec2<u32> {
    return vec2(lane.thread % 8u, lane.thread / 8u);
}
