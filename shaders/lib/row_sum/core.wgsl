// Sums over a workgroup, in a tree through workgroup memory. The kernel declares THREADS, a power of two.
#import lib/lane

var<workgroup> partial: array<f32, THREADS>;

// The sum of one value per thread, for every thread.
fn total(lane: Lane, value: f32) -> f32 {
    let thread = lane.thread;
    workgroupBarrier();
    partial[thread] = value;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half >>= 1u) {
        if thread < half {
            partial[thread] += partial[thread + half];
        }
        workgroupBarrier();
    }
    return partial[0];
}
