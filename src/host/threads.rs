//! The threads that the CPU computes on: rayon's, if they can be had.
//!
//! Left alone, rayon starts its threads at first use and panics where the system grants none. Here they are asked for
//! once, and where they are refused every calling thread works alone.

use std::sync::OnceLock;

/// More threads than this many for each that the machine runs at a time only wait for one another.
const OVERCOMMIT: usize = 4;

/// Threads of the host, which the CPU device computes on and every device's noise is made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostThreads {
    /// How many work at a time.
    pub count: usize,
    /// What a user should know, if they are fewer than was to be expected.
    pub note: Option<String>,
}

/// The host's threads, started at the first call. `RAYON_NUM_THREADS` says how many, else the machine's cores; a pool
/// that the application made with rayon is used as it is.
pub fn host_threads() -> &'static HostThreads {
    &start().0
}

/// The threads, and whether rayon has a pool of them.
fn start() -> &'static (HostThreads, bool) {
    static THREADS: OnceLock<(HostThreads, bool)> = OnceLock::new();
    THREADS.get_or_init(|| {
        let asked = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"].map(|name| (name, std::env::var(name).ok()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (count, note) = wanted(&asked, cores);
        match rayon::ThreadPoolBuilder::new().num_threads(count).build_global() {
            Ok(()) => (HostThreads { count, note }, true),
            Err(error) => match std::error::Error::source(&error) {
                // The application was first.
                None => (HostThreads { count: rayon::current_num_threads(), note: None }, true),
                Some(reason) => {
                    let note = format!("the system refuses {count} threads ({reason}): the CPU computes on one");
                    (HostThreads { count: 1, note: Some(note) }, false)
                }
            },
        }
    })
}

/// Makes rayon's calls on this thread safe: where there is no pool, it becomes a pool of its own.
pub(crate) fn ready() {
    let (_, has_pool) = start();
    if *has_pool || rayon::current_thread_index().is_some() {
        return;
    }
    // Fails only on a thread that is in a pool already; no thread is started.
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
        #[expect(clippy::mem_forget, reason = "the thread stays in it to its end")]
        std::mem::forget(pool);
    }
}

/// How many threads to ask for, given what variables say, and what to say about it.
fn wanted(asked: &[(&str, Option<String>)], cores: usize) -> (usize, Option<String>) {
    for (name, value) in asked {
        let Some(text) = value.as_deref().map(str::trim).filter(|text| !text.is_empty()) else { continue };
        let most = cores.saturating_mul(OVERCOMMIT);
        return match text.parse() {
            Ok(0) => (cores, None),
            Ok(count) if count <= most => (count, None),
            Ok(count) => {
                let note = format!("{name} asks for {count} threads where {cores} run at a time: {most} are started");
                (most, Some(note))
            }
            Err(_) => {
                let text = crate::error::short(text, 40);
                (cores, Some(format!("{name} is `{text}`, expected a number of threads: {cores} are started")))
            }
        };
    }
    (cores, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> (usize, Option<String>) {
        wanted(&[("RAYON_NUM_THREADS", Some(text.to_owned())), ("RAYON_RS_NUM_CPUS", Some("3".into()))], 2)
    }

    #[test]
    fn threads_are_as_many_as_asked_within_reason() {
        assert_eq!(with("1"), (1, None));
        assert_eq!(with(" 8 "), (8, None));
        assert_eq!(with("0"), (2, None));
        assert_eq!(with(""), (3, None), "the older name counts where the newer is empty");
        let (count, note) = with("20000");
        assert_eq!(count, 8);
        assert!(note.unwrap().contains("asks for 20000 threads where 2 run at a time: 8 are started"));
        for text in ["many", "-1", "1e3", "99999999999999999999999"] {
            let (count, note) = with(text);
            assert!(count == 2 && note.unwrap().contains("expected a number of threads"), "{text}");
        }
    }
}
