//! Op times as a Chrome trace (`chrome://tracing`, Perfetto).

use std::path::Path;

use drdiff::files::write_with;
use drdiff::graph::OpTime;
use drdiff::memory;
use serde_json::json;

/// Events so far; each step begins where the one before ended.
#[derive(Default)]
pub struct Trace {
    events: Vec<Event>,
    end: f64,
}

/// An op in a step; microseconds.
struct Event {
    name: &'static str,
    step: usize,
    begin: f64,
    duration: f64,
}

impl Trace {
    pub fn add(&mut self, step: usize, times: Vec<OpTime>) -> drdiff::Result<()> {
        let origin = times.first().map_or(0.0, |time| time.begin);
        let base = self.end;
        let end = &mut self.end;
        let events = times.into_iter().map(|time| {
            let begin = base + (time.begin - origin) / 1e3;
            let duration = (time.end - time.begin) / 1e3;
            *end = end.max(begin + duration);
            Event { name: time.name, step, begin, duration }
        });
        memory::extend("the trace", &mut self.events, events)
    }

    pub fn write(self, path: &Path) -> drdiff::Result<()> {
        write_with(path, |file| {
            write!(file, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
            for (index, Event { name, step, begin, duration }) in self.events.iter().enumerate() {
                let event = json!({
                    "name": name, "cat": "op", "ph": "X", "pid": 1, "tid": 1,
                    "ts": begin, "dur": duration, "args": { "step": step },
                });
                write!(file, "{}{event}", if index > 0 { "," } else { "" })?;
            }
            write!(file, "]}}")
        })
    }
}
