// Where a thread is in its workgroup: a parameter of the entry point, which hands it on to the functions of slots. Each
// tier's has the built-in values that they need there.
struct Lane {
    @builtin(local_invocation_index) thread: u32,
}
