// Sums over a workgroup: within each subgroup by its own operation, then over the subgroups through workgroup memory.
//
// Right for subgroups of any size, also where they are not full and where threads do not follow one another in them: a
// subgroup is known by `subgroup_id`, never by a thread's index; there are at most as many subgroups as threads; and
// whichever thread is first among those that run speaks for its subgroup.
#import lib/lane

// By subgroup.
var<workgroup> partial: array<f32, THREADS>;

// The sum of one value per thread, for every thread.
fn total(lane: Lane, value: f32) -> f32 {
    let own = subgroupAdd(value);
    // Behind the reads of an earlier sum.
    workgroupBarrier();
    if lane.place == subgroupBroadcastFirst(lane.place) {
        partial[lane.subgroup] = own;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < lane.subgroups; i += 1u) {
        sum += partial[i];
    }
    return sum;
}
